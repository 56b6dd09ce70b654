"""The model's benchmark at a size that runs in seconds: what it compares is equal, what it counts adds up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .shared_data import missing_extra

pytest.importorskip("diffusers", reason=missing_extra("train"))

from benchmarks import model, model_size
from egotwin_model.egotwin.config import EgoTwinConfig

SMALL = ["--device", "cpu", "--heads", "1", "--latent-size", "4", "--attention-heads", "1", "--rounds", "1"]


def test_times_are_of_models_and_backends_that_agree(tmp_path: Path) -> None:
    model.main([*SMALL, "--threads", "1", "--skip", "counts", "--json", str(tmp_path / "figures.json")])
    found = json.loads((tmp_path / "figures.json").read_text())
    models, attention = found["models"], found["attention"]
    assert models["difference"] < 1e-5
    assert all(seconds > 0 for part in (models, attention) for seconds in part["seconds"].values())
    exact = {name: error for name, error in attention["errors"].items() if "no mask" not in name}
    assert exact.keys() >= {"additive matrix", "fused", "frames", "merge"}
    assert max(exact.values()) < 1e-5


def test_counts_add_up_and_text_and_video_cost_cogvideox_and_t_m(capsys: pytest.CaptureFixture[str]) -> None:
    config = EgoTwinConfig.paper(num_heads=1, num_layers=2, num_motion_layers=1, latent_height=4, latent_width=4)
    found = model_size.count(config)
    *parts, total = found["parameters"].values()
    assert sum(parts) == total
    assert found["weights_bytes_bf16"] == 2 * total
    counter = found["flops_by_counter"]
    assert counter["text and video"] == counter["diffusers"] + 2 * config.width * config.time_embed_dim  # t_m's half
    for name in ("joint", "motion-only half", "text and video"):
        assert counter[name] == sum(found["flops_by_formula"][name].values())
    assert 0 < found["activation_bytes_bf16"] < 1e8
    assert "by counter" in capsys.readouterr().out
