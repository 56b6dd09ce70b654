"""Steps against error for each solver on a model folder, and what half evaluations and shared ones save.

python -m benchmarks.sampler --steps 2 4 8 16 32 --reference 128

Errors are root mean squares over all latents, relative to the reference's own: DPM-Solver++(2M) with `--reference`
steps. Both deterministic solvers approach the solution of one ODE, so one reference serves both; ancestral ones have
none. Beside each error: the factor by which it fell since the row above.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rolling import ROOT, start_of
from egotwin_model.diffusion.noise import SampleNoise
from egotwin_model.diffusion.sampler import Conditions, Denoiser, Guidance, Sampler, Solver
from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from egotwin_model.motion.representation import BodyMotion
from egotwin_model.runtimes.base import to_numpy
from egotwin_model.runtimes.registry import describe_runtimes, runtime_names

Array = NDArray[np.float32]
SOLVERS = {"ddim": Solver("ddim"), "dpm++2m": Solver("dpm++2m")}


class Counting:
    """A denoiser that counts its whole and half evaluations and the CPU seconds they take (all threads)."""

    def __init__(self, denoiser: Denoiser, *, halves: bool = True) -> None:
        self.denoiser, self.halves = denoiser, halves
        self.counts, self.seconds = {False: 0, True: 0}, {False: 0.0, True: 0.0}

    def __call__(self, *arrays: Array | None, motion_only: bool, **conditions: Array) -> Any:
        half = motion_only and self.halves
        began = time.process_time()
        outputs = self.denoiser(*arrays, motion_only=half, **conditions)  # type: ignore[call-arg]
        self.seconds[half] += time.process_time() - began
        self.counts[half] += 1
        return outputs


def inputs(pipeline: EgoTwinPipeline, bag: Path, goal: str, samples: int) -> tuple[Conditions, Array, Array]:
    """Conditions from a recording's last frame and pose, and seeded noise."""
    view, pose = start_of(bag, pipeline)
    head = pipeline.representation.head_index
    parts = pose.positions, pose.rotations, pose.positions[head], pose.rotations[head]
    image = pipeline.codec.encode_frames(view[None, None])[:, 0]
    first = pipeline.codec.encode_motion(BodyMotion(*(np.asarray(part)[None, None] for part in parts)))[..., 0]
    text, empty = (to_numpy(pipeline.text_encoder.cached(words)) for words in (goal, ""))
    c = pipeline.config
    level = np.tile(np.float32([0.0, 0.0, -1.0]), (samples, 1))  # gravity for a head that is level
    extra = {"gravity": level} if c.gravity_condition else {}
    conditions = Conditions(*(np.repeat(part, samples, axis=0) for part in (text, empty, image, first)), extra=extra)
    size = (c.latent_frames, c.latent_channels, c.latent_height, c.latent_width)
    video, motion = SampleNoise(0, samples, 0), SampleNoise(0, samples, 1)
    return conditions, video.normal(*size), motion.normal(c.motion_channels, c.motion_length)


def relative_error(found: Array, wanted: Array) -> float:
    return float(np.sqrt(np.square(found - wanted).mean()) / np.sqrt(np.square(wanted).mean()))


def print_errors(
    pipeline: EgoTwinPipeline,
    given: tuple[Conditions, Array, Array],
    guidance: Guidance,
    steps: list[int],
    many: int,
) -> None:
    schedule = pipeline.defaults.schedule

    def run(solver: Solver, count: int) -> list[Array]:
        sampler = Sampler(pipeline.runtime.denoise, schedule, solver)
        return [x for x in sampler.sample("joint", *given, count, guidance) if x is not None]

    reference = run(SOLVERS["dpm++2m"], many)
    print(f"relative error of the latents against {many} steps, guidance {guidance.text:g}")
    print(f"{'steps':>5}  " + "  ".join(f"{f'{name} {what}':>22}" for name in SOLVERS for what in ("video", "motion")))
    before: list[float] = []
    for count in steps:
        errors = [
            relative_error(found, wanted)
            for solver in SOLVERS.values()
            for found, wanted in zip(run(solver, count), reference, strict=True)
        ]
        fell = [f"÷ {old / new:.1f}" for old, new in zip(before, errors, strict=True)] if before else [""] * len(errors)
        print(f"{count:5}  " + "  ".join(f"{f'{e:.4f} {f:>6}':>22}" for e, f in zip(errors, fell, strict=True)))
        before = errors


def print_savings(pipeline: EgoTwinPipeline, given: tuple[Conditions, Array, Array], count: int) -> None:
    """Joint sampling with all guidance (6, 4, 4): evaluations and time, ours and with five whole ones a step."""
    ours, whole = Counting(pipeline.runtime.denoise), Counting(pipeline.runtime.denoise, halves=False)
    results = [
        Sampler(denoiser, pipeline.defaults.schedule).sample("joint", *given, count, Guidance())
        for denoiser in (ours, whole)
    ]
    off = max(relative_error(a, b) for a, b in zip(*results, strict=True) if a is not None and b is not None)
    half = ours.seconds[True] / ours.counts[True] / (ours.seconds[False] / ours.counts[False])
    print(
        f"\njoint, guidance 6 / 4 / 4, {count} steps: {ours.counts[False]} whole, {ours.counts[True]} half evaluations"
    )
    print(f"a half one takes {half:.2f} of a whole one: a step {3 + 2 * half:.2f} instead of 5, the first one 2")
    five = 5 * count * sum(whole.seconds.values()) / whole.counts[False]
    spent = sum(ours.seconds.values())
    print(
        f"CPU time {spent:.2f} s instead of {five:.2f} s with five whole evaluations a step: ratio {spent / five:.2f}"
    )
    print(f"latents differ from those of whole evaluations by {off:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "egotwin-mini")
    parser.add_argument("--bag", type=Path, default=ROOT / "examples" / "bags" / "living_room.mcap")
    parser.add_argument("--runtime", default="auto", choices=runtime_names(), help=describe_runtimes())
    parser.add_argument("--goal", default="turn left")
    parser.add_argument("--steps", type=int, nargs="+", default=[2, 4, 8, 16, 32])
    parser.add_argument("--reference", type=int, default=128)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument(
        "--guidance", type=float, nargs=3, metavar=("TEXT", "VIDEO", "MOTION"), help="default: the model's own"
    )
    arguments = parser.parse_args()
    pipeline = EgoTwinPipeline.from_pretrained(arguments.model, arguments.runtime)
    given = inputs(pipeline, arguments.bag, arguments.goal, arguments.samples)
    guidance = Guidance(*arguments.guidance) if arguments.guidance else pipeline.defaults.guidance
    print_errors(pipeline, given, guidance, arguments.steps, arguments.reference)
    print_savings(pipeline, given, 10)


if __name__ == "__main__":
    main()
