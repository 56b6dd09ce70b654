"""What a model folder imagines for the benchmark's clips, as a folder of predictions; a stopped run is resumed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from egotwin_model.diffusion.sampler import Guidance
from egotwin_model.diffusion.sampler import Mode as SamplerMode
from egotwin_model.egotwin.pipeline import BodyState, EgoTwinPipeline
from training.datasets.clips.cameras import ClipCamera
from training.datasets.clips.dataset import goals_checksum
from training.evaluation.benchmark.predictions import PredictionInfo, is_written, write_info, write_prediction
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.metrics.predicted_clip import PREDICTED, Mode, Prediction, RealClip

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
    pipeline: EgoTwinPipeline, benchmark: Benchmark, mode: Mode, folder: Path, *, samples: int = 1, seed: int = 0
) -> Path:
    """Imagine every test clip; the noise of clip n depends on `seed` and n alone, not on order or interruptions.

    Args:
        samples: futures of each clip; motion keeps all (minimum-of-K, calibration), video the first.

    Raises:
        PredictionError: `folder` holds other predictions, or clips were seen through another camera than the model's.
    """
    check_cameras(pipeline, benchmark)
    details: dict[str, Any] = {
        "model_sha256": pipeline.info.sha256, "samples": samples, "seed": seed,
        "sampling": asdict(pipeline.defaults), "goals_sha256": goals_checksum(benchmark.split(benchmark.name)),
    }  # fmt: skip
    also_given = {"TV2M": "the true video", "TM2V": "the true motion"}.get(mode, "")
    rates = benchmark.rates
    write_info(folder, PredictionInfo(f"{pipeline.info.name} ({mode})", mode, *rates, told=also_given, details=details))
    todo = [number for number in benchmark.numbers if not is_written(folder, number)]
    for number in tqdm(todo, desc=f"imagining, {mode}"):
        write_prediction(folder, number, imagined(pipeline, benchmark.clip(number), mode, samples=samples, seed=seed))
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
) -> Prediction:
    """A model's prediction from a clip's first frame and pose; by default for the clip's goal, in its own settings."""
    given: dict[str, Any] = {"video": clip.frames} if mode == "TV2M" else {}
    if mode == "TM2V":
        given = {"motion": clip.motion}
    found = pipeline(
        goal or clip.text, clip.frames[0], BodyState(clip.positions[0], clip.rotations[0]), mode=SAMPLER_MODE[mode],
        num_samples=samples, seed=seed * 1_000_003 + clip.number, num_steps=num_steps, guidance=guidance, **given,
    )  # fmt: skip
    predicted = PREDICTED[mode]
    return Prediction(
        found.frames[0] if "video" in predicted else None, found.motion if "motion" in predicted else None
    )
