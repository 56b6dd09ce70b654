"""Makes one simulated clip: a motion that is possible in its room, the camera's frames, and labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.rotations import rotation_angle, rotation_z
from egotwin_model.geometry.skeleton import HEAD
from training.actions.surface import with_surface
from training.actions.wording import AMBIGUOUS_SHARE
from training.datasets.clips.shards import PAST_KEYFRAMES
from training.simulator.capture_library import CaptureLibrary
from training.simulator.render.canvas import RoomMotion
from training.simulator.render.clothes import Clothing
from training.simulator.render.ego_renderer import FOV, EgoRenderer, LabelOptions, RenderedFrames, outside_camera
from training.simulator.render.photometry import Photometry
from training.simulator.rooms.collisions import ALLOWED_M, penetration
from training.simulator.rooms.plan import NoRoomError, RoomPlan
from training.simulator.rooms.scene import SPLIT_SEEDS, build_room, wall_style
from training.simulator.synthesis import synthesise, synthesise_long_sequence
from training.simulator.synthetic_motion import LEAST_PAST_S, RATE_HZ, PastPoses, SyntheticMotion

POSES_PER_FRAME = 2  # motion at 16 Hz, video at 8 Hz
MOST_PAST_S = 8.0
MOST_MOVED = 4  # articulations and objects whose states a clip holds
MAX_TRIES = 40
FOV_DEG, DOWN_DEG, ROLL_DEG, SHIFT_M = (55, 120), (-10, 45), (-5, 5), 0.03  # of varied cameras
HEAD_SNAP_RPS, SNAP_RPS = float(np.radians(400)), float(np.radians(1000))  # over a sixteenth of a second
SUPERSAMPLE = 2
BODY_SEEDS = {split: range(k << 40, (k + 1) << 40) for k, split in enumerate(SPLIT_SEEDS)}
"""Seeds of bodies, clothes and motions of each split; disjoint, so no body is in two splits."""


@dataclass(frozen=True)
class ClipOptions:
    """What a clip is made with; everything here is part of a data set's settings.

    Attributes:
        size: side of the square frames, pixels.
        vary_camera: a random field of view (`FOV_DEG`) and mount (within 3 cm of the mini model's, `DOWN_DEG` and
            `ROLL_DEG`) for each clip; otherwise every clip has the mini model's camera.
        vary_look: another exposure, white balance, tone, blur, noise, vignette and JPEG for each clip (`photometry`).
        outside: also render each clip from a camera in a corner of the room.
        hand_pixels, depth, segmentation: labels that cost rendering time.
        past_s: seconds of the longest past; half of the clips then have keyframes from before they begin.
        keyframe_depth: depth of the first frame, and where it and the keyframes of the past show the wearer.
        mocap: folder of motion capture (`training.datasets.mocap`) used in addition; "" for none.
        ambiguous: share of texts made ambiguous on purpose, where they can be and are not anyway.
    """

    size: int = 64
    vary_camera: bool = False
    outside: bool = False
    hand_pixels: bool = False
    depth: bool = False
    segmentation: bool = False
    mocap: str = ""
    ambiguous: float = AMBIGUOUS_SHARE
    past_s: float = 0.0
    keyframe_depth: bool = False
    vary_look: bool = False

    def __post_init__(self) -> None:
        if self.past_s and not LEAST_PAST_S <= self.past_s <= MOST_PAST_S:
            raise ValueError(f"a past of {self.past_s:g} s: wanted 0 for none, or {LEAST_PAST_S} to {MOST_PAST_S} s")

    @property
    def labels(self) -> LabelOptions:
        return LabelOptions(self.hand_pixels, self.depth, self.segmentation)


def room_clips(
    split: str, room_seed: int, rng: np.random.Generator, count: int, options: ClipOptions
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """`count` clips in one room, each of another person, as tensors and a "record"; and counts of rejected motions."""
    spec, plan = build_room(room_seed, split)
    renderer = EgoRenderer(spec, options.size, SUPERSAMPLE, fine=options.size >= 256, articulations=plan.articulations)
    redrawn: Counter[str] = Counter()
    try:
        bodies = [BODY_SEEDS[split][int(rng.integers(len(BODY_SEEDS[split])))] for _ in range(count)]
        clips = [_clip(renderer, plan, split, body, options, redrawn) for body in bodies]
    finally:
        renderer.close()
    return clips, redrawn


@lru_cache(maxsize=2)
def library_of(folder: str) -> CaptureLibrary | None:
    """The motion capture in a folder, read once per process; None for no folder."""
    return CaptureLibrary.load(folder) if folder else None


def sample_motion(
    rng: np.random.Generator,
    plan: RoomPlan,
    split: str,
    redrawn: Counter[str],
    library: CaptureLibrary | None = None,
    ambiguous: float = AMBIGUOUS_SHARE,
    long_s: float = 0.0,
    past_s: float = 0.0,
) -> SyntheticMotion:
    """A random motion that stays inside the room and passes through nothing; `redrawn` counts rejected ones by reason.

    Args:
        long_s: seconds of a long sequence of random actions; 0 for a clip of 5 s.
        past_s: of a clip: seconds of the longest past, see `synthesise`.

    Raises:
        NoRoomError: all of `MAX_TRIES` motions were rejected.
    """
    for _ in range(MAX_TRIES):
        if long_s:
            motion = synthesise_long_sequence(rng, plan, long_s, split=split)
        else:
            motion = synthesise(rng, plan, split=split, library=library, ambiguous=ambiguous, past_s=past_s)
        fault = fault_of(motion, plan)
        if not fault:
            return motion
        redrawn[fault] += 1
    raise NoRoomError(f"room {plan.seed}: no motion keeps clear of its walls and furniture in {MAX_TRIES} tries")


def fault_of(motion: SyntheticMotion, plan: RoomPlan) -> str:
    """Why a motion is rejected: "outside", "snap" (a part turns faster than people can), "penetration", "past" (either
    of the first and the last, in its past); else ""."""
    if _outside(motion.positions, plan):
        return "outside"
    turning = rotation_angle(motion.rotations[:-1], motion.rotations[1:]) * RATE_HZ
    if turning[:, HEAD].max() > HEAD_SNAP_RPS or turning.max() > SNAP_RPS:
        return "snap"
    steps = slice(None, None, POSES_PER_FRAME)
    parts = {name: values[steps] for name, values in motion.articulations.items()}
    if penetration(plan, motion.positions[steps], motion.rotations[steps], parts) > ALLOWED_M:
        return "penetration"
    past = motion.past
    if past is not None and (
        _outside(past.positions, plan)
        or penetration(plan, past.positions, past.rotations, past.articulations) > ALLOWED_M
    ):
        return "past"
    return ""


def _outside(positions: NDArray[np.float32], plan: RoomPlan) -> bool:
    """Whether any joint (T, 23, 3) is outside of a plan of one room."""
    reach = np.abs(positions[..., :2]).reshape(-1, 2).max(axis=0)
    return bool((reach > np.array(plan.size) / 2 - 0.03).any()) and not plan.rooms


def sample_camera(rng: np.random.Generator, options: ClipOptions) -> tuple[Mount, Pinhole]:
    """A clip's camera: the mini model's, or one near it."""
    default = Mount()
    if not options.vary_camera:
        return default, Pinhole.from_fov(options.size, options.size, FOV)
    shift = np.array(default.translation) + rng.uniform(-SHIFT_M, SHIFT_M, 3)
    level = Mount.looking_forward(shift.tolist(), float(np.radians(rng.uniform(*DOWN_DEG))))
    rolled = np.array(level.rotation) @ rotation_z(float(np.radians(rng.uniform(*ROLL_DEG))))  # about the optical axis
    fov = float(np.radians(rng.uniform(*FOV_DEG)))
    return replace(level, rotation=rolled), Pinhole.from_fov(options.size, options.size, fov)


def room_motion_of(motion: SyntheticMotion, frames: int | None = None) -> RoomMotion:
    """What moves besides the wearer, one row per frame; of the first frames only, where their number is given."""
    rows = slice(0, frames and frames * POSES_PER_FRAME, POSES_PER_FRAME)
    return RoomMotion(
        {name: values[rows] for name, values in motion.articulations.items()},
        {name: poses[rows] for name, poses in motion.objects.items()},
        motion.fingers[rows],
    )


def _clip(
    renderer: EgoRenderer, plan: RoomPlan, split: str, body_seed: int, options: ClipOptions, redrawn: Counter[str]
) -> dict[str, Any]:
    rng = np.random.default_rng(body_seed)
    library = library_of(options.mocap)
    motion = sample_motion(rng, plan, split, redrawn, library, options.ambiguous, past_s=options.past_s)
    seen = render_view(renderer, motion, rng, options)
    room_motion = room_motion_of(motion)
    poses = motion.positions[::POSES_PER_FRAME], motion.rotations[::POSES_PER_FRAME]
    clip = {
        "frames": seen.images, "positions": motion.positions, "rotations": motion.rotations,
        "offsets": motion.offsets.astype(np.float32), "camera_pose": seen.camera_pose,
        "hand_visible": seen.hand_visible, "intrinsics": _intrinsics(seen.intrinsics),
        "mount": renderer.mount.matrix.astype(np.float32), "contacts": motion.contacts.astype(np.uint8),
        "step_phase": motion.step_phase.astype(np.float32), "fingers": motion.fingers.astype(np.float32),
        **moved_states(motion), **optional_labels(seen), **keyframe_arrays(renderer, motion, options),
    }  # fmt: skip
    if options.outside:
        view = outside_camera(rng, plan, poses[0][:, HEAD])
        other = renderer.render_outside(view, *poses, room_motion)
        clip |= {
            "outside_frames": other.images, "outside_pose": view.astype(np.float32),
            "outside_intrinsics": _intrinsics(other.intrinsics),
        }  # fmt: skip
    plain = split != "train" or motion.meta.get("ambiguous")
    text = motion.text if plain else with_surface(rng, motion.text)
    about = {"text": text, "behaviour": motion.behaviour, **origin_of(motion, plan, split, body_seed)}
    return clip | {"record": about | motion.meta}


def render_view(
    renderer: EgoRenderer, motion: SyntheticMotion, rng: np.random.Generator, options: ClipOptions
) -> RenderedFrames:
    """The wearer's view at 8 Hz, with random clothes and camera; the renderer keeps the camera and its photometry."""
    renderer.wear(motion.offsets, Clothing.sample(rng))
    renderer.mount, renderer.camera = sample_camera(rng, options)
    poses = motion.positions[::POSES_PER_FRAME], motion.rotations[::POSES_PER_FRAME]
    renderer.photometry = None
    seen = renderer.render(*poses, room_motion_of(motion), options.labels)
    photometry = Photometry.sample(rng, seen.images)  # in any case: what is sampled after it stays the same
    if not options.vary_look:
        return seen
    renderer.photometry = photometry
    return replace(seen, images=photometry(seen.images))


