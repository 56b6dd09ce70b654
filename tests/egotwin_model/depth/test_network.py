"""The depth network: planes survive its upsampling, floors are taken over, and it loads as it was saved."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from egotwin_model.depth.network import FLOOR, DepthNetwork, load_depth_network
from egotwin_model.depth.network_inputs import VIEW_CHANNELS
from egotwin_model.depth.sizes import CELL, DepthConfig
from egotwin_model.errors import ModelError
from egotwin_model.io.store import save_component

SMOKE = DepthConfig.smoke()


def inputs(config: DepthConfig = SMOKE) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    cells = config.size // CELL
    view = torch.rand(2, len(VIEW_CHANNELS), config.size, config.size)
    return view, torch.rand(2, config.planes + 1, cells, cells)


def test_output_is_depth_and_error_of_every_pixel() -> None:
    network = DepthNetwork(SMOKE).eval()
    found = network(*inputs())
    assert found.shape == (2, 2, 64, 64)
    assert torch.isfinite(found).all()
    assert found[:, 0].max() <= torch.tensor(SMOKE.limit_m).log() + 1e-5


def test_a_plane_is_upsampled_to_itself() -> None:
    """Inverse depth is linear on a plane: the initial weights interpolate it, but for the border's cells."""
    network = DepthNetwork(SMOKE)
    cells = torch.linspace(0.2, 2.0, 16).repeat(16, 1)[None, None]
    fine = network._upsampled(cells, network.weights.bias[None, :, None, None].expand(1, -1, 16, 16))
    step = (2.0 - 0.2) / 15
    expected = 0.2 + step * ((torch.arange(64) + 0.5) / CELL - 0.5)
    torch.testing.assert_close(fine[0, 0, 30, 4:-4], expected[4:-4], atol=0.2 * step, rtol=0.0)


def test_where_a_pixel_shows_the_floor_its_depth_is_the_floors() -> None:
    network, (view, matches) = DepthNetwork(SMOKE).eval(), inputs()
    view[:, FLOOR] = 0.1 + view[:, FLOOR]
    with torch.no_grad():
        network.maps.bias[CELL**2 : 2 * CELL**2] = 30.0
    torch.testing.assert_close(network(view, matches)[:, 0], -view[:, FLOOR].log(), atol=1e-4, rtol=1e-4)


def test_it_loads_as_it_was_saved(tmp_path: Path) -> None:
    network = DepthNetwork(SMOKE).eval()
    save_component(tmp_path, network)
    torch.testing.assert_close(load_depth_network(tmp_path)(*inputs()), network(*inputs()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"size": 60}, "multiple of 16"), ({"widths": (8, 8)}, "three widths"), ({"farthest_m": 30.0}, "below the limit")],
)
def test_impossible_sizes_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        DepthConfig(**settings)
