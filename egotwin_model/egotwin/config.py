"""The transformer's sizes and settings in one frozen dataclass; ablations are settings, sizes are numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from egotwin_model.errors import ModelError
from egotwin_model.latents.timing import FRAMES_PER_LATENT

ImageCondition = Literal["first", "tile"]
DEPTH_CHANNELS = 16


@dataclass(frozen=True)
class EgoTwinConfig:
    """Sizes of the three branches. Defaults are the paper's (CogVideoX-5b-I2V and a 21 × 768 motion branch).

    Attributes:
        num_layers: blocks of the text and video branch.
        num_motion_layers: lower blocks that also carry the motion branch (paper: 21 of 42); 0: a video model without
            any motion parameter.
        num_heads, head_dim: attention heads; their product is the text/video width.
        time_embed_dim: width of the timestep embedding fed to every AdaLN.
        text_dim, text_length: channels and number of text-encoder states.
        latent_channels, latent_frames, latent_height, latent_width, patch_size: the video latent and its patches.
        motion_width, motion_channels, motion_length: motion branch width, latent channels, latent steps.
        interaction: block all video-motion attention but observation-action neighbours (paper, Section 3.3).
        asynchronous: independent timesteps for video and motion; False ties them: the model knows one timestep.
        image_condition: "first" puts I⁰'s latent in frame 0 and zeros elsewhere (the paper, CogVideoX-I2V);
            "tile" repeats it over time.
        motion_gate: a gate per head, zero at the start, on what text and video take from motion; t_m's half of the
            timestep MLP starts at zero with it. Pretrained video then is unchanged at step 0. Gate 1 is the paper's
            joint attention.
        camera_condition: video tokens also get the camera's rays (`plucker.plucker_maps`).
        prior_condition: they also get what is known of every frame beforehand and where it is visible. Beyond the
            paper, as are the next two.
        gravity_condition: motion tokens get where down is in the first head frame (`motion.gravity`).
        depth_condition: video tokens get the first frame's inverse depth (`geometry.depth_condition`).
        position_origin: row and column, in patches, of this model's image in the grid its position table was learned
            on; RoPE counts from there too.
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
    image_condition: ImageCondition = "first"
    motion_gate: bool = False
    camera_condition: bool = False
    prior_condition: bool = False
    gravity_condition: bool = False
    depth_condition: bool = False
    position_origin: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "position_origin", tuple(self.position_origin))  # JSON gives lists
        for name in (field.name for field in fields(self) if field.type == "int"):
            value, smallest = getattr(self, name), 0 if name == "num_motion_layers" else 1
            if not isinstance(value, int) or value < smallest:
                raise ModelError(f"{name}={value!r}: wanted a whole number from {smallest} up")
        self._check_relations()

    def _check_relations(self) -> None:
        if self.num_motion_layers > self.num_layers:
            raise ModelError(f"num_motion_layers={self.num_motion_layers} exceeds num_layers={self.num_layers}")
        if self.head_dim % 16:
            raise ModelError(f"head_dim={self.head_dim} is not divisible by 16: RoPE splits it 1/4, 3/8, 3/8 in pairs")
        if self.latent_height % self.patch_size or self.latent_width % self.patch_size:
            raise ModelError(
                f"latent size {self.latent_height}×{self.latent_width} is not divisible by patch_size={self.patch_size}"
            )
        if self.motion_length != 2 * (self.latent_frames - 1) + 1:
            raise ModelError(
                f"motion_length={self.motion_length}, but {self.latent_frames} video latents need "
                f"{2 * (self.latent_frames - 1) + 1}: two actions lead from one observation to the next"
            )
        if self.image_condition not in get_args(ImageCondition):
            raise ModelError(
                f"image_condition={self.image_condition!r} is none of {', '.join(map(repr, get_args(ImageCondition)))}"
            )
        if len(self.position_origin) != 2 or min(self.position_origin) < 0:
            raise ModelError(f"position_origin={self.position_origin}: wanted a row and a column, not negative")

    @property
    def width(self) -> int:
        """Width of the text and video branch."""
        return self.num_heads * self.head_dim

    @property
    def patch_grid(self) -> tuple[int, int]:
        """Rows and columns of patches in one latent frame."""
        return self.latent_height // self.patch_size, self.latent_width // self.patch_size

    @property
    def tokens_per_frame(self) -> int:
        """Video tokens of one latent frame."""
        return self.patch_grid[0] * self.patch_grid[1]

    @property
    def video_length(self) -> int:
        """Video tokens of a clip."""
        return self.latent_frames * self.tokens_per_frame

    @property
    def camera_channels(self) -> int:
        """Channels of the camera condition: a Plücker ray for each frame behind a latent."""
        return 6 * FRAMES_PER_LATENT

    @classmethod
    def paper(cls, **changes: Any) -> EgoTwinConfig:
        """The paper's sizes: 480 px, 41 frames, 81 poses, on CogVideoX-5b-I2V.

        **Our decision**: that model's position table covers 480 × 720 px, 13 × 30 × 45 patches. Our 11 × 30 × 30 are
        its first 11 frames and the 30 columns from the eighth, the middle: where diffusers' pipelines would put a
        480 × 480 image, with the integer positions it was trained on.
        """
        return cls(**{"motion_gate": True, "position_origin": (0, 8), **changes})

    @classmethod
    def mini(cls, **changes: Any) -> EgoTwinConfig:
        """The embedded default: 64 px, MiniLM text states; trainable on two cores."""
        sizes = {
            "num_layers": 6, "num_motion_layers": 3, "num_heads": 4, "head_dim": 64, "time_embed_dim": 128,
            "text_dim": 384, "text_length": 32, "latent_channels": 16, "latent_height": 8, "latent_width": 8,
            "motion_width": 256, "image_condition": "tile",
        }  # fmt: skip
        return cls(**{**sizes, **changes})

    @classmethod
    def smoke(cls) -> EgoTwinConfig:
        """The smallest working size, for tests that build and run the real thing in a second."""
        return cls.mini(num_layers=2, num_motion_layers=1, num_heads=2, head_dim=32, time_embed_dim=32, motion_width=32)
