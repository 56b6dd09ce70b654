"""``egotwin tune goals``: calibrates a model's confidence in goals, on clips of the val split.

Every clip's own goal is imagined (motion alone) and judged by the report's rules. Goals of `unfamiliar_goals.json`,
which no model can do, count as not obeyed. The share obeyed, as a rising function of a goal's similarity to goals of
the train split (isotonic regression), is the confidence. It is written into the model folder and its manifest.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from tqdm import tqdm

from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from egotwin_model.errors import EgoTwinError
from egotwin_model.io.store import save_tensors, verify, write_manifest
from egotwin_model.runtimes.base import to_numpy
from egotwin_model.text.goal_confidence import FILE, GoalConfidence, embedding, nearness
from training.datasets.clips.dataset import open_clips
from training.evaluation.benchmark.imagining import imagined
from training.evaluation.benchmark.in_process import measure_in_process
from training.evaluation.benchmark.tasks import Benchmark

UNFAMILIAR = Path(__file__).with_name("unfamiliar_goals.json")
KNOWN = 1024
TEXTS_READ = 8192
MARGIN = 0.02  # of similarity, beyond the seen ones, over which confidence keeps its value


def unfamiliar_goals() -> list[str]:
    """Goals that no model of this project can do."""
    return list(json.loads(UNFAMILIAR.read_text(encoding="utf-8"))["goals"])


def spread(embeddings: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Rows of at most `count` embeddings (N, D) that cover all: each is the furthest from those before it."""
    chosen = [0]
    nearest = embeddings @ embeddings[0]
    while len(chosen) < min(count, len(embeddings)):
        furthest = int(np.argmin(nearest))
        chosen.append(furthest)
        nearest = np.maximum(nearest, embeddings @ embeddings[furthest])
    return np.array(chosen)


def calibrated(known: NDArray[np.float32], goals: NDArray[np.float32], obeyed: NDArray[np.float64]) -> GoalConfidence:
    """The confidence of goals with embeddings (N, D) of which these (N,) were obeyed, 1 or 0."""
    similarity = nearness(goals, known)
    order = np.argsort(similarity, kind="stable")
    rising = isotonic_regression(obeyed[order]).x
    ends = np.flatnonzero(np.diff(rising, prepend=-1.0, append=2.0))  # where levels begin, and the end
    points, values = [], []
    for first, stop in pairwise(ends):
        points += [similarity[order[first]], similarity[order[stop - 1]]]
        values += [rising[first], rising[first]]
    points, values = [points[0] - MARGIN, *points, points[-1] + MARGIN], [values[0], *values, values[-1]]
    return GoalConfidence(known, np.array(points, np.float32), np.array(values, np.float32))


def tune_goals(pipeline: EgoTwinPipeline, data: Path, clips: int) -> tuple[GoalConfidence, dict[str, Any]]:
    """The calibrated confidence of a model, and what it was made of.

    Raises:
        PredictionError: fewer val clips. RecordingError: a split is missing.
    """
    benchmark = Benchmark(data, clips, "val")
    texts = sorted({str(record["text"]) for record in open_clips(data / "train").records})
    picks = np.unique(np.linspace(0, len(texts) - 1, min(TEXTS_READ, len(texts))).astype(int))
    trained = embeddings(pipeline, [texts[pick] for pick in picks])
    known = trained[spread(trained, KNOWN)]
    parts = measure_in_process(benchmark, benchmark.numbers, lambda clip: imagined(pipeline, clip, "T2M"), "val goals")
    own = embeddings(pipeline, [str(benchmark.record(number)["text"]) for number in benchmark.numbers])
    judged = np.isfinite(parts["obeyed"][:, 0])
    others = embeddings(pipeline, unfamiliar_goals())
    goals = np.concatenate([own[judged], others])
    obeyed = np.concatenate([parts["obeyed"][judged, 0], np.zeros(len(others))])
    found = calibrated(known, goals, obeyed)
    about = {
        "split": "val", "clips": int(judged.sum()), "obeyed": float(parts["obeyed"][judged, 0].mean()),
        "unfamiliar": len(others), "known": len(known),
    }  # fmt: skip
    return found, about


def embeddings(pipeline: EgoTwinPipeline, goals: Sequence[str]) -> NDArray[np.float32]:
    """Embeddings (N, D) of goals by a model's own text encoder."""
    encoder = pipeline.text_encoder
    return np.concatenate(
        [embedding(to_numpy(encoder.cached(goal))) for goal in tqdm(goals, desc="goals", leave=False)]
    )


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin tune goals``."""
    parser = argparse.ArgumentParser(
        prog="egotwin tune goals", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=Path("models/egotwin-mini"))
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/ clips")
    parser.add_argument("--clips", type=int, default=256, help="of the val split (default: %(default)s)")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--record", action="store_true", help="write the confidence into the model folder")
    arguments = parser.parse_args(argv)
    try:
        pipeline = EgoTwinPipeline.from_pretrained(arguments.model, arguments.runtime)
        found, about = tune_goals(pipeline, arguments.data, arguments.clips)
        for similarity, confidence in zip(found.similarity, found.confidence, strict=True):
            print(f"similarity {similarity:.3f}: confidence {confidence:.2f}")
        print(f"{about}")
        if arguments.record:
            manifest = verify(arguments.model)
            save_tensors(arguments.model / FILE, found.tensors())
            write_manifest(arguments.model, {**manifest, "goal_confidence": about})
    except EgoTwinError as error:
        print(f"{parser.prog}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
