"""``egotwin train``: one stage by name, from a named configuration; the same command resumes a stopped run."""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tyro

from egotwin_model.egotwin.pretrained import cogvideox_schedule
from egotwin_model.errors import EgoTwinError, ModelError
from egotwin_model.io.files import NO_ROOM, read_json
from egotwin_model.io.store import CONFIG, WEIGHTS, component_config
from egotwin_model.runtimes.base import RuntimeOptions
from egotwin_model.text.encoders import TextEncoder, load_text_encoder
from training.datasets.clips.cameras import ClipCameras
from training.datasets.clips.dataset import ClipSet, goals_checksum, open_clips
from training.stages.checkpoints import differences
from training.stages.codec import VideoCodecStage
from training.stages.compatibility import check_cameras, check_clips, check_sizes, check_statistics
from training.stages.diffusion import DiffusionStage
from training.stages.encoding import encode_split, processes
from training.stages.motion import MotionDecoderStage, MotionVAEStage
from training.stages.preview import Preview
from training.stages.recipes import (
    RECIPES,
    STAGES,
    TEXT_PACKAGE,
    DiffusionRecipe,
    MotionVAERecipe,
    Recipe,
    VideoCodecRecipe,
)
from training.stages.representations import check_feature_dim, check_representation
from training.stages.run_folder import (
    CLIPS,
    RECIPE,
    codec_folder,
    diffusion_folder,
    motion_decoder_folder,
    motion_vae_folder,
    progress,
)
from training.stages.stage import Stage
from training.stages.trainer import train
from training.workers.stopping import Stopped

# what a run may go on with changed: how long it is, how it is watched, and what does not change its steps
FREE = tuple(
    f"train.{name} "
    for name in (
        "steps", "gradient_accumulation", "gradient_checkpointing", "save_every", "validate_every", "sheet_every",
        "max_nonfinite", "tracker",
    )
)  # fmt: skip


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

    @cached_property
    def clips(self) -> dict[str, ClipSet]:
        """Both splits, opened once."""
        return {split: open_clips(self.data / split) for split in ("train", "val")}

    def of(self, name: str, recipe: Recipe) -> Path:
        """The folder of the stage `name`."""
        if isinstance(recipe, DiffusionRecipe):
            return diffusion_folder(self.runs, recipe.variant, name)
        if isinstance(recipe, MotionVAERecipe):
            whole = motion_vae_folder(self.runs, recipe.representation)
            return motion_decoder_folder(self.runs) if recipe.decoder_only else whole
        return codec_folder(self.runs)


def build(recipe: Recipe, places: Places, folder: Path) -> Stage:
    """The stage of a recipe; later stages read what the earlier ones left."""
    match recipe:
        case VideoCodecRecipe():
            return VideoCodecStage(recipe, places.clips["train"], places.clips["val"])
        case MotionVAERecipe(decoder_only=True):
            clips = places.clips["train"]
            check_representation(clips, places.runs, recipe.representation)
            whole = motion_vae_folder(places.runs, recipe.representation)
            _trained(whole, "motion-vae", ("MotionVAE",))
            _same_model(whole, recipe, "motion-vae")
            stage = MotionDecoderStage(recipe, clips, places.clips["val"], places.runs, folder)
            check_statistics(stage.features, stage.statistics, stage.representation, clips.folder, whole)
            return stage
        case MotionVAERecipe():
            check_feature_dim(places.clips["train"], recipe)
            return MotionVAEStage(recipe, places.clips["train"], places.clips["val"], places.runs, folder)
        case DiffusionRecipe():
            return _diffusion(recipe, places)


def _diffusion(recipe: DiffusionRecipe, places: Places) -> DiffusionStage:
    runs, clips = places.runs, places.clips
    if recipe.kind != "text-to-motion":
        check_cameras(clips["train"], clips["val"])
        _link_codec(places)
        _trained(codec_folder(runs), "video-codec", ("CausalVideoVAE", "AutoencoderKLCogVideoX"))
    if recipe.representation is not None:
        _trained(motion_vae_folder(runs, recipe.representation), "motion-vae", ("MotionVAE",))
    start_from = places.pretrained
    if recipe.kind == "joint":
        start_from = diffusion_folder(runs, recipe.variant, "text-to-motion")
        _trained(start_from, "text-to-motion", ("EgoTwinTransformer",))
        _same_model(start_from, recipe, "text-to-motion")
    if start_from is None and (recipe.freeze_text or recipe.adapter_rank):
        raise ModelError(
            "the text and video branch cannot stay as it is: there is none yet; name CogVideoX-5b-I2V's "
            "folder by --pretrained"
        )
    if places.pretrained is not None:
        _same_schedule(recipe, places.pretrained)
    for part in clips.values():
        check_sizes(part, recipe, runs)
    encoder = _text_encoder(recipe, places)
    train_clips, validation = (encode_split(part, split, runs, recipe, encoder) for split, part in clips.items())
    texts = [str(record["text"]) for record in clips["val"].records]
    return DiffusionStage(recipe, train_clips, validation, start_from, Preview(recipe, runs, validation, texts))


def _trained(folder: Path, stage: str, classes: tuple[str, ...]) -> None:
    """`ModelError` unless `folder` holds what `stage` leaves at its end: weights of one of these classes."""
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder} has no weights; run `egotwin train {stage}` first")
    if (steps := progress(folder)) is not None and steps[0] < steps[1]:
        raise ModelError(
            f"{folder} was stopped at step {steps[0]} of {steps[1]}; run `egotwin train {stage}` again, to its end, or "
            f"with --train.steps {steps[0]} to leave it at that"
        )
    found = read_json(folder / CONFIG).get("_class_name")
    if found not in classes:
        raise ModelError(
            f"{folder} holds a {found}, wanted what `egotwin train {stage}` leaves: {' or '.join(classes)}"
        )


