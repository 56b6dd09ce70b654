"""The map of docs/architecture.md, drawn from the imports of the source.

    python -m docs.architecture

writes docs/architecture.svg and the list of rooms between the page's two `rooms` marks.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from graphlib import TopologicalSorter

from docs.imports import PACKAGES, ROOT, graph, modules, room
from docs.room_map import Room, draw
from egotwin_model.io.files import write_text

PAGE, MAP = ROOT / "docs/architecture.md", ROOT / "docs/architecture.svg"
MARKS = ("<!-- rooms: begin (python -m docs.architecture) -->", "<!-- rooms: end -->")
Needs = dict[str, set[str]]


def rooms() -> dict[str, str]:
    """First sentence of each room's docstring, by name; the ROS package's own modules are one room."""
    found = {}
    for name, path in modules().items():
        folder = path.name == "__init__.py" and name.count(".") == 1
        if folder or name == "egotwin_ros":
            summary = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[name] = summary.split("\n\n")[0].replace("\n", " ")
    return found


def needs() -> Needs:
    """The rooms of the same package that each room imports."""
    known = rooms()
    found: Needs = {name: set() for name in known}
    for each in graph():
        if each.how != "string":
            importer, imported = (_place(name, known) for name in (each.importer, each.imported))
            if importer and imported and importer != imported and _package(importer) == _package(imported):
                found[importer].add(imported)
    return found


def _place(module: str, known: Mapping[str, str]) -> str:
    """The room a module is drawn in; "" for modules that stand above the rooms."""
    own = room(module)
    return own if own in known else "egotwin_ros" if _package(module) == "egotwin_ros" else ""


def _package(name: str) -> str:
    return name.split(".")[0]


def table() -> str:
    """One line for each room, lower rooms first."""
    described, found = rooms(), needs()
    lines = ["| room | what is in it | imports of its package |", "|---|---|---|"]
    for package in PACKAGES:
        for name in _bottom_up(found, package):
            below = ", ".join(f"`{other.split('.')[-1]}`" for other in sorted(found[name]))
            lines.append(f"| `{name.replace('.', '/')}` | {described[name]} | {below} |")
    return "\n".join(lines)


def _bottom_up(found: Needs, package: str) -> list[str]:
    """Rooms of a package, each after those it imports."""
    own = {name: sorted(others) for name, others in sorted(found.items()) if _package(name) == package}
    return list(TopologicalSorter(own).static_order())


def direct(found: Needs) -> Needs:
    """The imports without those that follow from others: what is worth an arrow."""
    below: Needs = {}

    def reach(name: str) -> set[str]:
        if name not in below:
            below[name] = set().union(*({other} | reach(other) for other in found[name]))
        return below[name]

    return {
        name: {other for other in others if not any(other in reach(third) for third in others - {other})}
        for name, others in found.items()
    }


def room_map() -> str:
    """The map: rooms on their levels, an arrow for each import that does not follow from others."""
    described, found = rooms(), needs()
    arrows = direct(found)
    packages = {}
    for package in ("egotwin_ros", "egotwin_model", "training"):
        level: dict[str, int] = {}
        for name in _bottom_up(found, package):
            level[name] = max((level[other] + 1 for other in found[name]), default=0)
        packages[package] = {
            name: Room(
                "beside them" if name == package else name.split(".")[-1],
                described[name].split(". ")[0].rstrip(".").replace("`", ""),
                level[name],
                frozenset(arrows[name]),
            )
            for name in sorted(level)
        }
    return draw(packages, "egotwin_model")


def replaced(page: str) -> str:
    """The page with the list of rooms written again."""
    begin, end = (page.index(mark) for mark in MARKS)
    return page[: begin + len(MARKS[0])] + "\n" + table() + "\n" + page[end:]


def main() -> None:
    write_text(PAGE, replaced(PAGE.read_text(encoding="utf-8")))
    write_text(MAP, room_map())


if __name__ == "__main__":
    main()
