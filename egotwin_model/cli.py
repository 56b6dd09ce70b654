"""The command line ``egotwin <command> …``: a table of commands, each imported only when it is called.

A command is a module with ``main(argv: list[str]) -> int``. Naming the modules instead of importing them keeps the
model library free of ROS and of training, and lets a command's libraries be installed with it.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass

from egotwin_model.errors import EgoTwinError


@dataclass(frozen=True)
class Command:
    """What ``egotwin NAME`` runs, one line of help, and the extra or package that carries its libraries."""

    module: str
    help: str
    extra: str


COMMANDS: dict[str, Command] = {
    "imagine": Command("egotwin_ros.job.command", "imagine the next seconds of a recording, by the ROS node", "ros"),
    "replay": Command("egotwin_ros.nodes.replay_node", "publish a recording on ROS topics, with /clock", "ros"),
    "data world": Command("training.simulator.generate", "make training clips in the simulated world", "world"),
    "data sequences": Command(
        "training.simulator.long_sequences", "record long sequences of it in Nymeria's form", "world"
    ),
    "data aria": Command("training.datasets.aria.convert", "turn a Project Aria recording into a bag", "aria"),
    "data nymeria": Command("training.datasets.nymeria.prepare", "make training clips of Nymeria's sequences", "train"),
    "data card": Command("training.datasets.clips.card", "describe a folder of clips on one HTML page", "train"),
    "data show": Command(
        "training.simulator.show", "draw clips on a contact sheet, or as a film with skeleton", "world"
    ),
    "train": Command("training.stages.command", "train one of the stages", "train"),
    "train evaluators": Command(
        "training.evaluation.extractors.train_command", "train what metrics of pictures and texts use", "train"
    ),
    "ablations": Command("training.evaluation.ablations", "train and compare every row of the paper's tables", "train"),
    "curves": Command("training.stages.curves", "draw the training of a runs folder", "train"),
    "evaluate": Command("training.evaluation.command", "measure a model folder on clips it has not seen", "train"),
    "unpack": Command("training.export.unpack", "make a runs folder of a model folder, to train it further", "train"),
    "tune": Command("training.evaluation.tune", "choose sampler steps and guidance by measurement", "train"),
    "export evaluators": Command(
        "training.evaluation.extractors.export_command", "write trained evaluators as one small folder", "train"
    ),
    "export": Command("training.export.command", "write a trained model as a model folder with ONNX graphs", "train"),
}


def usage() -> str:
    """The help text: every command with its line."""
    width = max(map(len, COMMANDS))
    lines = [f"  egotwin {name:<{width}}  {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: egotwin COMMAND [OPTIONS]; egotwin COMMAND --help tells the options", "", *lines])


def find(argv: list[str]) -> tuple[str, list[str]] | None:
    """The command's name and the arguments that are left for it; None where no command of that name is."""
    for words in (2, 1):
        name = " ".join(argv[:words])
        if len(argv) >= words and name in COMMANDS:
            return name, argv[words:]
    return None


def run(name: str, arguments: list[str]) -> int:
    """Imports the command's module and runs it; a library it lacks is named with the way to get it."""
    command = COMMANDS[name]
    try:
        module = importlib.import_module(command.module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name == command.module:
            raise
        remedy = f"pip install 'egotwin[{command.extra}]'"
        if command.extra == "ros":
            remedy = "make setup, or build the ROS package and source its workspace"
        print(f"egotwin {name}: the Python module {error.name!r} is missing; get it by: {remedy}", file=sys.stderr)
        return 3
    try:
        return module.main(arguments)
    except EgoTwinError as error:
        print(f"egotwin {name}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"egotwin {name}: interrupted", file=sys.stderr)
        return 130


def main(argv: list[str] | None = None) -> int:
    """Runs ``egotwin``; exit status: 0 done, 1 failed, 2 bad input, 3 a library is missing, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    found = find(argv)
    if found is None:
        print(f"egotwin: there is no command {' '.join(argv[:2])!r}\n\n{usage()}", file=sys.stderr)
        return 2
    return run(*found)


if __name__ == "__main__":
    sys.exit(main())