def _same_model(folder: Path, recipe: DiffusionRecipe | MotionVAERecipe, stage: str) -> None:
    """`ModelError` unless the network which that stage left is the one that this recipe goes on with."""
    if differ := differences(component_config(folder), asdict(recipe.model)):
        raise ModelError(
            f"{folder} was trained in another configuration: {'; '.join(differ)}. Train {stage} in this one, or name "
            "another --runs folder"
        )


def _same_schedule(recipe: DiffusionRecipe, pretrained: Path) -> None:
    """`ModelError` where the pretrained weights know another noise schedule than they would be trained on with."""
    schedule = asdict(cogvideox_schedule(pretrained))
    if differ := [line for line in differences(schedule, asdict(recipe.schedule)) if not line.startswith("spacing ")]:
        raise ModelError(
            f"{pretrained} was trained with another noise schedule: {'; '.join(differ)}; set it by --schedule.…"
        )


def _link_codec(places: Places) -> None:
    """The paper's video codec is CogVideoX's own: it takes the place of a stage."""
    codec = codec_folder(places.runs)
    if places.pretrained is not None and not codec.exists() and processes().is_main_process:
        codec.parent.mkdir(parents=True, exist_ok=True)
        codec.symlink_to((places.pretrained / "vae").resolve(), target_is_directory=True)
    processes().wait_for_everyone()


def _text_encoder(recipe: DiffusionRecipe, places: Places) -> TextEncoder:
    wanted, length = recipe.model.text_dim, recipe.model.text_length
    if places.pretrained is not None:
        device = processes().device
        # with a cache the network is only loaded when a text is not kept yet
        options = RuntimeOptions(
            str(device), "float32" if device.type == "cpu" else "bfloat16", text_cache=str(places.runs / "latents/text")
        )
        encoder = load_text_encoder(places.pretrained, "text_encoder", length, options)
        name, channels = str(places.pretrained), read_json(encoder.folder / CONFIG).get("d_model")
    else:
        encoder = TextEncoder.from_package(TEXT_PACKAGE, length)
        name, channels = TEXT_PACKAGE, encoder.cached("").shape[-1]
    if channels != wanted:
        raise ModelError(
            f"{name} gives text states of {channels} channels, this configuration wants {wanted}: name "
            "CogVideoX-5b-I2V's folder by --pretrained, or the configuration that fits"
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
    overrides = [word for word in overrides if word != "--"]  # which hides --help from argparse
    try:
        named = RECIPES[arguments.config].get(arguments.stage)
        if named is None:
            raise ModelError(f"configuration {arguments.config} has no stage {arguments.stage}")
        recipe = tyro.cli(type(named), default=named, args=overrides, prog=f"egotwin train {arguments.stage}")
        places = Places(arguments.data, arguments.runs, arguments.pretrained)
        run(recipe, places, places.of(arguments.stage, recipe))
    except EgoTwinError as error:
        print(f"egotwin train: {error}")
        return 1
    except Stopped as stopped:
        print(f"egotwin train: {stopped}")
        return 130
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        print(
            f"egotwin train: the disk is full ({error}); make room: the same command goes on from the last checkpoint"
        )
        return 1
    return 0


def run(recipe: Recipe, places: Places, folder: Path) -> None:
    """Train one stage, or go on with it, after everything that can be checked beforehand was checked."""
    for clips in places.clips.values():
        check_clips(clips)
    notes = {RECIPE: asdict(recipe), CLIPS: identity_of(places.clips["train"], isinstance(recipe, DiffusionRecipe))}
    _check_notes(folder, notes)
    stage = build(recipe, places, folder)
    train(stage, recipe.train, folder, notes)


def _check_notes(folder: Path, notes: dict[str, Any]) -> None:
    """`ModelError` where a run that is to go on was begun with another recipe or on other clips."""
    if not (folder / "checkpoint").is_dir():
        return
    for name, note in notes.items():
        before = read_json(folder / name) if (folder / name).is_file() else {}
        differ = [line for line in differences(before, note) if not line.startswith(FREE)]
        if differ:
            what = "in another configuration" if name == RECIPE else "on other clips"
            raise ModelError(
                f"{folder} was begun {what}: {'; '.join(differ)}. Give another --runs folder, or repeat what "
                f"{folder / name} says"
            )


def identity_of(clips: ClipSet, told: bool) -> dict[str, Any]:
    """What tells a folder of clips from others: how they were made, how many, a checksum over all shards, and of their
    goals where a network is `told` those; and the camera they were all seen through, None where theirs differ."""
    shards = {name: entry["sha256"] for name, entry in clips.manifest.shards.items() if entry["clips"]}
    digest = hashlib.sha256(json.dumps(shards, sort_keys=True).encode()).hexdigest()
    settings = clips.manifest.settings()
    camera = ClipCameras(clips).common()
    seen = {
        "camera": None if camera is None else asdict(camera.intrinsics),
        "mount": None if camera is None else asdict(camera.mount),
    }
    goals = {"goals_sha256": goals_checksum(clips)} if told else {}
    return {**settings, "finished": len(clips), "sha256": digest, **goals, **seen}


if __name__ == "__main__":
    raise SystemExit(main())
