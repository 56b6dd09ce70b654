"""Checks that clips, codecs and a configuration fit together, before anything is computed or trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from egotwin_model.errors import ModelError, RecordingError
from egotwin_model.geometry.skeleton import forward_kinematics
from egotwin_model.io.store import component_config
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.root_centric import RootCentric
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.motion.vae import MotionVAEConfig
from training.datasets.clips.cameras import ClipCameras
from training.datasets.clips.dataset import ClipSet, skeleton_of
from training.datasets.latents.cache import MappedRows
from training.stages.recipes import DiffusionRecipe
from training.stages.run_folder import codec_folder, motion_vae_folder

FRAMES, POSES = 41, 81  # of a clip: 5 s at 8 and 16 Hz, as in every model folder
RATES_HZ = (8.0, 16.0)
CHECKED_CLIPS = 8  # whose skeleton is checked
LARGEST_BONE_ERROR_M = 0.05  # mean over a clip's joints; soft tissue and a head moved under its camera stay far below
SAMPLE = 1000  # clips whose features are compared with a motion VAE's statistics
LARGEST_SHIFT, LARGEST_RATIO = 0.5, 1.5  # of a feature group: of its mean, in standard deviations; of its scale


def check_clips(clips: ClipSet) -> None:
    """Checks that clips have the length and rates that all models here are made for, and the skeleton they claim.

    Raises:
        RecordingError: no clips; other rates or lengths; joints that are not those of the manifest's skeleton (23 of
            Xsens unless it says otherwise) in their order, in metres, with global rotations: forward kinematics of
            the bones does not give the positions.
    """
    manifest, folder, skeleton = clips.manifest, clips.folder, skeleton_of(clips)
    joints = skeleton.num_joints
    if not len(clips):
        raise RecordingError(f"{folder} has no finished clips; make some with `egotwin data world` or `… nymeria`")
    if (manifest.frame_rate, manifest.pose_rate) != RATES_HZ:
        raise RecordingError(
            f"{folder} has {manifest.frame_rate:g} frames and {manifest.pose_rate:g} poses a second; wanted "
            f"{RATES_HZ[0]:g} and {RATES_HZ[1]:g}: make the clips again at these rates"
        )
    for clip in np.unique(np.linspace(0, len(clips) - 1, CHECKED_CLIPS).astype(int)).tolist():
        positions, rotations = clips.tensor("positions", clip), clips.tensor("rotations", clip)
        shapes = (clips.tensor("frames", clip).shape[0], positions.shape, rotations.shape)
        wanted = (FRAMES, (POSES, joints, 3), (POSES, joints, 3, 3))
        if shapes != wanted:
            raise RecordingError(
                f"{folder}, clip {clip}: frames, positions and rotations are {shapes}, wanted {wanted}: clips of 5 s "
                f"with the {joints} joints of {'the skeleton in its manifest' if manifest.skeleton else 'Xsens'}"
            )
        root, offsets = positions[:, skeleton.root_index], clips.tensor("offsets", clip)
        built = forward_kinematics(root, rotations, offsets, skeleton)
        error = float(np.linalg.norm(built - positions, axis=-1).mean())
        if not error < LARGEST_BONE_ERROR_M:  # NaN too
            raise RecordingError(
                f"{folder}, clip {clip}: another skeleton: forward kinematics of its bones places the joints "
                f"{error:.2f} m from the clip's positions; wanted joints in the order {skeleton.joint_names}, metres "
                "and global rotations (docs/sequences.md)"
            )


def check_cameras(train: ClipSet, validation: ClipSet) -> None:
    """Both splits were seen through one camera, since a model folder has one.

    Raises:
        RecordingError: clips of different cameras.
    """
    if difference := ClipCameras(train).shared().difference(ClipCameras(validation).shared()):
        raise RecordingError(
            f"{validation.folder}: the camera is {difference}, where that of {train.folder} is; make both splits with "
            "one camera"
        )


def check_sizes(clips: ClipSet, recipe: DiffusionRecipe, runs: Path) -> None:
    """Checks that the clips' frames and the trained codecs give the latents that the recipe's transformer takes.

    Raises:
        ModelError: another frame size, latent size or number of channels.
    """
    c = recipe.model
    found: dict[str, Any] = {}
    wanted: dict[str, Any] = {}
    if recipe.kind != "text-to-motion":
        codec = component_config(codec_folder(runs))
        side = spatial_compression(codec)
        time = int(codec.get("temporal_compression_ratio", 4))
        height, width = clips.tensor("frames", 0).shape[1:3]
        found["frame sizes"] = (height, width)
        wanted["frame sizes"] = (c.latent_height * side, c.latent_width * side)
        found["video latents and channels"] = (1 + (FRAMES - 1) // time, codec.get("latent_channels"))
        wanted["video latents and channels"] = (c.latent_frames, c.latent_channels)
    if recipe.representation is not None:
        vae = MotionVAEConfig(**component_config(motion_vae_folder(runs, recipe.representation)))
        found["motion latents and channels"] = (1 + (POSES - 1) // vae.temporal_compression_ratio, vae.latent_dim)
        wanted["motion latents and channels"] = (c.motion_length, c.motion_channels)
    for what, value in found.items():
        if value != wanted[what]:
            raise ModelError(
                f"{what} are {value}, but this configuration's transformer takes {wanted[what]}; use clips and codecs "
                f"(in {runs}) made for it, or the configuration that fits them"
            )


def spatial_compression(codec: dict[str, Any]) -> int:
    """Pixels per latent along a side, from a video codec's ``config.json``: ours, or that of diffusers' CogVideoX."""
    if "spatial_compression_ratio" in codec:
        return int(codec["spatial_compression_ratio"])
    return int(2 ** (len(codec["block_out_channels"]) - 1))


def check_statistics(
    features: MappedRows,
    statistics: MotionStatistics,
    representation: HeadCentric | RootCentric,
    data: Path,
    vae: Path,
) -> None:
    """Checks that the statistics of the motion VAE in `vae` describe these clips too.

    Raises:
        ModelError: a feature group's mean differs by more than half a standard deviation, or its scale by more than a
            factor of one and a half: other units or axes, or motion unlike that the VAE was trained on.
    """
    rows = torch.linspace(0, len(features) - 1, min(SAMPLE, len(features))).long().unique()
    statistics.normalise(features[:1])  # refuses another number of features
    here = MotionStatistics.fit((features[part] for part in rows.split(100)), representation.slices)
    for name, part in representation.slices.items():
        shift = float(((here.mean - statistics.mean) / statistics.std)[part].square().mean().sqrt())
        ratio = float((here.std / statistics.std)[part].mean())
        if not (shift <= LARGEST_SHIFT and 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO):
            raise ModelError(
                f"the motion of {data} has other statistics than that {vae} was trained on: the mean of {name} differs "
                f"by {shift:.2f} standard deviations, its standard deviation by a factor of {ratio:.2f}; train "
                "motion-vae on these clips in another --runs folder, or use the clips it was trained on"
            )
