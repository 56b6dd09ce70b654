"""The pictures of docs/geometry.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .shared_data import missing_extra

pytest.importorskip("mujoco", reason=missing_extra("world"))

from docs import geometry
from egotwin_model.geometry.prior import Prior


def prior_of(frames: np.ndarray, visibility: float) -> Prior:
    return Prior(frames, np.full(frames.shape[:3], visibility, np.float32))


def test_unknown_places_are_shown_as_such() -> None:
    frames = np.full((1, 4, 4, 3), 90, np.uint8)
    assert (geometry.seen(prior_of(frames, 1.0), 0) == 90).all()
    assert (geometry.seen(prior_of(frames, 0.0), 0) == geometry.UNSEEN).all()


def test_quality_is_of_what_is_known() -> None:
    frames = np.full((1, 4, 4, 3), 90, np.uint8)
    assert geometry.quality(prior_of(frames, 0.0), frames, 0) == "0 % known"
    off = prior_of(frames + 10, 1.0)
    assert geometry.quality(off, frames, 0) == "100% known, 28 dB"  # 10 log10(255² / 10²)


def test_the_picture_has_two_rows_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pose = np.repeat(np.eye(4, dtype=np.float32)[None], 41, axis=0)
    clip = {
        "frames": rng.integers(0, 256, (41, 16, 16, 3), dtype=np.uint8), "camera_pose": pose,
        "intrinsics": np.array([8.0, 8.0, 7.5, 7.5]), "first_depth": np.full((16, 16), 2.0, np.float16),
        "past_frames": rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8), "past_camera_pose": pose[:3],
        "past_depth": np.full((3, 16, 16), 2.0, np.float16), "past_time": np.array([-3.0, -2.0, -1.0]),
        "record": {"text": "stand still"},
    }  # fmt: skip
    rows: list[int] = []
    monkeypatch.setattr(geometry, "_show", lambda axes, image, label: rows.append(len(image)))
    geometry.draw([clip], tmp_path / "geometry.png")
    assert len(rows) == geometry.PAST_SHOWN + 2 * len(geometry.SECONDS)
    assert (tmp_path / "geometry.png").stat().st_size > 1000
