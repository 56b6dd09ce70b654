"""The page on architecture says what the source says."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

from docs import architecture
from docs.imports import ROOT
from docs.room_map import Room, draw

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


def test_the_map_is_up_to_date() -> None:
    drawn = architecture.room_map()
    assert architecture.MAP.read_text(encoding="utf-8") == drawn, "run python -m docs.architecture"
    names = {element.text for element in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")}
    assert {name.split(".")[-1] for name in architecture.rooms() if "." in name} <= names


def test_a_new_import_changes_the_map() -> None:
    """Levels and arrows are those of the rooms that are drawn."""
    low, high = Room("low", "Below.", 0, frozenset()), Room("high", "Above & more.", 1, frozenset())
    alone = draw({"p": {"low": low, "high": high}}, "p")
    joined = draw({"p": {"low": low, "high": replace(high, arrows=frozenset({"low"}))}}, "p")
    assert alone.count('class="arrow"') == 0
    assert joined.count('class="arrow"') == 1
    assert "Above &amp; more." in joined
