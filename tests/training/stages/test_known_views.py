"""Priors, depth and gravity of clips as conditions: what is cached, and what a clip of a batch is trained with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ...shared_data import missing_extra

pytest.importorskip("accelerate", reason=missing_extra("train"))

from egotwin_model.diffusion.sampler import PURE_NOISE
from egotwin_model.errors import RecordingError
from egotwin_model.geometry.depth_condition import inverse_depth_condition
from egotwin_model.io.store import save_component
from egotwin_model.latents.cells import latent_visibility
from egotwin_model.video.vae import CausalVideoVAE
from training.datasets.clips.priors import clip_prior
from training.stages import known_views as views
from training.stages.diffusion import as_known, without_prior
from training.stages.frame_latents import frame_latents
from training.stages.random_streams import RandomStreams
from training.stages.recipes import RECIPES, DiffusionRecipe, VideoCodecRecipe

from .test_encoding import write_clips


def with_depth(arrays: dict[str, Any]) -> None:
    """A wall 2 m ahead that slants away, seen by a head that steps aside."""
    count = len(arrays["frames"])
    slant = np.linspace(2.0, 4.0, 64, dtype=np.float32)
    arrays["first_depth"] = np.broadcast_to(slant, (count, 64, 64)).astype(np.float16)
    arrays["camera_pose"][:, :, 0, 3] = np.linspace(0.0, 1.0, 41)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    recipe = RECIPES["smoke"]["video-codec"]
    assert isinstance(recipe, VideoCodecRecipe)
    save_component(tmp_path / "runs" / "video-codec", CausalVideoVAE(recipe.model))
    return tmp_path / "runs"


def test_what_is_cached_is_the_prior_along_the_true_path(
    tmp_path: Path, runs: Path, wearer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "EXACT", 1.0)
    monkeypatch.setattr(views, "UNKNOWN", 0.0)
    clips = write_clips(tmp_path / "train", wearer, change=with_depth)
    found = {name: rows[:] for name, rows in views.known_views(clips, "train", runs).items()}
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "prior": (5, 11, 16, 8, 8), "visibility": (5, 11, 1, 8, 8), "depth": (5, 16, 8, 8),
    }  # fmt: skip
    assert all(value.dtype == torch.float16 for value in found.values())
    vae = views.load_video_vae(runs / "video-codec")
    for row in (0, 4):  # of both shards
        prior = clip_prior(clips[row])
        wanted = frame_latents(vae, torch.from_numpy(prior.frames[None]))[0]
        torch.testing.assert_close(found["prior"][row], wanted, atol=0.05, rtol=0.05)
        assert np.allclose(found["visibility"][row], latent_visibility(prior.visibility, 8, 8), atol=1e-3)
        depth = np.asarray(clips[row]["first_depth"], np.float32)
        assert np.allclose(found["depth"][row], inverse_depth_condition(depth, 8, 8), atol=1e-3)
    assert (found["visibility"][:, 0] == 1).all()
    assert 0 < found["visibility"][:, -1].float().mean() < 1


def test_depth_is_like_an_estimates(tmp_path: Path, runs: Path, wearer: Callable[..., Any]) -> None:
    """Some clips have the true one, some one with an error, some none; the same each time."""
    clip = write_clips(tmp_path / "train", wearer, change=with_depth)[0]
    true = np.asarray(clip["first_depth"], np.float32)
    depths = np.stack([views._known_of(clip, "train", row)[2] for row in range(60)])
    exact, unknown = (np.isclose(depths, wanted, atol=1e-4).all(axis=(1, 2)).mean() for wanted in (true, 0.0))
    assert exact == pytest.approx(views.EXACT, abs=0.2)
    assert unknown == pytest.approx(views.UNKNOWN, abs=0.1)
    errors = np.abs(np.log(depths[depths.min(axis=(1, 2)) > 0] / true))
    assert 0.02 < errors.max(axis=(1, 2)).mean() < 3 * views.LARGEST_ERROR
    assert np.array_equal(depths[7], views._known_of(clip, "train", 7)[2])
    assert not np.array_equal(depths[:60], [views._known_of(clip, "val", row)[2] for row in range(60)])


def test_clips_without_depth_are_refused_by_name(tmp_path: Path, runs: Path, wearer: Callable[..., Any]) -> None:
    clips = write_clips(tmp_path / "train", wearer)
    with pytest.raises(RecordingError, match="keyframe-depth"):
        views.known_views(clips, "train", runs)


def test_gravity_is_that_of_the_first_head_pose(tmp_path: Path, runs: Path, wearer: Callable[..., Any]) -> None:
    clips = write_clips(tmp_path / "train", wearer)
    found = views.gravity(clips, "train", runs)[:]
    assert np.allclose(found[3], -clips.tensor("rotations", 3)[0, 6, 2], atol=1e-6)
    assert np.allclose(found.norm(dim=1), 1.0, atol=1e-5)


def test_motion_that_is_noisy_never_sees_a_prior() -> None:
    """A prior is rendered along the true head path: it would tell the motion its answer."""
    recipe, count = RECIPES["mini"]["joint"], 4000
    assert isinstance(recipe, DiffusionRecipe)
    batch = {
        "prior": torch.ones(count, 1, 1, 1, 1),
        "visibility": torch.ones(count, 1, 1, 1, 1),
        "depth": torch.ones(count, 1, 1, 1),
    }
    t_motion = torch.arange(count) % (PURE_NOISE + 1)
    t_motion[: count // 2] = 0
    known = as_known(recipe, batch, t_motion, RandomStreams(0, 0, range(count)))
    seen = known["visibility"].flatten()
    assert (seen[t_motion > recipe.prior_until] == 0).all()
    assert seen[t_motion == 0].mean() == pytest.approx(recipe.prior_given, abs=0.03)
    assert known["depth"].mean() == pytest.approx(recipe.depth_given, abs=0.03)
    near = (t_motion > 0) & (t_motion <= recipe.prior_until)
    assert seen[near].mean() > 0.7
    assert without_prior(batch).keys() == {"depth"}
