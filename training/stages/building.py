"""Builds a stage from its recipe, after checks that the earlier stages it needs are there, finished and fitting."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from egotwin_model.egotwin.pretrained import cogvideox_schedule
from egotwin_model.errors import ModelError, RecordingError
from egotwin_model.geometry.skeleton import XSENS_JOINTS
from egotwin_model.io.files import read_json
from egotwin_model.io.store import CONFIG, WEIGHTS, component_config
from egotwin_model.runtimes.base import RuntimeOptions
from egotwin_model.text.encoders import TextEncoder, load_text_encoder
from training.datasets.clips.dataset import ClipSet, open_clips, skeleton_of
from training.datasets.mocap.capture_folder import CaptureFolder
from training.stages.checkpoints import differences
from training.stages.codec import VideoCodecStage
from training.stages.compatibility import check_cameras, check_sizes, check_statistics
from training.stages.depth import DepthStage
from training.stages.diffusion import DiffusionStage
from training.stages.encoding import encode_split
from training.stages.frame_latents import processes
from training.stages.motion import MotionDecoderStage, MotionVAEStage
from training.stages.preview import Preview
from training.stages.recipes import (
    TEXT_PACKAGE,
    DepthRecipe,
    DiffusionRecipe,
    MotionVAERecipe,
    Recipe,
    VideoCodecRecipe,
)
from training.stages.representations import check_feature_dim, check_representation
from training.stages.run_folder import codec_folder, diffusion_folder, motion_vae_folder, progress, stage_folder
from training.stages.stage import Stage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunPaths:
    """The folders that a training run reads and writes.

    Attributes:
        data: folder with ``train`` and ``val`` clips. runs: folder that holds the stages.
        pretrained: a CogVideoX-5b-I2V pipeline folder; without one the text and video branch is initialised randomly.
        mocap: a folder of motion capture that the motion VAE is trained on too.
    """

    data: Path
    runs: Path
    pretrained: Path | None = None
    mocap: Path | None = None

    @cached_property
    def clips(self) -> dict[str, ClipSet]:
        """Both splits, opened once."""
        return {split: open_clips(self.data / split) for split in ("train", "val")}

    def stage(self, name: str, recipe: Recipe) -> Path:
        """The folder of the stage `name`."""
        if isinstance(recipe, DiffusionRecipe):
            return stage_folder(self.runs, name, variant=recipe.variant)
        if isinstance(recipe, MotionVAERecipe):
            return stage_folder(self.runs, name, representation=recipe.representation)
        return stage_folder(self.runs, name)


def build(recipe: Recipe, paths: RunPaths, folder: Path) -> Stage:
    """The stage of a recipe; it reads the output of earlier stages in `paths.runs`.

    Raises:
        ModelError, RecordingError: clips, earlier stages or pretrained weights are missing or do not fit the recipe.
    """
    train, validation, runs = paths.clips["train"], paths.clips["val"], paths.runs
    match recipe:
        case DepthRecipe():
            return DepthStage(recipe, train, validation)
        case VideoCodecRecipe():
            return VideoCodecStage(recipe, train, validation, runs)
        case MotionVAERecipe(decoder_only=True):
            check_representation(train, runs, recipe.representation)
            whole = motion_vae_folder(runs, recipe.representation)
            _check_finished(whole, "motion-vae", ("MotionVAE",))
            _check_configuration(whole, recipe, "motion-vae")
            stage = MotionDecoderStage(recipe, train, validation, runs, folder, _captures(train, paths))
            check_statistics(stage.features, stage.statistics, stage.representation, train.folder, whole)
            return stage
        case MotionVAERecipe():
            check_feature_dim(train, recipe)
            return MotionVAEStage(recipe, train, validation, runs, folder, _captures(train, paths))
        case DiffusionRecipe():
            return _diffusion(recipe, paths)


def _diffusion(recipe: DiffusionRecipe, paths: RunPaths) -> DiffusionStage:
    runs, clips = paths.runs, paths.clips
    if recipe.kind != "text-to-motion":
        check_cameras(clips["train"], clips["val"])
        _link_codec(paths)
        _check_finished(codec_folder(runs), "video-codec", ("CausalVideoVAE", "AutoencoderKLCogVideoX"))
    if recipe.representation is not None:
        _check_finished(motion_vae_folder(runs, recipe.representation), "motion-vae", ("MotionVAE",))
    start_from = paths.pretrained
    if recipe.kind == "joint":
        start_from = diffusion_folder(runs, recipe.variant, "text-to-motion")
        _check_finished(start_from, "text-to-motion", ("EgoTwinTransformer",))
        _check_configuration(start_from, recipe, "text-to-motion")
    if start_from is None and (recipe.freeze_text or recipe.adapter_rank):
        raise ModelError(
            "freeze_text and adapter_rank need pretrained weights of the text and video branch; name "
            "CogVideoX-5b-I2V's folder by --pretrained"
        )
    if paths.pretrained is not None:
        _check_schedule(recipe, paths.pretrained)
    for split in clips.values():
        check_sizes(split, recipe, runs)
    encoder = _text_encoder(recipe, paths)
    train, validation = (encode_split(part, split, runs, recipe, encoder) for split, part in clips.items())
    texts = [str(record["text"]) for record in clips["val"].records]
    return DiffusionStage(recipe, train, validation, start_from, Preview(recipe, runs, validation, texts))


def _captures(clips: ClipSet, paths: RunPaths) -> CaptureFolder | None:
    """The motion capture to train on, if any; `RecordingError` where it is not of the clips' body."""
    if paths.mocap is None:
        return None
    if skeleton_of(clips).joint_names != XSENS_JOINTS:
        raise RecordingError(
            f"{paths.mocap}: motion capture is retargeted to the Xsens body, and {clips.folder} has another; leave out "
            "--mocap"
        )
    found = CaptureFolder.load(paths.mocap)
    if found.skipped and processes().is_main_process:
        log.warning("%s: %d of %d recordings are left out: %s", paths.mocap, len(found.skipped),
                    len(found.skipped) + len(found.motions), found.skipped)  # fmt: skip
    return found


