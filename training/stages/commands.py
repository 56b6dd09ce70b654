"""Commands of the training stages."""

from egotwin_model.cli import Command

EXTRA = "egotwin-training[train]"

COMMANDS = (
    Command("train", "training.stages.command", "train one of the stages", EXTRA),
    Command("curves", "training.stages.curves", "draw the training of a runs folder", EXTRA),
)
