"""``egotwin export evaluators``: trained evaluators as one small folder with checksums, for others to measure with."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from egotwin_model.errors import EgoTwinError, ModelError
from egotwin_model.io.files import read_json, whole_folder
from egotwin_model.io.store import CONFIG, WEIGHTS, load_tensors, save_tensors, write_manifest
from training.evaluation.extractors.extractor_networks import STATISTICS
from training.evaluation.extractors.trained import EVALUATORS
from training.stages.run_folder import CLIPS, METRICS, RECIPE, progress


def ship(source: Path, folder: Path) -> dict[str, Any]:
    """Write the evaluators in `source` to `folder`, weights as float16; returns the manifest's entries.

    Args:
        source: what `egotwin train evaluators` writes. folder: replaced where it exists, only by a whole one.

    Raises:
        ModelError: one is missing, was stopped before its end, or was trained on other clips than the rest.
    """
    trained = {name: _details(source / name, name) for name in EVALUATORS}
    seen = {json.dumps(each.pop("clips"), sort_keys=True) for each in trained.values()}
    if len(seen) != 1:
        raise ModelError(f"the evaluators in {source} were trained on {len(seen)} different sets of clips; wanted one")
    with whole_folder(folder) as temporary:
        for name in EVALUATORS:
            (temporary / name).mkdir()
            weights = load_tensors(source / name / WEIGHTS)
            save_tensors(
                temporary / name / WEIGHTS,
                {key: x.half() if x.is_floating_point() else x for key, x in weights.items()},
            )
            for other in (CONFIG, STATISTICS):
                if (source / name / other).is_file():
                    shutil.copyfile(source / name / other, temporary / name / other)
        details = {"name": "evaluators", "clips": json.loads(seen.pop()), "evaluators": trained}
        write_manifest(temporary, details)
    return details


def _details(folder: Path, name: str) -> dict[str, Any]:
    again = f"run `egotwin train evaluators {name} --out {folder.parent}`"
    done = progress(folder)
    if done is None or not (folder / WEIGHTS).is_file() or not (folder / CLIPS).is_file():
        raise ModelError(f"{folder} is not a trained evaluator; {again}")
    if done[0] < done[1]:
        raise ModelError(f"{folder} was stopped at step {done[0]} of {done[1]}; {again}, to its end")
    last = (folder / METRICS).read_text(encoding="utf-8").splitlines()[-1]
    return {
        "recipe": read_json(folder / RECIPE), "last_metrics": json.loads(last), "clips": read_json(folder / CLIPS),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin export evaluators``."""
    parser = argparse.ArgumentParser(prog="egotwin export evaluators", description=__doc__)
    parser.add_argument("--evaluators", type=Path, default=Path("runs/evaluators"), help="default: %(default)s")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args(argv)
    try:
        found = ship(arguments.evaluators, arguments.out)
    except EgoTwinError as error:
        print(f"{parser.prog}: {error}")
        return 1
    for name, details in found["evaluators"].items():
        metrics = {key: value for key, value in details["last_metrics"].items() if key.startswith("val_")}
        print(f"{name}: " + ", ".join(f"{key.removeprefix('val_')} {value:.4g}" for key, value in metrics.items()))
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{arguments.out}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