def keyframe_arrays(renderer: EgoRenderer, motion: SyntheticMotion, options: ClipOptions) -> dict[str, NDArray[Any]]:
    """What a clip's first frame and the keyframes of its past show, as the options ask for (`shards`).

    Args:
        renderer: with the clip's wearer and camera, as `render_view` leaves it.
    """
    labels = LabelOptions(depth=True, body=options.keyframe_depth)
    arrays: dict[str, NDArray[Any]] = {}
    if options.keyframe_depth:
        first = renderer.render(motion.positions[:1], motion.rotations[:1], room_motion_of(motion, 1), labels)
        assert first.depth is not None
        assert first.body is not None
        arrays |= {"first_depth": first.depth[0], "first_body": first.body[0]}
    if options.past_s:
        arrays |= _past_arrays(renderer, motion.past, labels)
    return arrays


def _past_arrays(renderer: EgoRenderer, past: PastPoses | None, labels: LabelOptions) -> dict[str, NDArray[Any]]:
    count, side = PAST_KEYFRAMES, renderer.size
    arrays: dict[str, NDArray[Any]] = {
        "past_frames": np.zeros((count, side, side, 3), np.uint8),
        "past_depth": np.zeros((count, side, side), np.float16),
        "past_camera_pose": np.zeros((count, 4, 4), np.float32),
        "past_time": np.full(count, np.nan, np.float32),
        **({"past_body": np.zeros((count, side, side), np.uint8)} if labels.body else {}),
    }
    if past is not None:
        seen = renderer.render(
            past.positions, past.rotations, RoomMotion(past.articulations, past.objects, past.fingers), labels
        )
        found = {
            "past_frames": seen.images, "past_depth": seen.depth, "past_camera_pose": seen.camera_pose,
            "past_time": past.time, "past_body": seen.body,
        }  # fmt: skip
        for name, rows in arrays.items():
            rows[: len(past.time)] = found[name]
    return arrays


