"""What rooms and wearers look like: photographs by split, light, textures far and near."""

from __future__ import annotations

import numpy as np
import pytest

import training.simulator  # noqa: F401  before mujoco: chooses rendering without a screen

from ...shared_data import missing_extra, require_opengl

pytest.importorskip("mujoco", reason=missing_extra("world"))

from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import forward_kinematics, reference_offsets
from training.simulator.clip_maker import ClipOptions, room_clips
from training.simulator.render.clothes import PATTERNS, Clothing, pattern
from training.simulator.render.ego_renderer import EgoRenderer
from training.simulator.render.photometry import Photometry
from training.simulator.rooms.clutter import scatter
from training.simulator.rooms.lighting import RoomLight, Window
from training.simulator.rooms.photographs import ASSETS, PHOTOGRAPHS, names_of, photograph, relief
from training.simulator.rooms.plan import Solids
from training.simulator.rooms.scene import build_room, empty_spec
from training.simulator.rooms.site import Frame, Site
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


def _scene() -> np.ndarray:
    """Frames (4, 64, 64, 3) of a dim slope with a skin-coloured square that moves."""
    frames = np.zeros((4, 64, 64, 3), np.uint8) + np.linspace(40, 170, 64, dtype=np.uint8)[None, None, :, None]
    for k, frame in enumerate(frames):
        frame[20:40, 8 * k : 8 * k + 20] = (190, 140, 115)
    return frames


def test_a_camera_is_the_same_for_all_frames_of_a_clip_and_from_a_seed() -> None:
    frames = _scene()
    camera = Photometry.sample(np.random.default_rng(3), frames)
    assert camera == Photometry.sample(np.random.default_rng(3), frames)
    np.testing.assert_array_equal(camera(frames), camera(frames))
    still = np.repeat(frames[:1], 4, axis=0)
    quiet = Photometry(0.8, (1.05, 1, 0.95), 1.1, 1.1, 0.7, 0.004, 0.3)
    assert (quiet(still) == quiet(still)[:1]).all()
    np.testing.assert_allclose(Photometry()(frames[..., :1].repeat(3, -1)).mean(), frames[..., :1].mean(), atol=2)


def test_recorded_frames_are_never_black_or_blown_out_and_keep_their_contrast() -> None:
    frames, rng = _scene(), np.random.default_rng(0)
    looks = [(gain, Photometry.sample(rng, (gain * frames).astype(np.uint8))) for gain in (0.3, 0.5, 1.0, 1.4) * 60]
    means = []
    for gain, camera in looks:
        recorded = camera((gain * frames).astype(np.uint8)).astype(float)
        means.append(recorded.mean() / 255)
        assert (recorded > 250).mean() < 0.1, camera
        assert (recorded < 4).mean() < 0.3, camera
        skin, around = recorded[0, 24:36, 4:16].mean(axis=(0, 1)), recorded[0, 24:36, 30:44].mean(axis=(0, 1))
        assert np.abs(skin - around).max() > 8, camera
    assert 0.1 < min(means) < 0.3
    assert 0.4 < max(means) < 0.7
    assert np.std(means) > 0.05


def test_each_part_of_a_camera_does_what_it_says() -> None:
    frames = _scene()
    grey = np.full((2, 64, 64, 3), 110, np.uint8)
    assert Photometry(exposure=0.5)(grey).mean() == pytest.approx(55, abs=2)
    red, _, blue = Photometry(balance=(1.2, 1.0, 0.8))(grey).mean(axis=(0, 1, 2))
    assert red > 1.3 * blue
    chroma = Photometry(saturation=0.0)(frames)
    assert np.ptp(chroma.astype(int), axis=-1).max() <= 1
    shaded = Photometry(vignette=0.4)(grey).astype(float)
    assert shaded[:, 0, 0].mean() < 0.65 * shaded[:, 32, 32].mean()
    noisy = Photometry(noise=0.02, seed=1)(grey).astype(float)
    assert noisy.std() == pytest.approx(5.1, abs=1)
    assert np.abs(noisy[0] - noisy[1]).max() > 5
    sharp, soft = (np.abs(np.diff(Photometry(defocus=d)(frames).astype(float), axis=2)).max() for d in (0.0, 0.01))
    assert soft < 0.8 * sharp
    packed = Photometry(quality=60)(frames).astype(float)
    assert 0.2 < np.abs(packed - frames).mean() < 8
    assert packed[0, 30, 10, 0] > packed[0, 30, 10, 2] + 30  # red and blue stay where they are


def test_vary_look_changes_how_a_clip_is_recorded_and_nothing_else() -> None:
    require_opengl()
    made = [
        room_clips("train", 3, np.random.default_rng(5), 2, ClipOptions(32, vary_look=vary))[0]
        for vary in (False, True)
    ]
    for plain, varied in zip(*made, strict=True):
        assert plain["record"] == varied["record"]
        for name in plain.keys() - {"frames", "record"}:
            np.testing.assert_array_equal(plain[name], varied[name], err_msg=name)
        assert np.abs(plain["frames"].astype(float) - varied["frames"]).mean() > 2
        assert 0.1 < varied["frames"].mean() / 255 < 0.7


def test_clutter_is_muted_keeps_places_free_and_stops_nobody() -> None:
    site = Site(empty_spec(), looks=np.random.default_rng(1))
    frame, places = Frame(site, np.zeros(3), 0.0), [(-0.4, 0.5), (0.4, 0.5)]
    for _ in range(20):
        scatter(frame, (-0.7, 0.0), (0.7, 0.7), 0.8, places)
    things = [(np.array(geom.pos), np.array(geom.rgba[:3])) for geom in site.spec.worldbody.geoms]
    assert len(things) > 30
    assert not len(site.solids().centre)
    for where, colour in things:
        assert min(np.abs(where[:2] - place).max() for place in places) > 0.1
        assert np.ptp(colour) < 0.35
        assert where[2] >= 0.8


def test_textures_seen_at_grazing_angles_do_not_flicker() -> None:
    """Mipmaps and two samples a pixel along each axis come near to what many samples show."""
    require_opengl()
    images = []
    for samples in (2, 8):
        spec, plan = build_room(8, "train", "living room")
        renderer = EgoRenderer(spec, 64, samples, articulations=plan.articulations)
        renderer.mount = Mount.looking_forward((0.1, 0.0, -0.9), 0.0)  # 70 cm over the floor, level
        rotations = np.tile(np.eye(3), (12, 23, 1, 1))
        roots = np.array([0.0, 0.0, 0.93]) + np.linspace(0, 0.05, 12)[:, None] * (1, 0, 0)
        positions = np.stack([forward_kinematics(root, rotations[0], reference_offsets()) for root in roots])
        images.append(renderer.render(positions, rotations).images.astype(float))
        renderer.close()
    few, many = images
    assert np.abs(few - many).mean() < 2.5
    flicker, motion = (np.abs(np.diff(each, axis=0)).mean() for each in (few, many))
    assert flicker < 1.5 * motion + 0.2
