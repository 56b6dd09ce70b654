"""``egotwin train``: one stage by name, from a named configuration; the same command resumes a stopped run."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from egotwin_model.errors import EgoTwinError, ModelError
from egotwin_model.files import write_json
from egotwin_model.store import WEIGHTS
from egotwin_model.text import TextEncoder, load_text_encoder
from training.configs import RECIPES, STAGES, TEXT_PACKAGE, DiffusionRecipe, MotionVAERecipe, Recipe, VideoCodecRecipe
from training.latents import encode_split
from training.preview import Preview
from training.runs import codec_folder, diffusion_folder, motion_vae_folder
from training.sequences.dataset import open_clips
from training.stage_codec import VideoCodecStage
from training.stage_diffusion import DiffusionStage
from training.stage_motion import MotionVAEStage
from training.trainer import Stage, train


@dataclass(frozen=True)
class Places:
    """What a run reads and writes.

    Attributes:
        data: folder with ``train`` and ``val`` clips. runs: folder that holds the stages.
        pretrained: a CogVideoX-5b-I2V pipeline folder, or None: the text and video branch starts from nothing.
    """

    data: Path
    runs: Path
    pretrained: Path | None = None

    def of(self, name: str, recipe: Recipe) -> Path:
        """The folder of the stage `name`."""
        if isinstance(recipe, DiffusionRecipe):
            return diffusion_folder(self.runs, recipe.variant, name)
        if isinstance(recipe, MotionVAERecipe):
            return motion_vae_folder(self.runs, recipe.representation)
        return codec_folder(self.runs)


def build(recipe: Recipe, places: Places, folder: Path) -> Stage:
    """The stage of a recipe; later stages read what the earlier ones left."""
    match recipe:
        case VideoCodecRecipe():
            return VideoCodecStage(recipe, places.data)
        case MotionVAERecipe():
            return MotionVAEStage(recipe, places.data, folder)
        case DiffusionRecipe():
            return _diffusion(recipe, places)


def _diffusion(recipe: DiffusionRecipe, places: Places) -> DiffusionStage:
    runs, data = places.runs, places.data
    if recipe.kind != "text-to-motion":
        _link_codec(places)
        _needed(codec_folder(runs), "video-codec")
    if recipe.representation is not None:
        _needed(motion_vae_folder(runs, recipe.representation), "motion-vae")
    start_from = places.pretrained
    if recipe.kind == "joint":
        start_from = _needed(diffusion_folder(runs, recipe.variant, "text-to-motion"), "text-to-motion")
    encoder = _text_encoder(recipe, places.pretrained)
    train_clips = encode_split(data, "train", runs, recipe, encoder)
    validation = encode_split(data, "val", runs, recipe, encoder)
    texts = [str(record["text"]) for record in open_clips(data / "val").records]
    return DiffusionStage(recipe, train_clips, validation, start_from, Preview(recipe, runs, validation, texts))


def _needed(folder: Path, stage: str) -> Path:
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder} has no weights; run `egotwin train {stage}` first")
    return folder


def _link_codec(places: Places) -> None:
    """The paper's video codec is CogVideoX's own: it takes the place of a stage."""
    codec = codec_folder(places.runs)
    if places.pretrained is not None and not codec.exists():
        codec.parent.mkdir(parents=True, exist_ok=True)
        codec.symlink_to((places.pretrained / "vae").resolve(), target_is_directory=True)


def _text_encoder(recipe: DiffusionRecipe, pretrained: Path | None) -> TextEncoder:
    if pretrained is not None:
        return load_text_encoder(pretrained, "text_encoder", recipe.model.text_length)
    encoder = TextEncoder.from_package(TEXT_PACKAGE, recipe.model.text_length)
    channels = encoder.cached("").shape[-1]
    if channels != recipe.model.text_dim:
        raise ModelError(
            f"{TEXT_PACKAGE} gives {channels} channels, this configuration wants {recipe.model.text_dim}: "
            "name CogVideoX-5b-I2V's folder by --pretrained"
        )
    return encoder


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin train``; what argparse does not know is an override for tyro, ``--train.steps 100``."""
    parser = argparse.ArgumentParser(
        prog="egotwin train", description=__doc__, epilog="--train.steps 100 overrides a field"
    )
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--config", choices=sorted(RECIPES), default="mini", metavar="NAME", help=", ".join(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/ clips")
    parser.add_argument("--runs", type=Path, default=Path("runs/mini"), help="folder that holds one folder per stage")
    parser.add_argument("--pretrained", type=Path, help="CogVideoX-5b-I2V's folder, for the paper's size")
    arguments, overrides = parser.parse_known_args(argv)
    try:
        named = RECIPES[arguments.config].get(arguments.stage)
        if named is None:
            raise ModelError(f"configuration {arguments.config} has no stage {arguments.stage}")
        recipe = tyro.cli(type(named), default=named, args=overrides, prog=f"egotwin train {arguments.stage}")
        places = Places(arguments.data, arguments.runs, arguments.pretrained)
        folder = places.of(arguments.stage, recipe)
        stage = build(recipe, places, folder)
        write_json(folder / "recipe.json", asdict(recipe))
        train(stage, recipe.train, folder)
    except EgoTwinError as error:
        print(f"egotwin train: {error}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
