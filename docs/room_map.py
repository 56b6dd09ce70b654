"""The map of the rooms as SVG text: boxes on levels, arrows for imports. `docs.architecture` writes it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, GAP, RISE = 204, 84, 18, 46  # of a box; between boxes of a row; between rows [px]
MARGIN, HEAD, BETWEEN = 20, 52, 120  # around a package's boxes; of its title; between packages
LETTERS, LINES = 32, 3  # of a box's text

MARKERS = "".join(
    f'<marker id="{name}" viewBox="0 0 8 8" refX="2" refY="4" markerWidth="{size}" markerHeight="{size}" orient="auto">'
    f'<path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
    for name, size, colour in (("head", 7, "#4a6fa5"), ("wide", 5, "#b3541e"))
)
STYLE = """
text { font-family: 'DejaVu Sans', Verdana, sans-serif; fill: #1c2733 }
.package { fill: #f4f6f8; stroke: #9aa7b4 } .title { font-size: 19px; font-weight: bold }
.room { fill: #ffffff; stroke: #4a6fa5 } .name { font-size: 14px; font-weight: bold } .text { font-size: 10.5px }
.arrow { fill: none; stroke: #4a6fa5; stroke-width: 1.3 } .between { fill: none; stroke: #b3541e; stroke-width: 2.5 }
.label { font-size: 12px; fill: #b3541e; text-anchor: middle }
""".strip()


@dataclass(frozen=True)
class Room:
    """A box of the map: its title and text, its level, and the rooms its arrows point to."""

    title: str
    text: str
    level: int
    arrows: frozenset[str]


@dataclass(frozen=True)
class Box:
    """A room's place on the map: its upper left corner [px]."""

    x: float
    y: float

    @property
    def top(self) -> tuple[float, float]:
        return self.x + WIDTH / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x + WIDTH / 2, self.y + HEIGHT


@dataclass(frozen=True)
class Frame:
    """A package's frame on the map, with what it holds: position and size [px], SVG lines."""

    left: float
    width: float
    lines: list[str]


def draw(packages: Mapping[str, Mapping[str, Room]], centre: str) -> str:
    """The map as SVG text.

    Args:
        packages: by name, from left to right, with their rooms by name.
        centre: the package that the others import from.
    """
    rows = max(room.level for rooms in packages.values() for room in rooms.values()) + 1
    bottom, left, frames = rows * (HEIGHT + RISE) + HEAD, float(MARGIN), {}
    for package, rooms in packages.items():
        frames[package] = _frame(package, rooms, left, bottom)
        left += frames[package].width + BETWEEN
    middle = frames[centre]
    lines = []
    for own in frames.values():
        if own is not middle:
            right = own.left < middle.left
            ends = (own.left + own.width, middle.left) if right else (own.left, middle.left + middle.width)
            lines += _between(*ends, bottom - HEIGHT / 2)
    size = f"{left - BETWEEN + MARGIN:g} {bottom + 2 * MARGIN:g}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}"><style>{STYLE}</style><defs>{MARKERS}</defs>'
    return "\n".join([head, *lines, *(line for frame in frames.values() for line in frame.lines), "</svg>", ""])


def _frame(package: str, rooms: Mapping[str, Room], left: float, bottom: float) -> Frame:
    """A package's rooms in its frame, arrows below boxes."""
    placed = _places(rooms, left + MARGIN, bottom)
    width = max(box.x for box in placed.values()) + WIDTH - left + MARGIN
    top = min(box.y for box in placed.values()) - HEAD
    height = bottom - top + MARGIN
    lines = [
        f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="10" class="package"/>',
        f'<text x="{left + MARGIN:g}" y="{top + 33:g}" class="title">{escape(package)}</text>',
    ]
    for name, room in rooms.items():
        lines += [_arrow(placed[name].bottom, placed[below].top) for below in sorted(room.arrows)]
    for name, room in rooms.items():
        lines += _box(room, placed[name])
    return Frame(left, width, lines)


def _places(rooms: Mapping[str, Room], left: float, bottom: float) -> dict[str, Box]:
    """Places of a package's rooms: a row for each level, the rows centred, the lowest at the bottom."""
    levels = range(max(room.level for room in rooms.values()) + 1)
    rows = [[name for name, room in rooms.items() if room.level == level] for level in levels]
    widest = max(map(len, rows)) * (WIDTH + GAP)
    placed = {}
    for level, row in enumerate(rows):
        start = left + (widest - len(row) * (WIDTH + GAP)) / 2
        for place, name in enumerate(row):
            placed[name] = Box(start + place * (WIDTH + GAP), bottom - (level + 1) * (HEIGHT + RISE) + RISE)
    return placed


def _box(room: Room, box: Box) -> list[str]:
    """A room's rectangle, title and the start of its text."""
    wrapped = textwrap.wrap(room.text, LETTERS)
    if len(wrapped) > LINES:
        wrapped = [*wrapped[: LINES - 1], wrapped[LINES - 1][: LETTERS - 1] + "…"]
    texts = [
        f'<text x="{box.x + 10:g}" y="{box.y + 40 + 15 * number:g}" class="text">{escape(line)}</text>'
        for number, line in enumerate(wrapped)
    ]
    return [
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" class="room"/>',
        f'<text x="{box.x + 10:g}" y="{box.y + 20:g}" class="name">{escape(room.title)}</text>',
        *texts,
    ]


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    """A curve down from one box to another, leaving and arriving vertically."""
    (x0, y0), (x1, y1) = start, end
    bend = max(24.0, (y1 - y0) / 2)
    curve = f"M{x0:g} {y0:g}C{x0:g} {y0 + bend:g} {x1:g} {y1 - bend:g} {x1:g} {y1 - 7:g}"
    return f'<path d="{curve}" class="arrow" marker-end="url(#head)"/>'


def _between(start: float, end: float, y: float) -> list[str]:
    """The level arrow from one package's frame to another's."""
    tip = end - 8 if end > start else end + 8
    return [
        f'<path d="M{start:g} {y:g}L{tip:g} {y:g}" class="between" marker-end="url(#wide)"/>',
        f'<text x="{(start + end) / 2:g}" y="{y - 10:g}" class="label">imports</text>',
    ]
