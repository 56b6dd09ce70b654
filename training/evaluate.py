"""``egotwin evaluate``: what a model folder does on starts it has never seen, beside the baselines it must beat.

Rooms, bodies and wordings are the test split's. Without `--report`, a few figures are printed, each with what it is
measured on (`--out` keeps them as JSON); with it, the whole benchmark is run: see docs/evaluation.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from egotwin_model.errors import EgoTwinError, RecordingError
from egotwin_model.files import write_json
from egotwin_model.motion import BodyMotion, HeadCentric
from egotwin_model.pipeline import BodyState, EgoTwinPipeline, Imagination
from egotwin_model.skeleton import HEAD
from egotwin_model.store import verify, write_manifest
from training.evaluation import (
    constant_velocity,
    displacement,
    heading_change,
    path_error,
    turn_direction,
    yaw_shift_correlation,
    zero_motion,
)
from training.evaluation.command import add_options, run, tasks
from training.evaluation.report import print_results
from training.sequences.dataset import ClipSet, open_clips
from training.world.narration import phrases

TURN_DEG, WALK_M, STAND_M = 30.0, 2.0, 0.2
STANDING = ("turn_left", "turn_right", "stand_still", "turn_around_left", "turn_around_right")
OBEDIENCE = {  # what is asked: the wording's kind, its side, and the clips whose first frame and pose are the starts
    "turn left": ("turn_left", "left", ("turn_left", "turn_right", "stand_still")),
    "turn right": ("turn_right", "right", ("turn_left", "turn_right", "stand_still")),
    "walk": ("walk_forward", "", ("walk_forward",)),
    "stand still": ("stand_still", "", STANDING),
}


class Evaluation:
    """A pipeline on the clips of one split; everything is seeded by the clip's number."""

    def __init__(self, pipeline: EgoTwinPipeline, clips: ClipSet, starts: int) -> None:
        self.pipeline, self.clips, self.starts = pipeline, clips, starts

    def of_kind(self, behaviours: Iterable[str]) -> list[int]:
        """The first `starts` clips of the given behaviours; fewer is an error, never a smaller sample."""
        wanted = set(behaviours)
        found = [i for i, record in enumerate(self.clips.records) if record["behaviour"] in wanted][: self.starts]
        if len(found) < self.starts:
            raise RecordingError(
                f"{self.clips.folder} has {len(found)} clips of {sorted(wanted)}, {self.starts} are wanted; "
                "make more clips or ask for fewer --starts"
            )
        return found

    def imagine(self, clip: int, goal: str, **options: Any) -> Imagination:
        """From the clip's first frame and pose."""
        pose = BodyState(self.clips.tensor("positions", clip)[0], self.clips.tensor("rotations", clip)[0])
        return self.pipeline(goal, self.clips.tensor("frames", clip)[0], pose, seed=clip, **options)

    def obedience(self) -> dict[str, float]:
        """Share of starts on which the decoded motion does what was asked, by `TURN_DEG`, `WALK_M` and `STAND_M`."""
        shares = {}
        for asked, (behaviour, side, behaviours) in OBEDIENCE.items():
            wordings = phrases(behaviour, "test")
            done = []
            for number, clip in enumerate(tqdm(self.of_kind(behaviours), desc=asked, leave=False)):
                goal = wordings[number % len(wordings)].format(side=side)
                motion = self.imagine(clip, goal, mode="motion").motion
                turned = float(np.rad2deg(heading_change(motion.head_rotations[0])))
                moved = float(displacement(motion.head_positions[0]))
                done.append(
                    {"turn left": turned > TURN_DEG, "turn right": turned < -TURN_DEG, "walk": moved > WALK_M}.get(
                        asked, moved < STAND_M
                    )
                )
            shares[asked] = float(np.mean(done))
        return shares

    def views_from_motion(self) -> dict[str, float]:
        """Mode "video" along the true motion: does the picture turn with the head, and how near is it to the truth."""
        spread = np.linspace(0, len(self.clips) - 1, self.starts).astype(int).tolist()
        truth = np.stack([self.clips.tensor("frames", clip) for clip in spread])
        found, rotations = [], []
        for clip in tqdm(spread, desc="video from motion", leave=False):
            motion = _motion_of(self.clips, clip)
            goal = str(self.clips.records[clip]["text"])
            found.append(self.imagine(clip, goal, mode="video", motion=motion).frames[0])
            rotations.append(motion.head_rotations[::2])
        frames, heads = np.stack(found), np.stack(rotations)
        codec = self.pipeline.codec  # what of the true clips passes through it bounds what can be imagined
        coded = np.concatenate([codec.decode_frames(codec.encode_frames(clip[None])) for clip in truth])
        correlations = {
            f"yaw_shift_correlation_{step}{of}": yaw_shift_correlation(shown, heads, window=window)
            for step, window in (("per_frame", 1), ("per_half_second", 4))
            for of, shown in (("", frames), ("_codec", coded), ("_truth", truth))
        }
        right, turning = turn_direction(frames, heads, np.deg2rad(TURN_DEG))
        return {
            **correlations,
            "turn_direction_right": right,
            "turn_direction_clips": turning,
            "psnr_db_2_to_5_s": _psnr(frames[:, 16:], truth[:, 16:]),
            "psnr_db_2_to_5_s_repeat_first_frame": _psnr(truth[:, :1], truth[:, 16:]),
        }

    def head_path(self, mean_paths: dict[str, NDArray[np.float64]]) -> dict[str, float]:
        """Mode "joint" with the clip's own goal: head position error after 5 s, beside the baselines (metres)."""
        spread = np.linspace(0, len(self.clips) - 1, self.starts).astype(int).tolist()
        errors: dict[str, list[float]] = {}
        for clip in tqdm(spread, desc="head path", leave=False):
            record, truth = self.clips.records[clip], _motion_of(self.clips, clip)
            path = np.asarray(truth.head_positions, dtype=np.float64)
            imagined = self.imagine(clip, str(record["text"])).motion.head_positions[0]
            mean = truth.head_rotations[0] @ mean_paths[record["behaviour"]][..., None]
            candidates = {
                "model": imagined,
                "mean path of the behaviour": mean[..., 0] + path[0],
                "constant velocity": constant_velocity(path),
                "zero motion": zero_motion(path),
            }
            for name, candidate in candidates.items():
                errors.setdefault(name, []).append(path_error(candidate, path)["FDE"])
        return {name: float(np.mean(values)) for name, values in errors.items()}


