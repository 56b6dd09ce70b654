"""The map of docs/architecture.md, drawn from the imports of the source.

    python -m docs.architecture

writes docs/architecture.png and the list of rooms between the page's two `rooms` marks.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

from docs.imports import PACKAGES, ROOT, graph, modules, room
from egotwin_model.io.files import write_atomically, write_text

PAGE, PICTURE = ROOT / "docs/architecture.md", ROOT / "docs/architecture.png"
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


def draw(path: Path) -> None:
    """The rooms as boxes on their levels, with an arrow for each import that does not follow from others."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(13, 6.5), width_ratios=(3, 2, 3))
    for panel, package in zip(panels, ("egotwin_model", "egotwin_ros", "training"), strict=True):
        found = {name: others for name, others in needs().items() if _package(name) == package}
        places = _layout(found, package)
        panel.set_title(package, loc="left", fontsize=13, fontweight="bold")
        for name, (x, y) in places.items():
            label = "modules of the package" if name == package else name.split(".")[-1]
            box = {"boxstyle": "round,pad=0.45", "facecolor": "#eef3fa", "edgecolor": "#4a6fa5"}
            panel.text(x, y, label, ha="center", va="center", fontsize=11, bbox=box, zorder=3)
            for other in sorted(direct(found)[name]):
                arrow = {"arrowstyle": "-|>", "color": "#8a94a6", "shrinkA": 14, "shrinkB": 14}
                panel.annotate("", xy=places[other], xytext=(x, y), arrowprops=arrow, zorder=2)
        panel.set(xlim=(-0.75, 0.75), ylim=(-0.6, max(y for _, y in places.values()) + 0.6))
        panel.axis("off")
    note = (
        "An arrow points to a room that is imported. egotwin_ros and training import egotwin_model, never each other."
    )
    figure.text(0.02, 0.01, note, fontsize=10)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _layout(found: Needs, package: str) -> dict[str, tuple[float, float]]:
    """Where each room is drawn: one level above the highest room it imports."""
    level: dict[str, int] = {}
    for name in _bottom_up(found, package):
        level[name] = max((level[other] + 1 for other in found[name]), default=0)
    rows = defaultdict(list)
    for name, height in level.items():
        rows[height].append(name)
    places = {}
    for height, names in rows.items():
        for index, name in enumerate(sorted(names)):
            places[name] = ((index - (len(names) - 1) / 2) * 0.52 + (0.08 if height % 2 else -0.08), float(height))
    return places


def replaced(page: str) -> str:
    """The page with the list of rooms written again."""
    begin, end = (page.index(mark) for mark in MARKS)
    return page[: begin + len(MARKS[0])] + "\n" + table() + "\n" + page[end:]


def main() -> None:
    write_text(PAGE, replaced(PAGE.read_text(encoding="utf-8")))
    write_atomically(PICTURE, draw)


if __name__ == "__main__":
    main()
