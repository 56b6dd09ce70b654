"""The parts of a model folder: trained networks, the statistics of their inputs, and parts copied unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from egotwin_model.depth.network import DepthNetwork
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.io.store import component_config
from egotwin_model.motion.representation import Representation
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.motion.vae import MotionVAE, MotionVAEConfig
from egotwin_model.video.vae import CausalVideoVAE, VideoVAEConfig
from training.stages.compatibility import spatial_compression


@dataclass(frozen=True)
class Networks:
    """Trained networks and the statistics of their inputs; a model without motion or video has no codec for it.

    Attributes:
        given: parts of the model folder that are copied unchanged, by name: CogVideoX's ``video_vae`` and
            ``text_encoder``, with its tokenizer beside it.
        depth: the depth network, where one was trained.
    """

    transformer: EgoTwinTransformer
    motion_vae: MotionVAE | None
    video_vae: CausalVideoVAE | None
    representation: Representation | None
    statistics: MotionStatistics | None
    motion_scale: Tensor | None
    given: Mapping[str, Path] = field(default_factory=dict)
    depth: DepthNetwork | None = None

    @property
    def modalities(self) -> list[str]:
        codecs = {"video": self.video_vae or self.given.get("video_vae"), "motion": self.motion_vae}
        return [name for name, codec in codecs.items() if codec is not None]

    @property
    def _codec_ratios(self) -> tuple[int, int]:
        """Frames, and pixels along a side, per video latent."""
        if "video_vae" in self.given:
            values = component_config(self.given["video_vae"])
            return int(values["temporal_compression_ratio"]), spatial_compression(values)
        config = VideoVAEConfig() if self.video_vae is None else self.video_vae.config
        return config.temporal_compression_ratio, config.spatial_compression_ratio

    @property
    def num_frames(self) -> int:
        """Frames of a clip."""
        return 1 + self._codec_ratios[0] * (self.transformer.config.latent_frames - 1)

    @property
    def num_poses(self) -> int:
        """Poses of a clip."""
        config = MotionVAEConfig() if self.motion_vae is None else self.motion_vae.config
        return 1 + config.temporal_compression_ratio * (self.transformer.config.motion_length - 1)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of a frame, pixels."""
        c, side = self.transformer.config, self._codec_ratios[1]
        return c.latent_height * side, c.latent_width * side

    def components(self) -> dict[str, nn.Module]:
        parts: dict[str, nn.Module | None] = {
            "transformer": self.transformer, "motion_vae": self.motion_vae, "video_vae": self.video_vae,
            "depth": self.depth,
        }  # fmt: skip
        return {name: part for name, part in parts.items() if part is not None}