def _check_finished(folder: Path, stage: str, classes: tuple[str, ...]) -> None:
    """`ModelError` unless `folder` holds the finished weights of `stage`, a network of one of these classes."""
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder} has no weights; run `egotwin train {stage}` first")
    if (steps := progress(folder)) is not None and steps[0] < steps[1]:
        raise ModelError(
            f"{folder} was stopped at step {steps[0]} of {steps[1]}; run `egotwin train {stage}` again, to its end, or "
            f"with --train.steps {steps[0]} to accept it as it is"
        )
    found = read_json(folder / CONFIG).get("_class_name")
    if found not in classes:
        raise ModelError(
            f"{folder} holds a {found}, wanted the output of `egotwin train {stage}`: {' or '.join(classes)}"
        )


def _check_configuration(folder: Path, recipe: DiffusionRecipe | MotionVAERecipe, stage: str) -> None:
    """`ModelError` unless an earlier stage's network, which this recipe trains further, has its configuration."""
    if differ := differences(component_config(folder), asdict(recipe.model)):
        raise ModelError(
            f"{folder} was trained in another configuration: {'; '.join(differ)}. Train {stage} in this one, or name "
            "another --runs folder"
        )


def _check_schedule(recipe: DiffusionRecipe, pretrained: Path) -> None:
    """`ModelError` where the pretrained weights were trained with another noise schedule than the recipe's."""
    schedule = asdict(cogvideox_schedule(pretrained))
    if differ := [line for line in differences(schedule, asdict(recipe.schedule)) if not line.startswith("spacing ")]:
        raise ModelError(
            f"{pretrained} was trained with another noise schedule: {'; '.join(differ)}; set it by --schedule.…"
        )


def _link_codec(paths: RunPaths) -> None:
    """Links CogVideoX's video codec into the runs folder, where the paper's size has it instead of training one."""
    codec = codec_folder(paths.runs)
    if paths.pretrained is not None and not codec.exists() and processes().is_main_process:
        codec.parent.mkdir(parents=True, exist_ok=True)
        codec.symlink_to((paths.pretrained / "vae").resolve(), target_is_directory=True)
    processes().wait_for_everyone()


def _text_encoder(recipe: DiffusionRecipe, paths: RunPaths) -> TextEncoder:
    wanted, length = recipe.model.text_dim, recipe.model.text_length
    if paths.pretrained is not None:
        device = processes().device
        # with a cache the network is only loaded for a text that is not in it
        options = RuntimeOptions(
            str(device), "float32" if device.type == "cpu" else "bfloat16", text_cache=str(paths.runs / "latents/text")
        )
        encoder = load_text_encoder(paths.pretrained, "text_encoder", length, options)
        name, channels = str(paths.pretrained), read_json(encoder.folder / CONFIG).get("d_model")
    else:
        encoder = TextEncoder.from_package(TEXT_PACKAGE, length)
        name, channels = TEXT_PACKAGE, encoder.cached("").shape[-1]
    if channels != wanted:
        raise ModelError(
            f"{name} gives text states of {channels} channels, this configuration wants {wanted}: name "
            "CogVideoX-5b-I2V's folder by --pretrained, or the configuration that fits"
        )
    return encoder
