"""``egotwin evaluate outside``: a model outside the simulator it was trained in.

```
typed goals       goals as users type them, from standing test clips ── done, warned of, or wrong
tilted heads      standing test clips whose head alone is turned, "walk forward" and "stand still" ── floor, rest
recordings        bags of `egotwin data aria` or of your own, "turn left" and "turn right" ── turns, feet
motion capture    encoded and decoded by the motion codec ── errors of joints and head
```

Every figure has its 95 % interval. What is not given is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from egotwin_model.errors import EgoTwinError
from egotwin_model.io.files import write_json
from training.datasets.clips.dataset import open_clips
from training.evaluation.benchmark.run import without_nan
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.outside.motion_codec import codec_on_captures
from training.evaluation.outside.recordings import turns_on_recordings
from training.evaluation.outside.tilted_starts import tilted_starts
from training.evaluation.outside.typed_goals import typed_goals
from training.evaluation.quick import STANDING, beginning_with, lines


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin evaluate outside``."""
    parser = argparse.ArgumentParser(
        prog="egotwin evaluate outside", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=Path("models/egotwin-mini"))
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--data", type=Path, help="folder with test/ clips, for tilted heads and typed goals")
    parser.add_argument("--starts", type=int, default=20, help="standing clips of each tilt (default: %(default)s)")
    parser.add_argument("--goal-starts", type=int, default=4, help="clips of each typed goal (default: %(default)s)")
    parser.add_argument(
        "--recordings", type=Path, nargs="+", default=[], metavar="BAG", help="recordings of real heads"
    )
    parser.add_argument(
        "--mocap", type=Path, metavar="DIR", help="motion capture (.amc, .bvh) that no training has read"
    )
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args(argv)
    try:
        found = measured(arguments)
    except EgoTwinError as error:
        print(f"egotwin evaluate outside: {error}")
        return 1
    print("\n".join(lines(found)))
    if arguments.out is not None:
        write_json(arguments.out, without_nan(found))
    return 0


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures that the options ask for, by section.

    Raises:
        PredictionError: nothing to measure on. RecordingError: clips, recordings or motion capture that cannot be read.
    """
    if not (arguments.data or arguments.recordings or arguments.mocap):
        raise PredictionError("nothing to measure on: give --data, --recordings or --mocap")
    pipeline = EgoTwinPipeline.from_pretrained(arguments.model, arguments.runtime)
    found: dict[str, Any] = {"model": pipeline.info.name, "model_sha256": pipeline.info.sha256}
    if arguments.data:
        benchmark = Benchmark(arguments.data, len(open_clips(arguments.data / "test")))
        found["typed goals"], wrong = typed_goals(pipeline, benchmark, arguments.goal_starts)
        found["done wrongly"] = [answer._asdict() for answer in wrong]
        standing = beginning_with(benchmark, STANDING)[: arguments.starts]
        found["tilted heads"] = tilted_starts(pipeline, benchmark, standing)
    if arguments.recordings:
        found["recordings"] = turns_on_recordings(pipeline, arguments.recordings)
    if arguments.mocap:
        found["motion capture through the codec"] = codec_on_captures(pipeline, arguments.mocap)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
