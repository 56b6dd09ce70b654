"""Frames to video and back: exact for bytes, alike for NumPy and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from egotwin_model.video.pixels import to_frames, to_video

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 5, 8, 6, 3), dtype=np.uint8)
FRAMES[0, 0, 0, 0], FRAMES[0, 0, 0, 1] = 0, 255


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_bytes_span_minus_one_to_one_and_come_back(kind) -> None:
    video = to_video(kind(FRAMES))
    assert type(video) is type(kind(FRAMES))
    assert video.dtype in (np.float32, torch.float32)
    assert tuple(video.shape) == (2, 3, 5, 8, 6)
    assert (video[0, :, 0, 0, 0] == -1).all()
    assert (video[0, :, 0, 0, 1] == 1).all()
    np.testing.assert_array_equal(np.asarray(video), np.asarray(to_video(kind(FRAMES.astype(np.float32)))))
    # Truncation after rounding errors of float32 may lose one step, never more.
    back = np.asarray(to_frames(video))
    assert back.dtype == np.uint8
    assert np.abs(back.astype(int) - FRAMES).max() <= 1


def test_both_kinds_give_the_same_numbers_and_clip_what_is_beyond() -> None:
    np.testing.assert_array_equal(to_video(FRAMES), to_video(torch.from_numpy(FRAMES)).numpy())
    video = np.random.default_rng(1).normal(size=(1, 3, 2, 4, 4)).astype(np.float32) * 1.5
    np.testing.assert_array_equal(to_frames(video), to_frames(torch.from_numpy(video)).numpy())
    assert (to_frames(np.full((1, 3, 1, 2, 2), 7.0, np.float32)) == 255).all()
    assert (to_frames(np.full((1, 3, 1, 2, 2), -7.0, np.float32)) == 0).all()
    assert (to_frames(torch.full((1, 3, 1, 2, 2), -1.5, dtype=torch.bfloat16)) == 0).all()