def origin_of(
    motion: SyntheticMotion, plan: RoomPlan, split: str, body_seed: int, most_moved: int = MOST_MOVED
) -> dict[str, Any]:
    """A record's entries about the room, the body and the things that move."""
    return {
        "room_seed": plan.seed, "body_seed": body_seed,
        "room_kind": plan.kind, "wall_style": wall_style(plan.seed, split),
        "things": [target.name for target in plan.of_kind("object")],
        "articulations": sorted(motion.articulations)[:most_moved], "objects": sorted(motion.objects)[:most_moved],
    }  # fmt: skip


def moved_states(motion: SyntheticMotion, most_moved: int = MOST_MOVED) -> dict[str, NDArray[np.float32]]:
    """Values (T, most) and poses (T, most, 4, 4) of what moves, in the order of their names."""
    count = len(motion.positions)
    values = np.zeros((count, most_moved), np.float32)
    poses = np.zeros((count, most_moved, 4, 4), np.float32)
    for k, name in enumerate(sorted(motion.articulations)[:most_moved]):
        values[:, k] = motion.articulations[name]
    for k, name in enumerate(sorted(motion.objects)[:most_moved]):
        poses[:, k] = motion.objects[name]
    return {"articulations": values, "objects": poses}


def _intrinsics(camera: Pinhole) -> NDArray[np.float32]:
    return np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float32)


def optional_labels(seen: RenderedFrames) -> dict[str, NDArray[Any]]:
    """The labels that are only rendered on request."""
    named = {"hand_pixels": seen.hand_pixels, "depth": seen.depth, "segmentation": seen.segmentation}
    return {name: values for name, values in named.items() if values is not None}
