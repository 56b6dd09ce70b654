"""The quick evaluation: what `egotwin evaluate` prints without `--report`, in minutes on two cores.

```
own goals      joint, the clip's own text ──── obedience by kind · head path beside its baselines · feet
either side    joint, goals "turn left" and "turn right" for every standing start ── obedience · view and head agree
given motion   video along the true motion ─── PSNR · view and head agree; once more with the opposite text
codecs         true clips, encoded and decoded ─── the upper bound of the figures above
```

Every clip is measured as in the report (`measure`, `pool`), with 95 % intervals over clips; its noise depends on its
number alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from egotwin_model.egotwin.clip_codec import repeated
from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from egotwin_model.errors import GoalError, RecordingError
from egotwin_model.geometry.rotations import rotation_angle
from egotwin_model.motion.head_path import heading_change
from training.actions.vocabulary import kind_of
from training.actions.wording import Clause, goal_text
from training.datasets.clips.dataset import open_clips
from training.evaluation.benchmark.baselines import Library, constant_motion, frozen
from training.evaluation.benchmark.imagining import check_cameras, imagined
from training.evaluation.benchmark.in_process import measure_in_process
from training.evaluation.benchmark.pooling import pool
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.metrics.intervals import mean_figure, share_figure
from training.evaluation.metrics.metric_family import Parts
from training.evaluation.metrics.obedience import KINDS, kinds_of
from training.evaluation.metrics.path_errors import distances
from training.evaluation.metrics.predicted_clip import Mode, Prediction, RealClip, as_prediction
from training.evaluation.metrics.psnr import psnr
from training.evaluation.metrics.view_turns import TURNED_RAD

STANDING = ("turn", "turn_around", "stand_still")
SIDES = ("left", "right")
VIEWS = {
    "view turns with the head": "correlation_per_frame",
    "view turns with the head, over half seconds": "correlation_per_half_second",
    "view turns to the head's side": "turns_to_the_same_side",
}
QUALITY = {"PSNR 0–1 s": "psnr_db_0_to_1_s", "PSNR 2–5 s": "psnr_db_2_to_5_s"}
FUTURES = 8  # samples of each clip, whose mean head path is compared with mean paths
BODY = ("foot sliding", "stance sliding", "feet standing", "floor penetration", "jerk")
Figures = dict[str, dict[str, float]]
"""By name: "value", "low" and "high" (95 %), "clips", and what the value is compared with."""


def evaluate(pipeline: EgoTwinPipeline, data: Path, starts: int) -> dict[str, Any]:
    """All figures of a model of video and motion on ``data/test``; baselines are fitted on ``data/train``.

    Args:
        starts: clips of each measurement; own goals have twice as many, and more of rare kinds.

    Raises:
        GoalError: a model that lacks a modality, or has one timestep for both. RecordingError: too few clips.
    """
    if not (pipeline.has_video and pipeline.has_motion and pipeline.config.asynchronous):
        raise GoalError(
            f"{pipeline.info.name} does not imagine in every mode: measure it by --report and its own --mode"
        )
    run = QuickEvaluation(pipeline, data, starts)
    return {
        "model": pipeline.info.name, "starts": starts, **run.own_goals(), **run.either_side(), **run.given_motion(),
        "codecs": run.codecs(),
    }  # fmt: skip


class QuickEvaluation:
    """One model on the test split of a data folder."""

    def __init__(self, pipeline: EgoTwinPipeline, data: Path, starts: int) -> None:
        self.pipeline, self.starts = pipeline, starts
        self.benchmark = Benchmark(data, len(open_clips(data / "test")))
        check_cameras(pipeline, self.benchmark)
        self.order = self.benchmark.numbers

    def own_goals(self) -> dict[str, Figures]:
        """Mode "joint" with the clip's own text: obedience, the head's path beside its baselines, feet."""
        spread = self.order[: 2 * self.starts]
        least = max(1, self.starts // 4)
        of_kind = {kind: self._numbers(lambda record, k=kind: k in kinds_of(record)) for kind in KINDS}  # type: ignore[misc]
        chosen = list(dict.fromkeys([*spread, *(number for numbers in of_kind.values() for number in numbers[:least])]))
        found = self._measured(chosen, lambda clip: imagined(self.pipeline, clip, "joint"), "own goals")
        futures = [self._mean_future(number) for number in tqdm(spread, desc=f"{FUTURES} futures", leave=False)]
        bound = self._measured(chosen, _motion_alone(as_prediction), "true clips", "T2M")
        return {
            "obedience_own_goal": _obedience(found, bound, len(spread)),
            "head_position_error_after_5_s_m": self._head_errors(
                spread, _rows(found, slice(len(spread))), np.array(futures)
            ),
            "body": self._figures(found, {name: name.replace(" ", "_") for name in BODY}),
            "view_and_head": self._figures(found, VIEWS),
        }

    def _mean_future(self, number: int) -> float:
        """Distance of the mean head position of several samples from the true one after 5 s, metres."""
        clip = self.benchmark.clip(number)
        motion = imagined(self.pipeline, clip, "joint", samples=FUTURES).motion
        assert motion is not None
        return float(distances(motion.head_positions[:, -1].mean(axis=0), clip.motion.head_positions[-1]))

    def either_side(self) -> dict[str, Figures]:
        """Mode "joint" with the goals "turn left" and "turn right" for standing starts, whatever really followed."""
        standing = beginning_with(self.benchmark, STANDING)[: self.starts]
        if len(standing) < self.starts:
            raise RecordingError(
                f"{self.benchmark.data / 'test'} has {len(standing)} clips that begin with standing ({STANDING}), "
                f"{self.starts} are wanted; make more clips or set fewer --starts"
            )
        turned: dict[str, list[float]] = {side: [] for side in SIDES}

        def turning(clip: RealClip, side: str) -> Prediction:
            found = imagined(self.pipeline, clip, "joint", goal=_turn(clip, side))
            assert found.motion is not None
            turned[side].append(float(heading_change(found.motion.head_rotations[0])))
            return found

        parts = [self._measured(standing, partial(turning, side=side), f"turn {side}") for side in SIDES]
        both = {name: np.concatenate([part[name] for part in parts]) for name in ("view_shift", "head_turn")}
        followed = np.array([heading_change(self.benchmark.clip(number).motion.head_rotations) for number in standing])
        against = np.concatenate([followed < -TURNED_RAD, followed > TURNED_RAD])  # the goal was left, then right
        obeyed = {side: np.array(turned[side]) * sign > TURNED_RAD for side, sign in zip(SIDES, (1, -1), strict=True)}
        return {
            "obedience_either_side": {f"turn_{side}": share_figure(answers) for side, answers in obeyed.items()},
            "view_and_head_either_side": self._figures(both, VIEWS),
            "view_and_head_against_what_followed": self._figures(_rows(both, against), VIEWS),
        }

    def given_motion(self) -> dict[str, Figures]:
        """Mode "video" along the true motion, with the clip's own text, then with a turn to the other side."""
        spread = self.order[: self.starts]
        turning = beginning_with(self.benchmark, STANDING[:2])[: self.starts]
        found = self._measured(spread, lambda clip: imagined(self.pipeline, clip, "TM2V"), "given motion", "TM2V")
        repeated_first = self._measured(spread, lambda clip: Prediction(frozen(clip).frames, None), "frozen", "T2V")
        against = self._measured(
            turning, lambda clip: imagined(self.pipeline, clip, "TM2V", goal=_other_turn(clip)), "against text", "TM2V"
        )
        still = {f"{key}_repeat_first_frame": figure for key, figure in self._figures(repeated_first, QUALITY).items()}
        return {
            "video_from_motion": {**self._figures(found, QUALITY), **still, **self._figures(found, VIEWS)},
            "video_from_motion_against_the_text": self._figures(against, VIEWS),
            "view_and_head_of_true_clips": self._figures(self._measured(spread, as_prediction, "true clips"), VIEWS),
        }

    @torch.inference_mode()
    def codecs(self) -> Figures:
        """True clips, encoded and decoded by the model's codecs."""
        codec, spread = self.pipeline.codec, self.order[: self.starts]
        joints, heads = [], []

        def coded(clip: RealClip) -> Prediction:
            motion = repeated(clip.motion, 1)
            back = codec.decode_motion(codec.encode_motion(motion), motion)
            joints.append(distances(back.positions, motion.positions).mean())
            heads.append(rotation_angle(back.head_rotations, motion.head_rotations).mean())
            return Prediction(codec.decode_frames(codec.encode_frames(clip.frames[None]))[0], back)

        parts = self._measured(spread, coded, "codecs")
        return {
            "video_psnr_db": mean_figure(psnr(parts["frame_mse"]).mean(axis=1)),
            "joint_error_m": mean_figure(joints), "head_rotation_error_rad": mean_figure(heads),
            **self._figures(parts, {**VIEWS, "stance sliding": "stance_sliding"}),
        }  # fmt: skip

    def _head_errors(self, numbers: list[int], found: Parts, mean_futures: NDArray[np.float64]) -> Figures:
        """Mean distance after 5 s, of the model and of baselines that are given as much or more.

        One sample of a distribution is further from the truth than the distribution's mean is, so the mean path of the
        behaviour is to be compared with the mean of the model's samples.
        """
        library = Library(self.benchmark)
        others: dict[str, Callable[[RealClip], Prediction]] = {
            "mean_path_of_the_behaviour": library.mean_path, "nearest_neighbour": library.nearest,
            "constant_velocity": constant_motion, "zero_motion": frozen,
        }  # fmt: skip
        heads = {
            "model": mean_figure(found["head_error"][:, 0, -1]),
            "model_mean_of_futures": {**mean_figure(mean_futures), "futures": FUTURES},
        }
        for name, predict in others.items():
            parts = self._measured(numbers, _motion_alone(predict), name.replace("_", " "), "T2M")
            heads[name] = mean_figure(parts["head_error"][:, 0, -1])
        return heads

    def _numbers(self, wanted: Callable[[dict[str, Any]], bool]) -> list[int]:
        """Numbers of the clips with a wanted record, in the benchmark's order."""
        return [number for number in self.order if wanted(self.benchmark.record(number))]

    def _measured(
        self, numbers: list[int], predict: Callable[[RealClip], Prediction], name: str, mode: Mode = "joint"
    ) -> Parts:
        return measure_in_process(self.benchmark, numbers, predict, name, mode)

    def _figures(self, parts: Parts, names: dict[str, str]) -> Figures:
        """Metrics of the report by their names here."""
        count = len(next(iter(parts.values())))
        if not count:
            return {}
        numbers, _ = pool(parts, {}, self.benchmark.rates)
        return {key: {**numbers[name]._asdict(), "clips": count} for name, key in names.items()}


