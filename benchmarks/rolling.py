"""Continuity of a rolled imagination: how much head and frames change at the seams and elsewhere.

python -m benchmarks.rolling --horizon 24 --goals "0:walk forward" "8:turn left" "14:stand still"

Printed for each continuity, over all samples, as medians at the seams / where one latent ends and the next begins
inside a window / inside a latent:
  step    head displacement from one pose to the next, cm (at a seam: across it)
  dv      change of the head's velocity there, m/s
  turn    head rotation from one pose to the next, degrees
  frame   mean absolute difference of neighbouring frames, grey levels of 255
and how far the head moved in all, with its height and tilt at the start and at the end.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from egotwin_model.egotwin.pipeline import BodyState, EgoTwinPipeline, Imagination
from egotwin_model.egotwin.rolling import Continuity
from egotwin_model.geometry.camera import rectify
from egotwin_model.geometry.rotations import matrix_from_quaternion, rotation_angle
from egotwin_model.io.bags import BagReader, Topics
from egotwin_model.io.images import decode_image

ROOT = Path(__file__).parents[1]


def start_of(bag_path: Path, pipeline: EgoTwinPipeline) -> tuple[NDArray[np.uint8], BodyState]:
    """A recording's last image in the model's view, and the pose nearest to it."""
    with BagReader(bag_path) as bag:
        _, stamp, image = list(bag.messages([Topics.image]))[-1]
        _, _, info = next(iter(bag.messages([Topics.camera_info])))
        _, _, body = min(bag.messages([Topics.body_pose]), key=lambda message: abs(message[1] - stamp))
    view = rectify(decode_image(image), np.reshape(info.k, (3, 3)), info.d, info.distortion_model, pipeline.info.camera)
    positions = np.array([[p.position.x, p.position.y, p.position.z] for p in body.poses])
    quaternions = np.array([[p.orientation.x, p.orientation.y, p.orientation.z, p.orientation.w] for p in body.poses])
    return view, BodyState(positions, matrix_from_quaternion(quaternions))


def seam_figures(outcome: Imagination, pose_rate: float, frame_rate: float) -> dict[str, tuple[float, ...]]:
    """Medians (at seams, at other latents' borders, elsewhere) of the figures the module's docstring lists."""
    head, rotation = outcome.motion.head_positions, outcome.motion.head_rotations
    step = np.linalg.norm(np.diff(head, axis=1), axis=-1)
    change = np.linalg.norm(np.diff(head, n=2, axis=1), axis=-1) * pose_rate
    turn = np.rad2deg(rotation_angle(rotation[:, :-1], rotation[:, 1:]))
    frames = np.abs(np.diff(outcome.frames.astype(np.int16), axis=1)).mean(axis=(2, 3, 4))
    times = np.array(outcome.seam_times)
    pose_seams, frame_seams = (np.round(times * rate).astype(int) for rate in (pose_rate, frame_rate))
    # the step after pose n is step[n]; the velocity changes at pose n, which is change[n − 1]
    series = {
        "step": (100 * step, pose_seams, 0), "dv": (change, pose_seams, 1), "turn": (turn, pose_seams, 0),
        "frame": (frames, frame_seams, 0),
    }  # fmt: skip
    figures = {}
    for name, (values, seams, before) in series.items():
        index = np.arange(values.shape[1]) + before
        starts = np.array([0, *seams])
        place = (index - starts[np.searchsorted(starts, index, side="right") - 1]) % 4  # 0: a latent's last pose
        at_seam = np.isin(index, seams)
        kinds = (at_seam, (place == 0) & ~at_seam, place >= 2)
        figures[name] = tuple(float(np.median(values[:, kind])) for kind in kinds)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "egotwin-mini")
    parser.add_argument("--bag", type=Path, default=ROOT / "examples" / "bags" / "living_room.mcap")
    parser.add_argument("--horizon", type=float, default=24.0, help="seconds")
    parser.add_argument("--overlap", type=float, default=1.0, help="seconds of context")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--steps", type=int, help="sampler steps; default: the model's own")
    parser.add_argument("--goals", nargs="+", default=["0:walk forward", "8:turn left", "14:stand still"])
    parser.add_argument("--continuity", nargs="+", default=list(get_args(Continuity)), choices=get_args(Continuity))
    arguments = parser.parse_args()
    pipeline = EgoTwinPipeline.from_pretrained(arguments.model, runtime="torch")
    info = pipeline.info
    view, pose = start_of(arguments.bag, pipeline)
    goals = [(float(begin), text) for begin, text in (goal.split(":", 1) for goal in arguments.goals)]
    for continuity in arguments.continuity:
        began = time.perf_counter()
        outcome = pipeline.roll(
            goals, view, pose, horizon_s=arguments.horizon, continuity=continuity, overlap_s=arguments.overlap,
            num_samples=arguments.samples, num_steps=arguments.steps, seed=0,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        figures = seam_figures(outcome, info.pose_rate, info.frame_rate)
        listed = "  ".join(f"{name} {' / '.join(f'{value:.2f}' for value in kinds)}" for name, kinds in figures.items())
        head, up = outcome.motion.head_positions, outcome.motion.head_rotations[..., 2, 2]
        moved = np.linalg.norm(np.diff(head[..., :2], axis=1), axis=-1).sum(1).mean()
        tilt = np.rad2deg(np.arccos(np.clip(up, -1, 1)))
        print(f"{continuity:8} {len(outcome.seam_times)} seams  {listed}")
        print(
            f"         moved {moved:.1f} m  height {head[0, 0, 2]:.2f} → {head[:, -1, 2].mean():.2f} m  "
            f"tilt {tilt[0, 0]:.1f} → {tilt[:, -1].mean():.1f}°  in {seconds:.0f} s"
        )


if __name__ == "__main__":
    main()
