"""Commands of the data sets."""

from egotwin_model.cli import Command

COMMANDS = (
    Command(
        "data aria",
        "training.datasets.aria.convert",
        "turn a Project Aria recording into a bag",
        "egotwin-training[aria]",
    ),
    Command(
        "data nymeria",
        "training.datasets.nymeria.prepare",
        "make training clips of Nymeria's sequences",
        "egotwin-training[train]",
    ),
    Command(
        "data card",
        "training.datasets.clips.card",
        "describe a folder of clips on one HTML page",
        "egotwin-training[train]",
    ),
)
