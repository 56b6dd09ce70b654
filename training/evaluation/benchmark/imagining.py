"""What a model folder imagines for the benchmark's clips, as a folder of predictions; a stopped run is resumed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from egotwin_model.diffusion.sampler import Guidance
from egotwin_model.diffusion.sampler import Mode as SamplerMode
from egotwin_model.egotwin.pipeline import BodyState, EgoTwinPipeline
from training.datasets.clips.cameras import ClipCamera
from training.datasets.clips.dataset import goals_checksum
from training.datasets.clips.priors import past_memory
from training.evaluation.benchmark.predictions import PredictionInfo, is_written, write_info, write_prediction
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.metrics.predicted_clip import PREDICTED, Mode, Prediction, RealClip

Geometry = Literal["none", "model", "depth", "past"]
GEOMETRIES: dict[Geometry, str] = {
    "none": "", "model": "", "depth": "the first frame's depth", "past": "up to 8 s of past frames, depth",
}  # fmt: skip
"""What a model that knows geometry is given, in words: nothing, its own estimate of depth, true depth, a true past."""
SAMPLER_MODE: dict[Mode, SamplerMode] = {
    "joint": "joint", "TV2M": "motion", "T2M": "motion", "TM2V": "video", "T2V": "video",
}  # fmt: skip


def check_cameras(pipeline: EgoTwinPipeline, benchmark: Benchmark) -> None:
    """Refuse clips that were not seen through the one camera that a model of video knows.

    Raises:
        PredictionError: another view, or a camera that sits elsewhere on the head.
    """
    if not pipeline.has_video:
        return
    own = ClipCamera(pipeline.info.camera, pipeline.info.mount)
    for number in benchmark.numbers:
        if difference := own.difference(benchmark.cameras[number]):
            raise PredictionError(
                f"{benchmark.data / benchmark.name}, clip {number}: its camera is {difference}, where that of "
                f"{pipeline.info.name} is; use clips of the model's camera, or a model trained on clips of this one"
            )


def write_imaginations(
    pipeline: EgoTwinPipeline,
    benchmark: Benchmark,
    mode: Mode,
    folder: Path,
    *,
    samples: int = 1,
    seed: int = 0,
    geometry: Geometry = "model",
) -> Path:
    """Imagine every test clip; the noise of clip n depends on `seed` and n alone, not on order or interruptions.

    Args:
        samples: futures of each clip; motion keeps all (minimum-of-K, calibration), video the first.
        geometry: what a model that knows geometry is given of it.

    Raises:
        PredictionError: `folder` holds other predictions, or clips were seen through another camera than the model's.
    """
    check_cameras(pipeline, benchmark)
    details: dict[str, Any] = {
        "model_sha256": pipeline.info.sha256, "samples": samples, "seed": seed,
        "sampling": asdict(pipeline.defaults), "goals_sha256": goals_checksum(benchmark.split(benchmark.name)),
    }  # fmt: skip
    given = {"TV2M": "the true video", "TM2V": "the true motion"}.get(mode, ""), GEOMETRIES[geometry]
    also_given, suffix = ", ".join(filter(None, given)), "" if geometry == "model" else f", {geometry}"
    info = PredictionInfo(
        f"{pipeline.info.name} ({mode}{suffix})", mode, *benchmark.rates, told=also_given, details=details
    )
    write_info(folder, info)
    todo = [number for number in benchmark.numbers if not is_written(folder, number)]
    for number in tqdm(todo, desc=f"imagining, {mode}"):
        found = imagined(pipeline, benchmark.clip(number), mode, samples=samples, seed=seed, geometry=geometry)
        write_prediction(folder, number, found)
    return folder


def imagined(
    pipeline: EgoTwinPipeline,
    clip: RealClip,
    mode: Mode,
    *,
    goal: str = "",
    samples: int = 1,
    seed: int = 0,
    num_steps: int | None = None,
    guidance: Guidance | None = None,
    geometry: Geometry = "model",
) -> Prediction:
    """A model's prediction from a clip's first frame and pose; by default for the clip's goal, in its own settings.

    Raises:
        PredictionError: depth or a past that the clips lack, or that the model has no use for.
    """
    given = _known_scene(pipeline, clip, geometry)
    if mode == "TV2M":
        given["video"] = clip.frames
    if mode == "TM2V":
        given["motion"] = clip.motion
    found = pipeline(
        goal or clip.text, clip.frames[0], BodyState(clip.positions[0], clip.rotations[0]), mode=SAMPLER_MODE[mode],
        num_samples=samples, seed=seed * 1_000_003 + clip.number, num_steps=num_steps, guidance=guidance, **given,
    )  # fmt: skip
    predicted = PREDICTED[mode]
    return Prediction(
        found.frames[0] if "video" in predicted else None, found.motion if "motion" in predicted else None
    )


def _known_scene(pipeline: EgoTwinPipeline, clip: RealClip, geometry: Geometry) -> dict[str, Any]:
    """The pipeline's arguments for what is known of the scene."""
    if geometry == "model":
        return {}
    if not pipeline.takes_scene:
        raise PredictionError(f"{pipeline.info.name} has no use for the scene's geometry; leave --geometry out")
    if geometry == "none":
        return {"depth": np.zeros(clip.frames.shape[1:3], np.float32)}
    if "first_depth" not in clip.arrays:
        raise PredictionError(
            f"--geometry {geometry} needs clips with depth; make them by `egotwin data world --keyframe-depth`"
        )
    memory = {"memory": past_memory(clip.arrays)} if geometry == "past" else {}
    return {"depth": np.asarray(clip.arrays["first_depth"], np.float32), **memory}
