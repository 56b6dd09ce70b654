"""``egotwin tune``: which sampler steps and guidance suit a model, measured on clips of the val split.

First the guidance by the text and by the other modality, then the number of steps with that guidance, then the
guidance again with that number of steps. Every candidate imagines video and motion of the same clips, from the same
noise and the clips' own texts:

```
score = obeys the text + view turns with the head − head FDE@5s ÷ head FDE@5s of a head that does not move
```

Of the candidates within `TIE` of the best the cheapest is taken, of equally cheap ones the least guided: guidance that
gains nothing here costs detail in the frames. The test split is never read.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from egotwin_model.diffusion.sampler import Guidance, guidance_terms
from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from egotwin_model.errors import EgoTwinError, GoalError
from egotwin_model.io.files import read_json, write_json
from egotwin_model.io.store import verify, write_manifest
from training.evaluation.benchmark.baselines import frozen
from training.evaluation.benchmark.imagining import check_cameras, imagined
from training.evaluation.benchmark.in_process import measure_in_process
from training.evaluation.benchmark.pooling import pool
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.metrics.predicted_clip import Prediction, RealClip

GUIDANCE = ((1.0, 1.0), (1.5, 1.5), (1.0, 2.0), (1.5, 2.0), (2.0, 2.0), (1.0, 3.0), (2.0, 3.0))
STEPS = (3, 4, 6, 8, 12)
TIE = 0.01
METRICS = ("obeys the text", "view turns with the head", "head FDE@5s")


@dataclass(frozen=True)
class Setting:
    """A candidate: sampler steps, guidance by the text, and by the other modality."""

    num_steps: int = 6
    text: float = 1.0
    other: float = 1.0

    @property
    def guidance(self) -> Guidance:
        return Guidance(self.text, self.other, self.other)

    @property
    def cost(self) -> float:
        """Whole evaluations of the transformer: beyond the first, each term also takes a half one, for motion alone."""
        return self.num_steps * (1.5 * len(guidance_terms(self.text, self.other)) - 0.5)


Row = dict[str, float]
"""A candidate's three metrics by name, and its "score"."""


class Tuning:
    """Candidates of one model on the first clips of a split; each is measured once.

    Raises:
        GoalError: a model that lacks a modality. PredictionError: clips of another camera than the model's.
    """

    def __init__(self, pipeline: EgoTwinPipeline, benchmark: Benchmark) -> None:
        if not (pipeline.has_video and pipeline.has_motion):
            raise GoalError(
                f"{pipeline.info.name} does not imagine both video and motion; tuning weighs one against the other"
            )
        check_cameras(pipeline, benchmark)
        self.pipeline, self.benchmark = pipeline, benchmark
        self.rows: dict[Setting, Row] = {}
        still = self._pooled(lambda clip: Prediction(None, frozen(clip).motion), "no motion")
        self._still = still["head FDE@5s"]

    def choose(self) -> Setting:
        """The best setting: of guidance, then of steps, then of guidance again with that number of steps."""
        found = self.best([Setting(text=text, other=other) for text, other in GUIDANCE])
        found = self.best([replace(found, num_steps=steps) for steps in STEPS])
        return self.best([replace(found, text=text, other=other) for text, other in GUIDANCE])

    def best(self, candidates: Sequence[Setting]) -> Setting:
        """The cheapest of the candidates within `TIE` of the best; of equally cheap ones the least guided."""
        for candidate in candidates:
            if candidate not in self.rows:
                self.rows[candidate] = self._measured(candidate)
        top = max(self.rows[candidate]["score"] for candidate in candidates)
        good = [candidate for candidate in candidates if self.rows[candidate]["score"] >= top - TIE]
        return min(good, key=lambda candidate: (candidate.cost, candidate.text + candidate.other))

    def _measured(self, setting: Setting) -> Row:
        settings: dict[str, Any] = {"num_steps": setting.num_steps, "guidance": setting.guidance}
        found = self._pooled(lambda clip: imagined(self.pipeline, clip, "joint", **settings), str(setting))
        return {**found, "score": score(found, self._still)}

    def _pooled(self, predict: Callable[[RealClip], Prediction], name: str) -> Row:
        together = measure_in_process(self.benchmark, self.benchmark.numbers, predict, name)
        numbers, _ = pool(together, {}, self.benchmark.rates)
        return {metric: numbers[metric].value for metric in METRICS if metric in numbers}


def score(found: Row, still_m: float) -> float:
    """The module's formula; a view that never moves counts as not turning with the head."""
    obeyed, turns, error = (found[metric] for metric in METRICS)
    return obeyed + float(np.nan_to_num(turns)) - error / still_m


def table(rows: dict[Setting, Row], chosen: Setting) -> list[str]:
    """One line a candidate, in the order they were measured."""
    lines = ["steps  text  other  evaluations  " + "  ".join((*METRICS, "score"))]
    for setting, row in rows.items():
        values = "  ".join(f"{row[metric]:{len(metric)}.3f}" for metric in (*METRICS, "score"))
        mark = "  ← chosen" if setting == chosen else ""
        lines.append(
            f"{setting.num_steps:5}  {setting.text:4.1f}  {setting.other:5.1f}  {setting.cost:11.1f}  {values}{mark}"
        )
    return lines


def record(folder: Path, chosen: Setting, rows: dict[Setting, Row], benchmark: Benchmark) -> None:
    """Store the choice as the model's defaults, and all measurements in its manifest."""
    manifest, path = verify(folder), folder / "model_index.json"
    index = read_json(path)
    index["sampling"] |= {"num_steps": chosen.num_steps, "guidance": asdict(chosen.guidance)}
    write_json(path, index)
    measured = [{**asdict(setting), **row} for setting, row in rows.items()]
    about = {"split": benchmark.name, "clips": len(benchmark.numbers), "chosen": asdict(chosen), "measured": measured}
    write_manifest(folder, {**manifest, "tuning": about})


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin tune``."""
    parser = argparse.ArgumentParser(
        prog="egotwin tune", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=Path("models/egotwin-mini"))
    parser.add_argument("--data", type=Path, required=True, help="folder with val/ clips")
    parser.add_argument("--clips", type=int, default=64, help="of the val split (default: %(default)s)")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--record", action="store_true", help="make the choice the model's defaults")
    arguments = parser.parse_args(argv)
    try:
        pipeline = EgoTwinPipeline.from_pretrained(arguments.model, arguments.runtime)
        benchmark = Benchmark(arguments.data, arguments.clips, "val")
        tuning = Tuning(pipeline, benchmark)
        chosen = tuning.choose()
        print("\n".join(table(tuning.rows, chosen)))
        if arguments.record:
            record(arguments.model, chosen, tuning.rows, benchmark)
    except EgoTwinError as error:
        print(f"{parser.prog}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
