"""``egotwin evaluate --report DIR``: models, baselines and folders of predictions on one benchmark, one report."""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import Any

from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from training.evaluation.benchmark.baselines import baselines, write_baseline
from training.evaluation.benchmark.imagining import GEOMETRIES, write_imaginations
from training.evaluation.benchmark.kept_parts import slug
from training.evaluation.benchmark.measurements import ToolsSpec
from training.evaluation.benchmark.report import write_report
from training.evaluation.benchmark.run import REPORT, RESULTS, score
from training.evaluation.benchmark.task_files import write_tasks
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.metrics.predicted_clip import MODES

SHIPPED_EVALUATORS = Path("models/evaluators")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the benchmark."""
    group = parser.add_argument_group("the benchmark (all metrics, baselines, predictions of any model)")
    group.add_argument("--report", type=Path, metavar="DIR", help=f"write {RESULTS}, {REPORT} and media/ here")
    group.add_argument("--clips", type=int, default=64, help="test clips, of one fixed order (default: %(default)s)")
    group.add_argument("--predictions", type=Path, nargs="+", default=[], metavar="DIR", help="score these folders")
    group.add_argument("--mode", choices=MODES, nargs="+", default=["joint"], help="what the model predicts")
    group.add_argument(
        "--geometry", choices=GEOMETRIES, nargs="+", default=["model"], metavar="NAME",
        help="what a model that knows geometry is given: its own estimate of depth (model, the default), none, true "
        "depth, or a true past with depth (past)",
    )  # fmt: skip
    group.add_argument("--samples", type=int, default=1, help="futures of each clip (best of K, calibration)")
    group.add_argument("--seed", type=int, default=0)
    group.add_argument("--no-model", action="store_true", help="score only --predictions and --baselines")
    group.add_argument("--baselines", nargs="*", metavar="NAME", help="add all simple baselines, or these")
    add_measuring_options(group)
    group.add_argument("--unpaired", action="store_true", help="leave out metrics against what really followed")
    group.add_argument("--ray", metavar="ADDRESS", help="measure on this Ray cluster (auto: one that runs here)")
    group.add_argument("--tasks", type=Path, metavar="DIR", help="only write the model's inputs, for use elsewhere")
    group.add_argument("--known-poses", type=int, default=1, help="poses that --tasks give (default: %(default)s)")


def add_measuring_options(parser: argparse._ActionsContainer) -> None:
    """The options of extractors, which `tools_spec` reads, and the number of processes that measure."""
    add = parser.add_argument
    add(
        "--evaluators", type=Path, default=SHIPPED_EVALUATORS, metavar="DIR", help="trained ones (default: %(default)s)"
    )
    add("--no-evaluators", action="store_true", help="leave out what needs them")
    add("--no-cameras", action="store_true", help="leave out camera paths (the slowest part)")
    add("--no-images", action="store_true", help="leave out I-FID")
    add("--inception", nargs=2, metavar=("FILE", "SHA256"), help="official extractor for I-FID")
    add("--i3d", nargs=2, metavar=("FILE", "SHA256"), help="official extractor for FVD")
    add("--clip", metavar="DIR", help="official extractor for CLIP-SIM (Hugging Face folder)")
    add("--workers", type=int, default=1, help="processes that measure (default: %(default)s)")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the benchmark with the command line's options; returns results.json.

    Raises:
        PredictionError, ModelError, RecordingError: by name, with nothing written that looks complete.
    """
    benchmark, out = Benchmark(arguments.data, arguments.clips), arguments.report
    folders = list(arguments.predictions)
    if not arguments.no_model:
        pipeline = EgoTwinPipeline.from_pretrained(arguments.model, arguments.runtime)
        for mode, geometry in product(arguments.mode, arguments.geometry):
            name = f"{slug(pipeline.info.name)}-{slug(mode)}-{geometry}-{arguments.samples}-{arguments.seed}"
            folder = out / "predictions" / f"{name}-{pipeline.info.sha256[:8]}"
            options = {"samples": arguments.samples, "seed": arguments.seed, "geometry": geometry}
            folders.append(write_imaginations(pipeline, benchmark, mode, folder, **options))
    folders += _baselines(arguments.baselines, benchmark, out)
    if not folders:
        raise PredictionError("nothing to score: give a model, --predictions or --baselines")
    results = score(
        benchmark, folders, tools_spec(arguments), out,
        paired=not arguments.unpaired, workers=arguments.workers, cluster=arguments.ray,
    )  # fmt: skip
    print(f"{write_report(results, benchmark, out)}")
    return results


def tasks(arguments: argparse.Namespace) -> None:
    """Write the inputs of the benchmark's clips, for a model outside this package."""
    write_tasks(Benchmark(arguments.data, arguments.clips), arguments.mode[0], arguments.tasks, arguments.known_poses)
    print(f"{arguments.tasks}: {arguments.clips} tasks")


def _baselines(names: list[str] | None, benchmark: Benchmark, out: Path) -> list[Path]:
    if names is None:
        return []
    known = baselines(benchmark)
    if unknown := set(names) - known.keys():
        raise PredictionError(f"no baseline {sorted(unknown)}; there are: {', '.join(known)}")
    chosen = [known[name] for name in names] or list(known.values())
    return [write_baseline(each, benchmark, out / "predictions" / slug(each.name)) for each in chosen]


def tools_spec(arguments: argparse.Namespace) -> ToolsSpec:
    """The extractors that the options name."""
    given = {"inception": arguments.inception, "i3d": arguments.i3d, "clip": arguments.clip and (arguments.clip, "")}
    return ToolsSpec(
        evaluators="" if arguments.no_evaluators else str(arguments.evaluators),
        images=not arguments.no_images,
        cameras=not arguments.no_cameras,
        official=tuple((name, value[0], value[1]) for name, value in given.items() if value),
    )
