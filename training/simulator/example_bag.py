"""Makes the recording that the repository ships: a walk through a test-split room.

`python -m training.simulator.example_bag`

It holds what a head camera and a body tracker send: raw images at 8 Hz with camera_info, and body poses at 16 Hz.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.io.bags import BagWriter, Topics
from training.simulator.clip_maker import POSES_PER_FRAME, fault_of, room_motion_of
from training.simulator.render.clothes import Clothing
from training.simulator.render.ego_renderer import FOV, EgoRenderer
from training.simulator.rooms.plan import NoRoomError
from training.simulator.rooms.scene import SPLIT_SEEDS, build_room
from training.simulator.synthesis import synthesise_sequence
from training.simulator.synthetic_motion import RATE_HZ, SyntheticMotion

START_NS = 1_760_000_000_000_000_000  # an arbitrary wall-clock time
IMAGE_SIZE = 192
BEHAVIOURS = ("stand_still", "turn_left_walk", "turn_right")
SECONDS_EACH = 4.0
ROOM, WEARER = 31, 1  # a living room; the turn brings its other half into view


def record(
    path: Path, room: int = ROOM, wearer: int = WEARER, behaviours: Sequence[str] = BEHAVIOURS
) -> SyntheticMotion:
    """Writes the recording of one person in one room of the test split.

    Args:
        path: the .mcap file.
        room: number of the room within the test split. wearer: seed of body, clothing and motion.
        behaviours: names of actions, four seconds each.

    Raises:
        NoRoomError: the room has no space for these actions, or the body passes through something.
    """
    rng = np.random.default_rng(wearer)
    spec, plan = build_room(SPLIT_SEEDS["test"][room], "test")
    motion = synthesise_sequence(rng, plan, list(behaviours), SECONDS_EACH, split="test")
    if fault := fault_of(motion, plan):
        raise NoRoomError(f"room {room}, wearer {wearer}: the motion has a fault ({fault}); choose another wearer")
    renderer = EgoRenderer(spec, IMAGE_SIZE, fine=True, articulations=plan.articulations)
    renderer.wear(motion.offsets, Clothing.sample(rng))
    poses = motion.positions[::POSES_PER_FRAME], motion.rotations[::POSES_PER_FRAME]
    seen = renderer.render(*poses, room_motion_of(motion))
    renderer.close()
    matrix = Pinhole.from_fov(IMAGE_SIZE, IMAGE_SIZE, FOV).matrix
    with BagWriter(path) as bag:
        for step, (positions, rotations) in enumerate(zip(motion.positions, motion.rotations, strict=True)):
            stamp = START_NS + round(step * 1e9 / RATE_HZ)
            bag.write_body_pose(stamp, "map", positions, rotations)
            if step % POSES_PER_FRAME == 0:
                bag.write_camera_info(
                    Topics.camera_info, stamp, "camera_optical", width=IMAGE_SIZE, height=IMAGE_SIZE, matrix=matrix
                )
                bag.write_image(Topics.image, stamp, "camera_optical", seen.images[step // POSES_PER_FRAME])
    return motion


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("examples/bags/living_room.mcap"), help="default: %(default)s")
    parser.add_argument("--room", type=int, default=ROOM, help="room of the test split (default: %(default)s)")
    parser.add_argument("--wearer", type=int, default=WEARER, help="seed of the person (default: %(default)s)")
    options = parser.parse_args(argv)
    motion = record(options.out, options.room, options.wearer)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB, {motion.meta['duration_s']:.0f} s: {motion.text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
