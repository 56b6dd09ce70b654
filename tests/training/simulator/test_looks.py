"""What rooms and wearers look like: photographs by split, light, textures far and near."""

from __future__ import annotations

import numpy as np
import pytest

import training.simulator  # noqa: F401  before mujoco: chooses rendering without a screen

from ...shared_data import missing_extra

pytest.importorskip("mujoco", reason=missing_extra("world"))

from training.simulator.render.clothes import PATTERNS, Clothing, pattern
from training.simulator.rooms.lighting import RoomLight, Window
from training.simulator.rooms.photographs import ASSETS, PHOTOGRAPHS, names_of, photograph, relief
from training.simulator.rooms.plan import Solids
from training.simulator.rooms.textures import WALL_STYLES, floor, texture_size, wall

SPLITS = ("train", "val", "test")
KINDS = sorted({about.kind for about in PHOTOGRAPHS.values()} - {"parquet"})


def test_every_photograph_is_shipped_with_its_origin_and_no_other_file_is() -> None:
    files = {path.name for path in ASSETS.iterdir()}
    notes = {"ORIGIN.md", "LICENSE.robosuite", "LICENSE.pmndrs-assets"}
    assert files == {f"{name}.jpg" for name in PHOTOGRAPHS} | notes
    origin = (ASSETS / "ORIGIN.md").read_text()
    assert all(f"`{name}`" in origin for name in PHOTOGRAPHS)
    assert sum(path.stat().st_size for path in ASSETS.iterdir()) < 4e6
    for name in PHOTOGRAPHS:
        assert photograph(name).std() > 0.005, name


@pytest.mark.parametrize("kind", KINDS)
def test_each_split_has_photographs_of_its_own(kind: str) -> None:
    of = {split: set(names_of(kind, split)) for split in SPLITS}
    assert all(of.values())
    assert len(set.union(*of.values())) == sum(map(len, of.values()))


def test_a_relief_has_the_colour_that_it_is_given() -> None:
    for name, about in PHOTOGRAPHS.items():
        if not about.is_panorama:
            np.testing.assert_allclose(relief(name).mean(axis=(0, 1)), 1.0, atol=0.08, err_msg=name)


@pytest.mark.parametrize("split", SPLITS)
def test_walls_and_floors_of_every_style_have_their_size_and_are_neither_black_nor_white(split: str) -> None:
    rng, size = np.random.default_rng(0), texture_size(3.0, 2.5)
    for style in (*WALL_STYLES[split], "tiles"):
        image = wall(rng, (0.7, 0.68, 0.62), style, split, size, 2.5)
        assert image.shape == (size[1], size[0], 3)
        assert 0.2 < image.mean() < 0.95, style
        assert image[: size[1] // 2].std(axis=(0, 1)).min() > 0.004, style
    for kind in ("kitchen", "bedroom"):
        for _ in range(6):
            image = floor(rng, kind, split, size)
            assert image.shape == (size[1], size[0], 3)
            assert 0.08 < image.mean() < 0.98


def _light(lamp: float, daylight: float) -> RoomLight:
    corners = np.array([[-2.0, -2.0], [2.0, 2.0]])
    place, nothing = np.array([0.0, 0.0, 2.3]), np.zeros(3)
    return RoomLight(place, corners, np.full(3, lamp), np.full(3, daylight), np.full(3, 0.3), nothing, daylight > 0)


def test_light_falls_off_from_the_lamp_and_from_the_window() -> None:
    up = np.array([0.0, 0.0, 1.0])
    floor_points = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.7, 0.0, 0.0]])
    below = _light(2.0, 0.0).factors(floor_points, up)[:, 0]
    assert below[0] > below[1] > below[2] > 0.2
    day = _light(0.0, 9.0)
    day.windows.append(Window(np.array([2.0, 0.0, 1.5]), np.array([-1.0, 0.0, 0.0]), (0.7, 0.6)))
    far, near = day.factors(np.array([[-1.5, 0.0, 0.0], [1.0, 0.0, 0.0]]), up)[:, 0]
    assert near > 1.3 * far
    assert abs(np.log(day.factors(np.array([[0.0, 0.0, 1.0]]), None).mean())) < 0.5


def test_the_floor_is_darker_beside_things() -> None:
    box = Solids(np.array([[0.0, 0.0, 0.4]]), np.array([[0.3, 0.3, 0.4]]), np.zeros(1), ("",))
    light, up = _light(2.0, 0.0), np.array([0.0, 0.0, 1.0])
    points = np.array([[0.32, 0.0, 0.0], [0.9, 0.0, 0.0]])
    with_box, without = light.factors(points, up, box)[:, 0], light.factors(points, up)[:, 0]
    assert with_box[0] < 0.65 * without[0]
    assert with_box[1] > 0.97 * without[1]


def test_wearers_differ_in_sleeves_of_many_colours_and_patterns() -> None:
    rng = np.random.default_rng(0)
    wearers = [Clothing.sample(rng) for _ in range(300)]
    assert {wearer.pattern for wearer in wearers} == set(PATTERNS)
    bare = np.mean([wearer.sleeve == wearer.skin for wearer in wearers])
    assert 0.2 < bare < 0.5
    assert all(wearer.material("sleeve") == "matte" for wearer in wearers if wearer.sleeve == wearer.skin)
    assert all(wearer.material("skin") == "matte" for wearer in wearers)
    saturation = np.array([max(w.shirt) - min(w.shirt) for w in wearers])
    assert np.mean(saturation < 0.1) > 0.25
    assert np.mean(saturation > 0.3) > 0.15
    for name in PATTERNS[1:]:
        assert 100 < pattern(name).mean() < 245, name
