"""One clip's measurements: what its frames and poses say, as small arrays that are kept and pooled later.

```
truth ─┬─ video ───┬─ each metric's measures ─── parts
       └─ motion ──┘  (training.evaluation.metrics)
```
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from egotwin_model.errors import ModelError
from egotwin_model.io.store import MANIFEST, verify
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.extractors.base import EfficientNetLite0
from training.evaluation.extractors.colmap import Colmap
from training.evaluation.extractors.official import I3D, Clip, InceptionV3
from training.evaluation.extractors.trained import (
    EVALUATORS,
    CameraEvaluator,
    HandEvaluator,
    TextMotionEvaluator,
    VideoTextEvaluator,
    shared_texts,
)
from training.evaluation.metrics import catalogue
from training.evaluation.metrics.metric_family import MetricFamily, Parts
from training.evaluation.metrics.predicted_clip import Mode, PredictedClip, Prediction, RealClip, as_prediction
from training.evaluation.metrics.tools import FrameExtractor, Tools


@dataclass(frozen=True)
class ToolsSpec:
    """Which extractors to use; small enough to be sent to any worker.

    Attributes:
        evaluators: folder of our trained evaluators ("text-motion", "video-text", "hands", "camera"); those it
            lacks are unused.
        images: whether I-FID is measured. cameras: whether camera paths are found.
        official: "inception", "i3d": (file, SHA-256); "clip": (folder, ""), in place of ours.
    """

    evaluators: str = ""
    images: bool = True
    cameras: bool = True
    camera_stride: int = 2
    official: tuple[tuple[str, str, str], ...] = ()


@lru_cache(maxsize=2)
def load_tools(spec: ToolsSpec) -> Tools:
    """The extractors of a spec, once in each process; `ModelError` where one is missing or altered."""
    official = {name: (Path(path), checksum) for name, path, checksum in spec.official}
    folder = Path(spec.evaluators) if spec.evaluators else None
    if folder and not folder.is_dir():
        raise ModelError(f"no evaluators in {folder}: give the folder with --evaluators, or --no-evaluators")
    if folder and (folder / MANIFEST).is_file():  # shipped ones have it, those of a training do not
        verify(folder)
    ours = {name: folder / name for name in EVALUATORS if folder and (folder / name).is_dir()}
    video = VideoTextEvaluator(ours["video-text"], shared_texts()) if "video-text" in ours else None
    images: FrameExtractor | None = EfficientNetLite0() if spec.images else None
    return Tools(
        images=InceptionV3(*official["inception"]) if "inception" in official else images,
        clips=I3D(*official["i3d"]) if "i3d" in official else video,
        frame_text=Clip(official["clip"][0]) if "clip" in official else video,
        motion_text=TextMotionEvaluator(ours["text-motion"], shared_texts()) if "text-motion" in ours else None,
        hands=HandEvaluator(ours["hands"]) if "hands" in ours else None,
        camera_paths=Colmap(spec.camera_stride) if spec.cameras else None,
        learned_camera_paths=CameraEvaluator(ours["camera"]) if "camera" in ours else None,
    )


def measure(clip: RealClip, prediction: Prediction, mode: Mode, benchmark: Benchmark, tools: Tools) -> Parts:
    """All measurements of one clip's prediction; the true clip itself is measured as a prediction of mode "joint"."""
    return _measured(catalogue.FAMILIES, clip, prediction, mode, benchmark, tools)


def features_only(clip: RealClip, benchmark: Benchmark, tools: Tools) -> Parts:
    """Of one of the other real clips: what real-against-real compares."""
    families = (family for family in catalogue.FAMILIES if family.real_against_real)
    return _measured(families, clip, as_prediction(clip), "joint", benchmark, tools)


def _measured(
    families: Iterable[MetricFamily],
    clip: RealClip,
    prediction: Prediction,
    mode: Mode,
    benchmark: Benchmark,
    tools: Tools,
) -> Parts:
    case = PredictedClip(clip, prediction, mode, *benchmark.rates, tools)
    parts: Parts = {}
    for take in catalogue.measures(families):
        parts |= take(case)
    return parts
