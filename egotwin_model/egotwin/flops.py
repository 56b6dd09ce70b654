"""Floating-point operations of one evaluation of the transformer, by formula.

A product of (m, k) and (k, n) counts 2·m·k·n; everything else (norms, softmax, RoPE, activations) is left out, as
`torch.utils.flop_counter` leaves it out, so the two agree to the last operation. With L text and video tokens, N motion
tokens, widths d and d_m, per block:

    text and video    8·L·d² projections + 16·L·d² MLP
    motion            8·N·d·d_m projections + 16·N·d_m² MLP
    attention         4·(L + N)²·d below, 4·L²·d in the blocks without a motion side

The interaction mask saves nothing worth counting: 21 of 10,147 rows and columns carry it.
"""

from __future__ import annotations

from egotwin_model.egotwin.config import DEPTH_CHANNELS, EgoTwinConfig


def evaluation_flops(
    config: EgoTwinConfig,
    *,
    video: bool = True,
    motion: bool = True,
    prior: bool = True,
    depth: bool = True,
    motion_only: bool = False,
    batch: int = 1,
) -> dict[str, int]:
    """Floating-point operations of one evaluation by part; their sum is the evaluation's.

    Args:
        video, motion: which latents are given to `EgoTwinTransformer.forward`; one timestep for each sample.
        prior, depth: whether these conditions are, where the configuration has them.
        motion_only: as there: only the blocks with a motion side.
    """
    c = config
    both, width, time = c.text_length + (c.video_length if video else 0), c.width, c.time_embed_dim
    tokens = c.motion_length if motion and c.num_motion_layers else 0
    to_the_end = video and not motion_only
    lower = c.num_motion_layers
    upper = c.num_layers - lower if to_the_end else 0
    two_timesteps = c.asynchronous and lower > 0
    patch_area = c.patch_size**2
    patch = 2 * c.latent_channels + (c.camera_channels if c.camera_condition else 0)
    patch += (c.latent_channels + 1) if c.prior_condition and prior else 0
    per_clip = DEPTH_CHANNELS if c.depth_condition and depth else 0  # one map for all frames
    parts = {
        "timesteps": 2 * time * (width * (1 + two_timesteps) + time),
        "AdaLN": 24 * time * width * (lower + upper) + (12 * time * c.motion_width * lower if tokens else 0),
        "text and patch embedding": 2
        * width
        * (c.text_length * c.text_dim + video * patch_area * (c.video_length * patch + c.tokens_per_frame * per_clip)),
        "text and video projections": 8 * both * width**2 * (lower + upper),
        "text and video MLPs": 16 * both * width**2 * (lower + upper),
        "joint attention": 4 * (both + tokens) ** 2 * width * lower,
        "text and video attention": 4 * both**2 * width * upper,
        "motion projections": 8 * tokens * width * c.motion_width * lower,
        "motion MLPs": 16 * tokens * c.motion_width**2 * lower,
        "motion in and out": _motion_ends(c) if tokens else 0,
        "video out": 2 * width * (2 * time + c.video_length * patch_area * c.latent_channels) if to_the_end else 0,
    }
    return {part: batch * count for part, count in parts.items()}


def _motion_ends(c: EgoTwinConfig) -> int:
    per_token = (2 * c.motion_channels + 1) * c.motion_width + c.motion_width * c.motion_channels
    gravity = 6 * c.motion_width if c.gravity_condition else 0
    return 2 * c.motion_length * per_token + gravity + 4 * c.time_embed_dim * c.motion_width
