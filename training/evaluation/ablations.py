"""``egotwin ablations``: train every row of the paper's Tables 2 and 3 alike, and measure all on the same clips.

::

    RUNS/  video-codec/  motion-vae/  motion-vae-root-centric/   used from here, trained where missing
           ablations/text-to-motion/  joint/  variants/…         each row's own stages, with one budget
           ablations/models/<row>/                               exported
           ablations/report/  results.json  report.html  ablations.md  ablations.json  ablations.png

A row without the second stage (video alone) trains the same number of steps on video; one without the third (motion
alone) trains the steps of both stages on motion. The same command resumes a stopped run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from egotwin_model.diffusion.sampler import Guidance
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.pipeline import EgoTwinPipeline, SamplingDefaults
from egotwin_model.egotwin.variants import VARIANTS, variant
from egotwin_model.errors import EgoTwinError, ModelError
from egotwin_model.io.files import write_json, write_text
from egotwin_model.io.store import WEIGHTS
from training.evaluation.benchmark.comparison import gains
from training.evaluation.benchmark.imagining import write_imaginations
from training.evaluation.benchmark.kept_parts import parts_of
from training.evaluation.benchmark.measurements import ToolsSpec
from training.evaluation.benchmark.paper_figure import draw_table
from training.evaluation.benchmark.paper_table import TITLES, table
from training.evaluation.benchmark.report import write_report
from training.evaluation.benchmark.report_command import add_measuring_options, tools_spec
from training.evaluation.benchmark.run import TRUTH, real_clips, score, without_nan
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.metrics.intervals import Interval
from training.evaluation.metrics.predicted_clip import Mode
from training.export.command import export, trained_networks, training_details
from training.stages import command as stages
from training.stages.recipes import RECIPES, DiffusionRecipe, MotionVAERecipe, Recipe
from training.stages.run_folder import codec_folder, diffusion_folder, motion_vae_folder, progress

MODES: dict[str, Mode] = {"video-only": "T2V", "camera": "TM2V", "motion-only": "T2M"}
"""The mode of a row that does not imagine both video and motion."""
TABLE = "ablations"


@dataclass(frozen=True)
class Plan:
    """What is trained and where.

    Attributes:
        config: a size of `training.stages.recipes`. steps: of the last stage, for every row. motion_steps: of stage 2.
        processes: that share a stage's batch; 1 trains in this process. pretrained: as `egotwin train` has it.
    """

    data: Path
    runs: Path
    config: str
    steps: int
    motion_steps: int
    processes: int = 1
    pretrained: Path | None = None

    @property
    def folder(self) -> Path:
        """The rows' own runs folder, so that a longer training beside it is neither used nor changed."""
        return self.runs / TABLE

    def recipes(self, row: str) -> dict[str, Recipe]:
        """The stages of a row by name, in order."""
        return RECIPES[f"{self.config}/{row}"]

    def steps_of(self, row: str, stage: str) -> int:
        """Steps of a row's stage 2 or 3."""
        if stage == "joint":
            return self.steps
        return self.motion_steps if variant(row, EgoTwinConfig.mini()).with_video else self.motion_steps + self.steps


def train_row(plan: Plan, row: str) -> None:
    """Train every stage of a row that is not finished yet.

    Raises:
        ModelError: a stage failed; the reason is in its output.
    """
    for stage, recipe in plan.recipes(row).items():
        if isinstance(recipe, DiffusionRecipe):
            steps = plan.steps_of(row, stage)
            if not _finished(diffusion_folder(plan.folder, row, stage), steps):
                _train(plan, row, stage, plan.folder, _budget(recipe, steps))
        elif not (isinstance(recipe, MotionVAERecipe) and recipe.decoder_only):  # rows share the codecs of stage 1
            _share(plan, row, stage, recipe)


def _share(plan: Plan, row: str, stage: str, recipe: Recipe) -> None:
    """Link a codec from `runs`, where it is trained if missing, into the rows' folder."""
    if isinstance(recipe, MotionVAERecipe):
        folders = [motion_vae_folder(folder, recipe.representation) for folder in (plan.runs, plan.folder)]
    else:
        folders = [codec_folder(folder) for folder in (plan.runs, plan.folder)]
    if not (folders[0] / WEIGHTS).is_file() or _stopped(folders[0]):
        _train(plan, row, stage, plan.runs, [])
    (plan.runs / "latents").mkdir(exist_ok=True)
    plan.folder.mkdir(exist_ok=True)
    for target, link in (folders, (plan.runs / "latents", plan.folder / "latents")):
        if not link.exists():
            link.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)


def _finished(folder: Path, steps: int) -> bool:
    """Whether a stage's weights are those of its last step."""
    return (folder / WEIGHTS).is_file() and progress(folder) == (steps, steps)


def _stopped(folder: Path) -> bool:
    """Whether a training of this folder ended before its last step; False without a record, as in a pretrained one."""
    done = progress(folder)
    return done is not None and done[0] < done[1]


