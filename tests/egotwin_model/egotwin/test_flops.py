"""The cost formula against torch's counter of the operations that really run, for every kind of model and call."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.flops import evaluation_flops
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.egotwin.variants import GEOMETRY, VARIANTS, variant

NARROW = EgoTwinConfig(
    num_layers=3, num_motion_layers=2, num_heads=2, head_dim=16, time_embed_dim=24, text_dim=40, text_length=7,
    latent_channels=4, latent_frames=3, latent_height=8, latent_width=12, motion_width=20, motion_channels=6,
    motion_length=5,
)  # fmt: skip


def counted(config: EgoTwinConfig, batch: int = 1, *, video: bool = True, motion: bool = True, **call: Any) -> int:
    """Operations torch counts in one evaluation on the meta device, where nothing is computed."""
    c, latent = config, (config.latent_channels, config.latent_height, config.latent_width)
    motion = motion and c.num_motion_layers > 0
    with torch.device("meta"):
        model = EgoTwinTransformer(c).eval()
        time = torch.empty(batch)
        inputs: dict[str, Tensor | None] = {
            "text": torch.empty(batch, c.text_length, c.text_dim),
            "video": torch.empty(batch, c.latent_frames, *latent) if video else None,
            "motion": torch.empty(batch, c.motion_channels, c.motion_length) if motion else None,
            "t_video": time,
            "t_motion": None if not c.asynchronous or not c.num_motion_layers else time,
            "image": torch.empty(batch, *latent) if video else None,
            "pose": torch.empty(batch, c.motion_channels) if motion else None,
        }
        if c.camera_condition:
            call["camera"] = torch.empty(batch, c.latent_frames, c.camera_channels, *latent[1:])
        if c.prior_condition:
            call["prior"] = torch.empty(batch, c.latent_frames, c.latent_channels, *latent[1:])
            call["visibility"] = torch.empty(batch, c.latent_frames, 1, *latent[1:])
        if c.gravity_condition:
            call["gravity"] = torch.empty(batch, 3)
        if c.depth_condition:
            call["depth"] = torch.empty(batch, 16, *latent[1:])
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**inputs, **call)
    return counter.get_total_flops()


@pytest.mark.parametrize("name", VARIANTS)
def test_formula_equals_the_counter_for_every_variant(name: str) -> None:
    row = variant(name, NARROW)
    given = {"video": row.with_video, "motion": row.representation is not None}
    assert sum(evaluation_flops(row.model, **given).values()) == counted(row.model, **given)


@pytest.mark.parametrize("call", [{"motion_only": True}, {"motion": False}, {"video": False}, {"batch": 3}])
def test_formula_equals_the_counter_for_every_call(call: dict[str, Any]) -> None:
    assert sum(evaluation_flops(NARROW, **call).values()) == counted(NARROW, **call)


@pytest.mark.parametrize("changes", [{"motion_gate": True}, GEOMETRY, {"num_motion_layers": 3}])
def test_formula_equals_the_counter_for_settings(changes: dict[str, Any]) -> None:
    config = replace(NARROW, **changes)
    assert sum(evaluation_flops(config).values()) == counted(config)


def test_joint_evaluation_at_the_papers_size() -> None:
    """149.4 TFLOP, the motion-only half 74.8; the formula is counted at full width on one block of each kind."""
    paper = EgoTwinConfig.paper()
    assert sum(evaluation_flops(paper).values()) == 149_385_184_423_424
    assert sum(evaluation_flops(paper, motion_only=True).values()) == 74_758_608_547_328
    blocks = EgoTwinConfig.paper(num_layers=2, num_motion_layers=1)
    assert sum(evaluation_flops(blocks).values()) == counted(blocks)
