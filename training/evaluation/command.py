"""``egotwin evaluate``: measures a model folder on clips it has never seen, beside the baselines it must beat.

Rooms, bodies and wordings are those of the test split. Without `--report` a few figures are printed, each with its
interval (`--out` writes them as JSON); with it the whole benchmark is run. See docs/evaluation.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from egotwin_model.errors import EgoTwinError
from egotwin_model.io.files import write_json
from egotwin_model.io.store import verify, write_manifest
from training.evaluation.benchmark.report import print_results
from training.evaluation.benchmark.report_command import add_options, run, tasks
from training.evaluation.benchmark.run import without_nan
from training.evaluation.benchmark.start_sheet import COUNT, write_start_sheet
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.quick import evaluate, lines


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin evaluate``."""
    parser = argparse.ArgumentParser(prog="egotwin evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/egotwin-mini"))
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and test/ clips")
    parser.add_argument("--starts", type=int, default=40, help="clips of each measurement (default: %(default)s)")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument(
        "--sheet", type=Path, help=f"write this PNG instead: the first {COUNT} clips and what is imagined for them"
    )
    parser.add_argument("--record", action="store_true", help="write the metrics into the model folder's manifest")
    add_options(parser)
    arguments = parser.parse_args(argv)
    try:
        if arguments.tasks is not None:
            tasks(arguments)
            return 0
        if arguments.report is not None:
            print_results(run(arguments))
            return 0
        pipeline = EgoTwinPipeline.from_pretrained(arguments.model, arguments.runtime)
        if arguments.sheet is not None:
            write_start_sheet(pipeline, Benchmark(arguments.data, COUNT), arguments.sheet)
            return 0
        metrics = evaluate(pipeline, arguments.data, arguments.starts)
    except EgoTwinError as error:
        print(f"egotwin evaluate: {error}")
        return 1
    print("\n".join(lines(metrics)))
    if arguments.out is not None:
        write_json(arguments.out, without_nan(metrics))
    if arguments.record:
        write_manifest(arguments.model, {**verify(arguments.model), "metrics": without_nan(metrics)})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
