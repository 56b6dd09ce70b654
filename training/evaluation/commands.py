"""Commands of the evaluation."""

from egotwin_model.cli import Command

EXTRA = "egotwin-training[train]"

COMMANDS = (
    Command("evaluate", "training.evaluation.command", "measure a model folder on clips it has not seen", EXTRA),
    Command(
        "evaluate outside",
        "training.evaluation.outside.command",
        "measure a model on tilted heads, real recordings and real motion",
        EXTRA,
    ),
    Command("tune", "training.evaluation.tune", "choose sampler steps and guidance by measurement", EXTRA),
    Command("tune goals", "training.evaluation.tune_goals", "calibrate how sure a model is of goals", EXTRA),
    Command("ablations", "training.evaluation.ablations", "train and compare every row of the paper's tables", EXTRA),
    Command(
        "train evaluators",
        "training.evaluation.extractors.train_command",
        "train the networks that metrics of images and texts use",
        EXTRA,
    ),
    Command(
        "export evaluators",
        "training.evaluation.extractors.export_command",
        "write trained evaluators as one small folder",
        EXTRA,
    ),
)