def mean_head_paths(clips: ClipSet) -> dict[str, NDArray[np.float64]]:
    """Mean head path (T, 3) of every behaviour, in the frame of the first head pose."""
    behaviours = np.array([record["behaviour"] for record in clips.records])
    representation = HeadCentric()
    start = representation.slices["h_p"]
    paths = np.concatenate(
        [
            representation.encode(s["positions"], s["rotations"])[..., start]
            for s in clips.shards("positions", "rotations")
        ]
    )
    return {str(name): paths[behaviours == name].mean(0).astype(np.float64) for name in np.unique(behaviours)}


def _motion_of(clips: ClipSet, clip: int) -> BodyMotion:
    positions, rotations = clips.tensor("positions", clip), clips.tensor("rotations", clip)
    return BodyMotion(positions, rotations, positions[:, HEAD], rotations[:, HEAD])


def _psnr(frames: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Mean over clips of the PSNR of all their frames, dB."""
    error = (frames.astype(np.float32) - truth.astype(np.float32)).reshape(len(truth), truth.shape[1], -1)
    return float((10 * np.log10(255.0**2 / np.square(error).mean((1, 2)))).mean())


def evaluate(model: Path, data: Path, starts: int, runtime: str) -> dict[str, Any]:
    """All measurements of a model folder on ``data/test``; baselines are fitted on ``data/train``."""
    pipeline = EgoTwinPipeline.from_pretrained(model, runtime)
    run = Evaluation(pipeline, open_clips(data / "test"), starts)
    return {
        "model": pipeline.info.name,
        "starts": starts,
        "obedience": run.obedience(),
        "video_from_motion": run.views_from_motion(),
        "head_position_error_after_5_s_m": run.head_path(mean_head_paths(open_clips(data / "train"))),
    }


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin evaluate``."""
    parser = argparse.ArgumentParser(prog="egotwin evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/egotwin-mini"))
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and test/ clips")
    parser.add_argument("--starts", type=int, default=40)
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--record", action="store_true", help="keep the metrics in the model folder's manifest")
    add_options(parser)
    arguments = parser.parse_args(argv)
    try:
        if arguments.tasks is not None:
            tasks(arguments)
            return 0
        if arguments.report is not None:
            print_results(run(arguments))
            return 0
        metrics = evaluate(arguments.model, arguments.data, arguments.starts, arguments.runtime)
    except EgoTwinError as error:
        print(f"egotwin evaluate: {error}")
        return 1
    for group, values in metrics.items():
        for name, value in values.items() if isinstance(values, dict) else [("", values)]:
            print(f"{group} {name}".rstrip() + (f": {value:.3f}" if isinstance(value, float) else f": {value}"))
    if arguments.out is not None:
        write_json(arguments.out, metrics)
    if arguments.record:
        write_manifest(arguments.model, {**verify(arguments.model), "metrics": metrics})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
