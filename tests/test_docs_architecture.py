"""The page on architecture says what the source says."""

from __future__ import annotations

import re

from docs import architecture
from docs.imports import ROOT

PAGE = architecture.PAGE.read_text(encoding="utf-8")


def test_the_list_of_rooms_is_up_to_date() -> None:
    assert architecture.replaced(PAGE) == PAGE, "run python -m docs.architecture"


def test_every_room_is_described() -> None:
    for name, summary in architecture.rooms().items():
        assert summary.endswith("."), f"{name} has no docstring that says what is in it"
    assert {"egotwin_model.geometry", "egotwin_ros.nodes", "training.actions"} <= set(architecture.rooms())


def test_files_that_the_page_names_exist() -> None:
    names = re.findall(r"`((?:egotwin_model|egotwin_ros|training|tests|msg|config)/[\w./]*|pyproject.toml)`", PAGE)
    assert len(names) > 20
    for name in names:
        assert (ROOT / name).exists(), name


def test_each_change_touches_few_files() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", PAGE.split("## Where a change goes")[1], re.MULTILINE)[1:]
    assert len(rows) == 6
    for change, files in rows:
        first = re.split(r"\. |: `skeleton`", files)[0]
        assert len(re.findall(r"`[\w./]+(?:/|\.py|\.toml)`", first)) <= 4, change


def test_arrows_leave_out_what_follows_from_others() -> None:
    found = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert architecture.direct(found) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_the_map_is_drawn(tmp_path) -> None:
    architecture.draw(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 20_000
