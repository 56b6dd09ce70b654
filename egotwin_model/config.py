"""The transformer's sizes and settings in one frozen dataclass; ablations are settings, sizes are numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from egotwin_model.errors import ModelError


@dataclass(frozen=True)
class EgoTwinConfig:
    """Sizes of the three branches. Defaults are the paper's (CogVideoX-5b-I2V and a 21 × 768 motion branch).

    Attributes:
        num_layers: blocks of the text and video branch.
        num_motion_layers: lower blocks that also carry the motion branch (paper: 21 of 42).
        num_heads, head_dim: attention heads; their product is the text/video width.
        time_embed_dim: width of the timestep embedding fed to every AdaLN.
        text_dim, text_length: channels and number of text-encoder states.
        latent_channels, latent_frames, latent_height, latent_width, patch_size: the video latent and its patches.
        motion_width, motion_channels, motion_length: motion branch width, latent channels, latent steps.
        interaction: block all video-motion attention but observation-action neighbours (paper, Section 3.3).
        asynchronous: independent timesteps for video and motion; False ties them.
        image_condition: "first" puts I⁰'s latent in frame 0 and zeros elsewhere (the paper, CogVideoX-I2V);
            "tile" repeats it over time.
    """

    num_layers: int = 42
    num_motion_layers: int = 21
    num_heads: int = 48
    head_dim: int = 64
    time_embed_dim: int = 512
    text_dim: int = 4096
    text_length: int = 226
    latent_channels: int = 16
    latent_frames: int = 11
    latent_height: int = 60
    latent_width: int = 60
    patch_size: int = 2
    motion_width: int = 768
    motion_channels: int = 64
    motion_length: int = 21
    interaction: bool = True
    asynchronous: bool = True
    image_condition: Literal["first", "tile"] = "first"

    def __post_init__(self) -> None:
        if self.num_motion_layers > self.num_layers:
            raise ModelError(f"num_motion_layers={self.num_motion_layers} exceeds num_layers={self.num_layers}")
        if self.latent_height % self.patch_size or self.latent_width % self.patch_size:
            raise ModelError(
                f"latent size {self.latent_height}×{self.latent_width} is not divisible by patch_size={self.patch_size}"
            )
        if self.motion_length != 2 * (self.latent_frames - 1) + 1:
            raise ModelError(
                f"motion_length={self.motion_length}, but {self.latent_frames} video latents need "
                f"{2 * (self.latent_frames - 1) + 1}: two actions lead from one observation to the next"
            )
        if self.image_condition not in ("first", "tile"):
            raise ModelError(f"image_condition={self.image_condition!r} is neither 'first' nor 'tile'")

    @property
    def width(self) -> int:
        """Width of the text and video branch."""
        return self.num_heads * self.head_dim

    @property
    def tokens_per_frame(self) -> int:
        """Video tokens of one latent frame."""
        return (self.latent_height // self.patch_size) * (self.latent_width // self.patch_size)

    @property
    def video_length(self) -> int:
        """Video tokens of a clip."""
        return self.latent_frames * self.tokens_per_frame

    @classmethod
    def paper(cls) -> EgoTwinConfig:
        """The paper's sizes: 480 px, 41 frames, 81 poses, on CogVideoX-5b-I2V."""
        return cls()

    @classmethod
    def mini(cls, **changes: Any) -> EgoTwinConfig:
        """The embedded default: 64 px, MiniLM text states; trainable on two cores."""
        sizes = {
            "num_layers": 6, "num_motion_layers": 3, "num_heads": 4, "head_dim": 64, "time_embed_dim": 128,
            "text_dim": 384, "text_length": 24, "latent_channels": 12, "latent_height": 8, "latent_width": 8,
            "motion_width": 256, "image_condition": "tile",
        }  # fmt: skip
        return cls(**{**sizes, **changes})

    @classmethod
    def smoke(cls) -> EgoTwinConfig:
        """The smallest working size, for tests that build and run the real thing in a second."""
        return cls.mini(num_layers=2, num_motion_layers=1, num_heads=2, head_dim=32, time_embed_dim=32, motion_width=32)