def _budget(recipe: DiffusionRecipe, steps: int) -> list[str]:
    """Overrides for a stage of `steps` steps: warm-up, validation and checkpoints in proportion."""
    warmup, often = min(recipe.train.warmup, max(1, steps // 10)), max(1, steps // 4)
    values = {"steps": steps, "warmup": warmup, "validate-every": often, "save-every": often, "sheet-every": 0}
    return [word for name, value in values.items() for word in (f"--train.{name}", str(value))]


def _train(plan: Plan, row: str, stage: str, runs: Path, overrides: list[str]) -> None:
    arguments = [stage, "--config", f"{plan.config}/{row}", "--data", str(plan.data), "--runs", str(runs), *overrides]
    arguments += ["--pretrained", str(plan.pretrained)] if plan.pretrained else []
    print(f"{TITLES[row]}: {stage}", flush=True)
    if plan.processes == 1:
        failed = stages.main(arguments)
    else:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(plan.processes)]
        command = [sys.executable, *launcher, "-m", "training.stages.command", *arguments]
        threads = {} if torch.cuda.is_available() else {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
        failed = subprocess.run(command, env={**os.environ, **threads}, check=False).returncode
    if failed:
        raise ModelError(f"{TITLES[row]}: {stage} was not trained; see above. The same command resumes from there")


def imagine_row(plan: Plan, row: str, benchmark: Benchmark, defaults: SamplingDefaults) -> Path:
    """Export a row and imagine the benchmark's clips; returns the folder of its predictions."""
    folder = plan.folder / "models" / row
    details = training_details(plan.folder, row)
    export(trained_networks(plan.folder, row, plan.pretrained), folder, TITLES[row], defaults, details, graphs=False)
    pipeline, mode = EgoTwinPipeline.from_pretrained(folder, "torch"), MODES.get(row, "joint")
    out = plan.folder / "report" / "predictions" / f"{row}-{pipeline.info.sha256[:8]}"
    return write_imaginations(pipeline, benchmark, mode, out)


def compare(
    plan: Plan, rows: list[str], benchmark: Benchmark, folders: list[Path], tools: ToolsSpec, workers: int
) -> str:
    """Measure all rows' predictions and write the table; returns it."""
    out = plan.folder / "report"
    for kind in ("md", "json", "png"):
        (out / f"{TABLE}.{kind}").unlink(missing_ok=True)
    results = score(benchmark, folders, tools, out, workers=workers)
    write_report(results, benchmark, out)
    names = dict(zip(rows, results["subjects"], strict=True))
    metrics = {
        row: {metric: Interval(**found) for metric, found in results["subjects"][name]["metrics"].items()}
        for row, name in names.items()
    }
    parts = {row: parts_of(out, name, benchmark) for row, name in names.items()}
    truth = parts_of(out, TRUTH, benchmark)
    found = {
        row: gains(parts[VARIANTS[0]], parts[row], truth, benchmark.frame_rate)
        for row in rows
        if row != VARIANTS[0] and VARIANTS[0] in rows
    }
    real = {metric: Interval(**number) for metric, number in real_clips(results).items()}
    page, values = table(metrics, found, _about(plan, benchmark, results), real)
    draw_table(without_nan(values["rows"]), out / f"{TABLE}.png")
    write_text(out / f"{TABLE}.md", page)
    write_json(out / f"{TABLE}.json", without_nan(values))
    return page


def _about(plan: Plan, benchmark: Benchmark, results: dict[str, Any]) -> dict[str, Any]:
    recipe = RECIPES[plan.config]["joint"]
    extractors = results["extractors"]
    named = "; ".join(f"{role}: {each['name']} {each['version']}" for role, each in extractors.items())
    lines = [
        f"Configuration {plan.config}, {plan.motion_steps} steps of stage 2 and {plan.steps} of stage 3 "
        f"({recipe.train.batch_size} clips each) for every row, on the same clips; measured on "
        f"{len(benchmark.numbers)} test clips, each predicted once with its own text. Codecs are shared. Intervals are "
        "95 %, over clips.",
        "",
        f"![]({TABLE}.png)",
        "",
        f"Extractors: {named or 'none'}. The report beside this page has all metrics, curves and videos.",
    ]
    notes = {name: subject["notes"] for name, subject in results["subjects"].items() if subject["notes"]}
    return {"lines": lines, "extractors": extractors, "notes": notes, "protocol": results["protocol"]}


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin ablations``."""
    parser = argparse.ArgumentParser(prog="egotwin ablations", description=__doc__.split("::")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train/, val/ and test/ clips")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/mini"), help="folder with the codecs, or to train them in"
    )
    parser.add_argument("--config", default="mini", help="size to train: mini, smoke, paper, ...")
    parser.add_argument("--rows", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="default: all")
    parser.add_argument("--steps", type=int, required=True, help="of the last stage, for every row")
    parser.add_argument("--motion-steps", type=int, help="of stage 2 (default: as many as --steps)")
    parser.add_argument("--processes", type=int, default=1, help="that share a stage's batch (default: %(default)s)")
    parser.add_argument("--pretrained", type=Path, help="CogVideoX-5b-I2V's folder, for the paper's size")
    parser.add_argument("--clips", type=int, default=64, help="test clips (default: %(default)s)")
    parser.add_argument("--num-steps", type=int, default=6, help="sampler steps (default: %(default)s)")
    parser.add_argument("--guidance", type=float, nargs=3, default=(1.0, 1.0, 1.0), metavar=("TEXT", "VIDEO", "MOTION"))
    add_measuring_options(parser)
    arguments = parser.parse_args(argv)
    try:
        if f"{arguments.config}/{VARIANTS[0]}" not in RECIPES:
            sizes = sorted(name for name in RECIPES if "/" not in name)
            raise ModelError(f"no configuration {arguments.config!r} with all rows; there are {', '.join(sizes)}")
        plan = Plan(
            arguments.data, arguments.runs, arguments.config, arguments.steps,
            arguments.motion_steps or arguments.steps, arguments.processes, arguments.pretrained,
        )  # fmt: skip
        benchmark = Benchmark(arguments.data, arguments.clips)
        defaults = SamplingDefaults(arguments.num_steps, Guidance(*arguments.guidance))
        for row in arguments.rows:
            train_row(plan, row)
        folders = [imagine_row(plan, row, benchmark, defaults) for row in arguments.rows]
        print(compare(plan, arguments.rows, benchmark, folders, tools_spec(arguments), arguments.workers))
    except EgoTwinError as error:
        print(f"egotwin ablations: {error}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
