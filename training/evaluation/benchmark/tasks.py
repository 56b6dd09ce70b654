"""The clips of the benchmark: which ones, and in which order.

Clips are taken in one seeded order, so that the first 64 are part of the first 200. Real-against-real compares them
with as many other real clips: the next ones in that order, then the `val` split's.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.skeleton import XSENS
from training.datasets.clips.cameras import ClipCameras, camera_of
from training.datasets.clips.dataset import ClipSet, open_clips, skeleton_of
from training.evaluation.errors import PredictionError
from training.evaluation.metrics.metric_family import Rates
from training.evaluation.metrics.predicted_clip import RealClip

ORDER_SEED = 6


class Benchmark:
    """The test clips of a data folder, and the other real clips that they are compared with.

    Args:
        data: folder with `test` and `val` (and, for baselines, `train`) clips.
        clips: how many test clips.
        name: another split to measure on; settings are chosen on "val".

    Raises:
        PredictionError: the split has fewer. RecordingError: a split is missing or damaged, or has other bodies than
            Xsens's, for which the metrics are defined.
    """

    def __init__(self, data: Path, clips: int, name: str = "test") -> None:
        self.data, self.name = data, name
        self._splits: dict[str, ClipSet] = {name: open_clips(data / name)}
        if (skeleton := skeleton_of(self._splits[name])) != XSENS:
            raise RecordingError(
                f"the bodies of {data / name} have {skeleton.num_joints} joints of another skeleton; the metrics are "
                f"defined for the {XSENS.num_joints} joints of Xsens"
            )
        total = len(self._splits[name])
        if not 1 <= clips <= total:
            raise PredictionError(
                f"{clips} {name} clips asked for, {data / name} has {total}; make more, or ask for fewer"
            )
        order = np.random.default_rng(ORDER_SEED).permutation(total).tolist()
        self.numbers: list[int] = order[:clips]
        self.others: list[tuple[str, int]] = [(name, number) for number in order[clips : 2 * clips]]
        if len(self.others) < clips and name != "val" and (data / "val" / "manifest.json").is_file():
            spare = len(self.split("val"))
            self.others += [("val", number) for number in range(min(spare, clips - len(self.others)))]

    def split(self, name: str) -> ClipSet:
        """The clips of a split, opened once."""
        if name not in self._splits:
            self._splits[name] = open_clips(self.data / name)
        return self._splits[name]

    @cached_property
    def cameras(self) -> ClipCameras:
        """The camera of each clip of the benchmark's split, by its number."""
        return ClipCameras(self._splits[self.name])

    @cached_property
    def arrays(self) -> set[str]:
        """Names of the arrays that the clips hold."""
        return set(self._splits[self.name][self.numbers[0]]) - self.record(self.numbers[0]).keys()

    @property
    def frame_rate(self) -> float:
        return self._splits[self.name].manifest.frame_rate

    @property
    def pose_rate(self) -> float:
        return self._splits[self.name].manifest.pose_rate

    @property
    def rates(self) -> Rates:
        """Frames and poses a second."""
        return self.frame_rate, self.pose_rate

    def record(self, number: int) -> dict[str, Any]:
        return self._splits[self.name].records[number]

    def clip(self, number: int, split: str | None = None) -> RealClip:
        """A real clip with everything that the data holds of it; of the benchmark's split unless another is named."""
        split = split or self.name
        clips = self.split(split)
        entry, record = clips[number], clips.records[number]
        frames, where = entry["frames"], f"{clips.folder}, clip {number}"
        camera = camera_of(entry, frames.shape[1:3], clips.manifest.pose_rate, where)
        return RealClip(
            split, number, record, frames, entry["positions"], entry["rotations"], camera.intrinsics, camera.mount,
            entry.get("camera_pose"), {name: values for name, values in entry.items() if name not in record},
        )  # fmt: skip

    def identity(self) -> dict[str, Any]:
        """What makes two benchmarks the same: the data's own settings and the clips."""
        return {"data": self._splits[self.name].manifest.settings(), "clips": self.numbers, "others": self.others}
