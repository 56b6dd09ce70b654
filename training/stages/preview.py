"""Samples of a diffusion stage for validation clips: the content of its sample sheets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from egotwin_model.diffusion.sampler import Conditions, Guidance, Mode, Sampler
from egotwin_model.geometry.plucker import plucker_maps
from egotwin_model.geometry.skeleton import XSENS
from egotwin_model.io.store import load_tensors
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.motion.vae import load_motion_vae
from egotwin_model.video.pixels import to_frames
from egotwin_model.video.vae import decode_video, load_video_vae
from training.stages.encoding import LatentClips
from training.stages.recipes import DiffusionRecipe
from training.stages.representations import trained_representation
from training.stages.run_folder import SCALE, STATISTICS, codec_folder, motion_vae_folder
from training.stages.sheets import Sample, clip_of

NUM_STEPS = 6
SEED = 11
MODES: dict[str, Mode] = {"text-to-motion": "motion", "text-to-video": "video", "joint": "joint"}


class Preview:
    """Samples latents with the weights in training and decodes them with the codecs of a runs folder.

    The truth is encoded and decoded as well, so that a sheet shows the diffusion's errors and not the codecs'.
    """

    def __init__(
        self, recipe: DiffusionRecipe, runs: Path, clips: LatentClips, texts: list[str], count: int = 4
    ) -> None:
        self.rows = torch.arange(0, len(clips), max(1, len(clips) // count))[:count]
        self.recipe, self.runs, self.clips = recipe, runs, clips
        self.texts = [texts[row] for row in self.rows]
        kind = recipe.representation
        self.representation = None if kind is None else trained_representation(runs, kind)

    def samples(self, model: nn.Module) -> list[Sample]:
        """One future of every preview clip, without guidance; with a prior, the video is that of the true motion."""
        clips, generator, device = self.clips, torch.Generator().manual_seed(SEED), next(model.parameters()).device
        text = clips.texts[clips.text_index[self.rows]].float().to(device)
        video, motion = (None if z is None else z[self.rows].float().to(device) for z in (clips.video, clips.motion))
        extra = {
            name: rows[self.rows].float().to(device)
            for name, rows in (("gravity", clips.gravity), ("depth", clips.depth))
            if rows is not None
        }
        if video is not None and clips.camera is not None and clips.camera_poses is not None:
            extra["camera"] = plucker_maps(clips.camera, clips.camera_poses[self.rows], *video.shape[-2:]).to(device)
        conditions = Conditions(
            text=text,
            empty=clips.texts[:1].float().to(device).expand_as(text),
            image=None if video is None else video[:, 0],
            pose=None if motion is None else motion[..., 0],
            extra=extra,
        )
        noise_video, noise_motion = (
            None if z is None else torch.randn(z.shape, generator=generator).to(device) for z in (video, motion)
        )
        sampler = Sampler(model, self.recipe.schedule, asynchronous=self.recipe.model.asynchronous)

        def sample(mode: Mode, conditions: Conditions) -> tuple[Any, Any]:
            return sampler.sample(mode, conditions, noise_video, noise_motion, NUM_STEPS, Guidance(1.0, 1.0, 1.0))

        if clips.prior is None or clips.visibility is None:
            found_video, found_motion = sample(MODES[self.recipe.kind], conditions)
        else:  # a prior belongs to a head path: that of the clip
            known = {"prior": clips.prior, "visibility": clips.visibility}
            seen = extra | {name: rows[self.rows].float().to(device) for name, rows in known.items()}
            _, found_motion = sample("motion", conditions)
            found_video, _ = sample("video", replace(conditions, motion=motion, extra=seen))
        frames, true_frames = self._frames(found_video, video)
        bodies, true_bodies = self._bodies(found_motion, motion)
        skeleton = XSENS if self.representation is None else self.representation.skeleton
        return [
            Sample(text, frames[row], true_frames[row], bodies[row], true_bodies[row], skeleton)
            for row, text in enumerate(self.texts)
        ]

    def _frames(self, *latents: Tensor | None) -> list[list[Any]]:
        """Decoded frames, a list of clips for each set of latents; None for every clip where there are none."""
        if latents[0] is None:
            return [[None] * len(self.rows) for _ in latents]
        codec = load_video_vae(codec_folder(self.runs))
        decoded = (decode_video(codec, z.cpu().transpose(1, 2)) for z in latents if z is not None)
        return [list(to_frames(video).numpy()) for video in decoded]

    def _bodies(self, *latents: Tensor | None) -> list[list[Any]]:
        """Decoded motions likewise, in the clip's frame of reference."""
        representation = self.representation
        if latents[0] is None or representation is None:
            return [[None] * len(self.rows) for _ in latents]
        folder = motion_vae_folder(self.runs, representation.kind)
        vae = load_motion_vae(folder)
        statistics = MotionStatistics.from_tensors(load_tensors(folder / STATISTICS))
        scale = load_tensors(folder / SCALE)["motion_latent.scale"]
        motions = [
            representation.decode_in_clip_frame(statistics.denormalise(vae.decode(z.cpu() * scale).float()))
            for z in latents
            if z is not None
        ]
        return [[clip_of(motion, row) for row in range(len(self.rows))] for motion in motions]
