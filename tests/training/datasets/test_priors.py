"""Priors of clips: what the first frame and the past let one know, with true and with erroneous depth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.scene_memory import furnished, pose_at
from egotwin_model.errors import RecordingError
from egotwin_model.geometry.camera import Pinhole
from training.datasets.clips.priors import clip_prior, prior_arrays, smooth_noise

CAMERA = Pinhole.from_fov(32, 32, np.pi / 2)
ROOM = furnished(1)


def make_clip(past: bool = False) -> dict[str, Any]:
    """A camera that turns left while it walks forward; its past, which looks left, has two keyframes of three rows."""
    poses = np.stack([pose_at((0.3 + 0.04 * i, -0.2, 1.6), 0.4 + 0.15 * i, 0.2) for i in range(6)]).astype(np.float32)
    views = [ROOM.view(CAMERA, pose) for pose in poses]
    clip = {
        "frames": np.stack([view[0] for view in views]), "camera_pose": poses,
        "depth": np.stack([view[1] for view in views]).astype(np.float16),
        "intrinsics": np.array([CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy], np.float32),
    }  # fmt: skip
    if past:
        before = np.stack([pose_at((0.3, -0.2, 1.6), yaw, 0.2) for yaw in (1.6, 1.2, 0.0)]).astype(np.float32)
        seen = [ROOM.view(CAMERA, pose) for pose in before]
        clip |= {
            "past_frames": np.stack([view[0] for view in seen]), "past_camera_pose": before,
            "past_depth": np.stack([view[1] for view in seen]).astype(np.float16),
            "past_time": np.array([-2.0, -1.0, np.nan], np.float32),
        }  # fmt: skip
        for name in ("past_frames", "past_camera_pose", "past_depth"):
            clip[name][2] = 0
    return clip


def error_where_visible(clip: dict[str, Any], **arguments: Any) -> float:
    """Mean absolute error of the later views in the places that the prior shows with true depth."""
    shown = clip_prior(clip).visibility[1:] > 0.5
    difference = np.abs(clip_prior(clip, **arguments).frames[1:].astype(float) - clip["frames"][1:])
    return float(difference[shown].mean())


def test_the_first_view_is_exact_and_later_ones_show_what_was_in_view() -> None:
    clip = make_clip()
    prior = clip_prior(clip, error=0.1)
    assert np.array_equal(prior.frames[0], clip["frames"][0])
    assert (prior.visibility[0] == 1.0).all()
    shown = prior.visibility.mean(axis=(1, 2))
    assert (np.diff(shown) < 0).all(), "turning away leaves less and less of it"
    assert error_where_visible(clip) < 0.3 * np.abs(clip["frames"][1:].astype(float) - clip["frames"][0]).mean()


def test_one_depth_of_the_first_frame_is_enough() -> None:
    clip = make_clip()
    short = {name: value for name, value in clip.items() if name != "depth"} | {"first_depth": clip["depth"][0]}
    assert np.array_equal(clip_prior(short).frames, clip_prior(clip).frames)
    with pytest.raises(RecordingError, match="--keyframe-depth"):
        clip_prior({name: value for name, value in clip.items() if name != "depth"})
    assert prior_arrays([*short, "past_body", "text"]) == ["frames", "camera_pose", "intrinsics", "first_depth"]


def test_the_past_shows_what_the_first_frame_does_not() -> None:
    clip, remembered = make_clip(), make_clip(past=True)
    alone, both = clip_prior(clip), clip_prior(remembered)
    assert both.visibility[-1].mean() > alone.visibility[-1].mean() + 0.2
    new = (both.visibility > 0.5) & (alone.visibility == 0.0)
    assert np.abs(both.frames.astype(float) - clip["frames"])[new].mean() < 12.0


def test_the_own_body_is_not_painted_into_later_views() -> None:
    clip = make_clip()
    clip["frames"] = clip["frames"].copy()
    clip["frames"][0, 20:, 8:20] = (255, 0, 255)
    body = np.zeros((32, 32), np.uint8)
    body[20:, 8:20] = 1

    def painted(clip: dict[str, Any]) -> int:
        frames = clip_prior(clip).frames.astype(int)
        return int(((frames[1:, ..., 0] > 250) & (frames[1:, ..., 1] < 5) & (frames[1:, ..., 2] > 250)).sum())

    assert painted(clip) > 100
    masked = clip | {"first_body": body}
    assert painted(masked) == 0
    assert np.array_equal(clip_prior(masked).frames[0], clip["frames"][0])


def test_depth_errors_displace_views_by_their_size_and_depend_on_the_seed() -> None:
    clip = make_clip()
    errors = [error_where_visible(clip, error=error, rng=np.random.default_rng(3)) for error in (0.0, 0.05, 0.4)]
    assert errors == sorted(set(errors))
    one, same, other = (clip_prior(clip, 0.2, np.random.default_rng(seed)).frames for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_noise_is_unit_normal_and_smooth() -> None:
    noise = smooth_noise(2000, 16, 24, np.random.default_rng(0))
    np.testing.assert_allclose(noise.std(axis=0), 1.0, atol=0.08)
    assert np.abs(np.diff(noise, axis=2)).max() < 1.0
    assert abs(np.mean(noise[:, 0, 0] * noise[:, -1, -1])) < 0.1
