"""``egotwin train evaluators``: the networks that stand in for the paper's extractors; the same command resumes."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import tyro

from egotwin_model.errors import EgoTwinError
from training.datasets.clips.dataset import open_clips
from training.datasets.clips.identity import clips_identity
from training.evaluation.extractors.extractor_stages import RECIPES, build
from training.stages.run_folder import CLIPS, RECIPE
from training.stages.trainer import train
from training.workers.stopping import Stopped


def main(argv: list[str] | None = None) -> int:
    """Command line; what argparse does not know is an override for tyro, ``--train.steps 100``."""
    parser = argparse.ArgumentParser(
        prog="egotwin train evaluators", description=__doc__, epilog="--train.steps 100 overrides a field"
    )
    parser.add_argument("evaluator", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/ clips")
    parser.add_argument("--out", type=Path, default=Path("runs/evaluators"), help="one folder per evaluator in it")
    arguments, overrides = parser.parse_known_args(argv)
    recipe_type, folder = RECIPES[arguments.evaluator], arguments.out / arguments.evaluator
    try:
        recipe = tyro.cli(
            recipe_type, default=recipe_type(), args=overrides, prog=f"{parser.prog} {arguments.evaluator}"
        )
        stage = build(recipe, arguments.data, folder)
        notes = {RECIPE: asdict(recipe), CLIPS: clips_identity(open_clips(arguments.data / "train"), with_goals=True)}
        train(stage, recipe.train, folder, notes)
    except EgoTwinError as error:
        print(f"{parser.prog}: {error}")
        return 1
    except Stopped as stopped:
        print(f"{parser.prog}: {stopped}")
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