def beginning_with(benchmark: Benchmark, kinds: Collection[str]) -> list[int]:
    """Numbers of the clips whose behaviour is of one of these kinds of actions, in the benchmark's order."""
    return [n for n in benchmark.numbers if kind_of(str(benchmark.record(n).get("behaviour")))[0] in kinds]


def _motion_alone(predict: Callable[[RealClip], Prediction]) -> Callable[[RealClip], Prediction]:
    return lambda clip: Prediction(None, predict(clip).motion)


def _turn(clip: RealClip, side: str) -> str:
    """ "Turn left" (or right) in words of the test split."""
    return goal_text(np.random.default_rng(clip.number), [Clause(f"turn_{side}")], "test", plain=True)[0]


def _other_turn(clip: RealClip) -> str:
    return _turn(clip, "right" if heading_change(clip.motion.head_rotations) > 0 else "left")


def _rows(parts: Parts, rows: Any) -> Parts:
    return {name: values[rows] for name, values in parts.items()}


def _obedience(found: Parts, bound: Parts, spread: int) -> Figures:
    """Shares of the model's motions and, beside each, of the true clips: what the rules recognise at best.

    "everything" is of the first `spread` clips alone: kinds that are rare do not count more.
    """
    shares = {"everything": (found["obeyed"][:spread], bound["obeyed"][:spread])}
    shares |= {kind: (found["obeyed_kinds"][..., k], bound["obeyed_kinds"][..., k]) for k, kind in enumerate(KINDS)}
    return {
        kind: {**share_figure(own[:, 0]), "true_clips": share_figure(true[:, 0])["value"]}
        for kind, (own, true) in shares.items()
        if np.isfinite(own).any()
    }


def lines(metrics: dict[str, Any]) -> list[str]:
    """All figures as lines of text."""
    written = []
    for group, values in metrics.items():
        if not isinstance(values, dict):
            written += [f"{group}: {value}" for value in (values if isinstance(values, list) else [values])]
            continue
        for name, figure in values.items():
            beside = f", true clips {figure['true_clips']:.3f}" if "true_clips" in figure else ""
            interval = f"[{figure['low']:.3f}, {figure['high']:.3f}]"
            written.append(f"{group} {name}: {figure['value']:.3f} {interval}, {figure['clips']} clips{beside}")
    return written
