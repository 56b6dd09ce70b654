"""The command line ``egotwin <command> …``: runs the commands that the installed rooms register.

A room registers its commands by an entry point in the group `GROUP` that names a tuple of `Command`. Each command
names its module instead of importing it: the model library stays free of ROS and of training, and a command's
libraries are needed only when it runs. A command's module has ``main(argv: list[str]) -> int``.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from egotwin_model.errors import EgoTwinError

GROUP = "egotwin.commands"


@dataclass(frozen=True)
class Command:
    """One command: its name of one or two words, its module, one line of help, and what pip installs to run it."""

    name: str
    module: str
    help: str
    requirement: str  # a distribution with the extra that carries the command's libraries, such as "egotwin[ros]"


def rooms() -> list[EntryPoint]:
    """The entry points of all installed rooms, each room once."""
    return sorted({entry.value: entry for entry in entry_points(group=GROUP)}.values(), key=lambda entry: entry.name)


def commands() -> tuple[dict[str, Command], list[str]]:
    """Commands of all installed rooms by name, in alphabetical order, and one line for each room that failed to load.

    Raises:
        ValueError: two rooms register a command of one name.
    """
    found: dict[str, Command] = {}
    failures = []
    for room in rooms():
        try:
            registered: tuple[Command, ...] = room.load()
        except (ImportError, AttributeError) as error:
            failures.append(f"the commands of {room.name!r} ({room.value}) cannot be loaded: {error}")
            continue
        for command in registered:
            if command.name in found:
                raise ValueError(
                    f"command {command.name!r} of {room.value} is already registered for {found[command.name].module}; "
                    "rename one of the two"
                )
            found[command.name] = command
    return dict(sorted(found.items())), failures


def usage() -> str:
    """The help text: every command with its line, and what is known about commands that are not there."""
    known, failures = commands()
    width = max(map(len, known), default=0)
    lines = [f"  egotwin {name:<{width}}  {command.help}" for name, command in known.items()]
    if not known:
        failures = [*failures, "no commands are registered; install the package: pip install egotwin"]
    where = "commands come with egotwin (ROS) and egotwin-training (data, training, evaluation); registered here: "
    where += ", ".join(room.name for room in rooms()) or "none"
    return "\n".join(
        [
            "usage: egotwin COMMAND [OPTIONS]; egotwin COMMAND --help lists the options",
            *("", *lines, "", where),
            *failures,
        ]
    )


def find(argv: list[str]) -> tuple[Command, list[str]] | None:
    """The command that the first one or two words name, and the remaining arguments; None if there is none."""
    known, _ = commands()
    for words in (2, 1):
        name = " ".join(argv[:words])
        if len(argv) >= words and name in known:
            return known[name], argv[words:]
    return None


def run(command: Command, arguments: list[str]) -> int:
    """Imports the command's module and runs it; a missing library is reported with the command that installs it."""
    try:
        module = importlib.import_module(command.module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name == command.module:
            raise
        remedy = f"pip install '{command.requirement}'"
        if command.requirement.endswith("[ros]"):
            remedy = "make setup, or build the ROS package and source its workspace"
        print(
            f"egotwin {command.name}: the Python module {error.name!r} is missing; get it by: {remedy}", file=sys.stderr
        )
        return 3
    try:
        return module.main(arguments)
    except EgoTwinError as error:
        print(f"egotwin {command.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"egotwin {command.name}: interrupted", file=sys.stderr)
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
