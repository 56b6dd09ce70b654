"""Commands of the export."""

from egotwin_model.cli import Command

EXTRA = "egotwin-training[train]"

COMMANDS = (
    Command("export", "training.export.command", "write a trained model as a model folder with ONNX graphs", EXTRA),
    Command("unpack", "training.export.unpack", "turn a model folder into a runs folder, to train it further", EXTRA),
)
