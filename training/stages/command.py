"""``egotwin train``: trains one stage of a named configuration; the same command resumes a stopped run."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tyro

from egotwin_model.errors import EgoTwinError, ModelError
from egotwin_model.io.files import NO_ROOM, read_json
from training.datasets.clips.identity import clips_identity
from training.datasets.mocap.capture_folder import checksum
from training.stages.building import RunPaths, build
from training.stages.checkpoints import differences
from training.stages.compatibility import check_clips
from training.stages.recipes import RECIPES, STAGES, DiffusionRecipe, MotionVAERecipe, Recipe
from training.stages.run_folder import CLIPS, RECIPE
from training.stages.trainer import train
from training.workers.stopping import Stopped

# fields of a recipe that may differ when a run is resumed: its length, and what does not change its steps
CHANGEABLE = tuple(
    f"train.{name} "
    for name in (
        "steps", "gradient_accumulation", "gradient_checkpointing", "save_every", "validate_every", "sheet_every",
        "max_nonfinite", "tracker",
    )
)  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin train``; options that argparse does not know override recipe fields, through tyro."""
    parser = argparse.ArgumentParser(
        prog="egotwin train", description=__doc__, epilog="--train.steps 100 overrides a field"
    )
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--config", choices=sorted(RECIPES), default="mini", metavar="NAME", help=", ".join(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/ clips")
    parser.add_argument("--runs", type=Path, default=Path("runs/mini"), help="folder that holds one folder per stage")
    parser.add_argument("--pretrained", type=Path, help="CogVideoX-5b-I2V's folder, for the paper's size")
    parser.add_argument("--mocap", type=Path, help="folder of motion capture for motion-vae and motion-decoder")
    arguments, overrides = parser.parse_known_args(argv)
    overrides = [word for word in overrides if word != "--"]  # which hides --help from argparse
    try:
        named = RECIPES[arguments.config].get(arguments.stage)
        if named is None:
            raise ModelError(f"configuration {arguments.config} has no stage {arguments.stage}")
        recipe = tyro.cli(type(named), default=named, args=overrides, prog=f"egotwin train {arguments.stage}")
        paths = RunPaths(arguments.data, arguments.runs, arguments.pretrained, arguments.mocap)
        run(recipe, paths, paths.stage(arguments.stage, recipe))
    except EgoTwinError as error:
        print(f"egotwin train: {error}")
        return 1
    except Stopped as stopped:
        print(f"egotwin train: {stopped}")
        return 130
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        print(f"egotwin train: the disk is full ({error}); free some space, the same command then resumes")
        return 1
    return 0


def run(recipe: Recipe, paths: RunPaths, folder: Path) -> None:
    """Trains one stage or resumes it, after everything that can be checked beforehand was checked."""
    for clips in paths.clips.values():
        check_clips(clips)
    identity = clips_identity(paths.clips["train"], with_goals=isinstance(recipe, DiffusionRecipe))
    if isinstance(recipe, MotionVAERecipe) and paths.mocap is not None:
        identity["mocap_sha256"] = checksum(paths.mocap)
    notes = {RECIPE: asdict(recipe), CLIPS: identity}
    _check_notes(folder, notes)
    stage = build(recipe, paths, folder)
    train(stage, recipe.train, folder, notes)


def _check_notes(folder: Path, notes: dict[str, Any]) -> None:
    """`ModelError` where the run to be resumed was started with another recipe or on other clips."""
    if not (folder / "checkpoint").is_dir():
        return
    for name, note in notes.items():
        before = read_json(folder / name) if (folder / name).is_file() else {}
        differ = [line for line in differences(before, note) if not line.startswith(CHANGEABLE)]
        if differ:
            what = "in another configuration" if name == RECIPE else "on other clips"
            raise ModelError(
                f"{folder} was started {what}: {'; '.join(differ)}. Give another --runs folder, or what "
                f"{folder / name} says"
            )


if __name__ == "__main__":
    raise SystemExit(main())
