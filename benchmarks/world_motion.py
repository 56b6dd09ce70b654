"""Measures the simulator's motion: speed, planted feet, hands on what they hold, ambiguous texts.

    python -m benchmarks.world_motion --rooms 20 --clips 12

Makes clips of train rooms and people and prints one line per quantity. CPU time is this process' own, without rooms.
Stance speed is that of the slower of heel and toe of a planted foot, between two poses at 16 Hz. A miss is the distance
from a hand's grip to the handle while a part moves; a drift is how far a carried object moves in the hand. Motions that
a data set would reject are included, and counted by reason.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.skeleton import XSENS_JOINTS
from training.simulator.clip_maker import fault_of
from training.simulator.motion.operation_planning import grips_of
from training.simulator.people.hand_motion import grip_point
from training.simulator.rooms.plan import RoomPlan
from training.simulator.rooms.scene import SPLIT_SEEDS, build_room
from training.simulator.synthesis import synthesise
from training.simulator.synthetic_motion import RATE_HZ, SyntheticMotion

JOINT = {name: index for index, name in enumerate(XSENS_JOINTS)}
HANDLE_RADIUS_M = 0.011


def stance_speeds(motion: SyntheticMotion) -> NDArray[np.float64]:
    """Speeds (N,) m/s of planted feet."""
    toe = motion.offsets[JOINT["L_Toe"]]
    points = np.array([[-0.05, 0.0, 1.5 * toe[2]], toe])
    feet = [JOINT["L_Foot"], JOINT["R_Foot"]]
    turned = np.einsum("tfij,pj->tfpi", motion.rotations[:, feet].astype(float), points)
    soles = motion.positions[:, feet, None].astype(float) + turned
    speed = np.linalg.norm(np.diff(soles, axis=0), axis=-1).min(axis=-1) * RATE_HZ
    return np.asarray(speed[motion.contacts[1:] & motion.contacts[:-1]])


def handle_miss(motion: SyntheticMotion, room: RoomPlan) -> float:
    """Metres from the grip to the handle while a part moves, at worst; nan where nothing does."""
    worst = np.nan
    for name, values in motion.articulations.items():
        moving = np.gradient(values) != 0
        if not moving.any():
            continue
        target = next(t for t in room.targets if t.articulation == name)
        paths = [room.articulations[name].move(grip, values) for grip in grips_of(target)]
        hand = motion.meta["hand"]
        joint, size = JOINT["L_Hand" if hand == "left" else "R_Hand"], motion.meta["person"]["scale"]
        grip = motion.positions[:, joint] + motion.rotations[:, joint] @ (grip_point(hand, HANDLE_RADIUS_M) * size)
        worst = np.fmax(worst, min(np.linalg.norm(grip - path, axis=-1)[moving].max() for path in paths))
    return float(worst)


def drift_in_hand(motion: SyntheticMotion) -> float:
    """Metres that a carried object moves in the hand that is nearest to it, at worst; nan where none is carried."""
    worst = np.nan
    for path in motion.objects.values():
        moving = np.flatnonzero(np.linalg.norm(np.diff(path[:, :3, 3], axis=0), axis=-1) > 2e-3)
        if len(moving) < 4:
            continue
        held = slice(moving[0] + 1, moving[-1])
        options = []
        for joint in (JOINT["L_Hand"], JOINT["R_Hand"]):
            away = path[held, :3, 3] - motion.positions[held, joint]
            local = np.einsum("tji,tj->ti", motion.rotations[held, joint].astype(float), away)
            options.append(np.ptp(local, axis=0).max())
        worst = np.fmax(worst, min(options))
    return float(worst)


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--clips", type=int, default=12, help="of each room (default: %(default)s)")
    options = parser.parse_args()
    begin = SPLIT_SEEDS["train"].start
    rooms = [build_room(begin + index, "train")[1] for index in range(options.rooms)]
    made: list[tuple[SyntheticMotion, RoomPlan]] = []
    synthesise(np.random.default_rng(0), rooms[0])  # reads the captured gait
    start = time.process_time()
    for index, room in enumerate(rooms):
        made += [(synthesise(np.random.default_rng([index, k]), room), room) for k in range(options.clips)]
    cpu_ms = (time.process_time() - start) / len(made) * 1e3
    slides = np.concatenate([stance_speeds(motion) for motion, _ in made])
    misses = np.array([handle_miss(motion, room) for motion, room in made])
    drifts = np.array([drift_in_hand(motion) for motion, _ in made])
    faults = Counter(fault_of(motion, room) for motion, room in made)
    vague = Counter(motion.meta["ambiguous"] for motion, _ in made)
    print(f"clips: {len(made)}, of {len({m.behaviour for m, _ in made})} behaviours, CPU time {cpu_ms:.1f} ms each")
    print(f"stance speed, m/s: median {np.median(slides):.4f}, p99 {np.percentile(slides, 99):.4f}, n {len(slides)}")
    print(f"hand to handle, mm: worst {np.nanmax(misses) * 1e3:.2f} of {np.isfinite(misses).sum()} clips")
    print(f"drift in the hand, mm: worst {np.nanmax(drifts) * 1e3:.2f} of {np.isfinite(drifts).sum()} clips")
    rejected = [f"{name} {count / len(made):.1%}" for name, count in faults.items() if name]
    print("rejected in data sets: " + ", ".join(rejected))
    print("ambiguous: " + ", ".join(f"{name or 'no'} {count / len(made):.1%}" for name, count in sorted(vague.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
