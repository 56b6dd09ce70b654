"""Videos: what is written reads back, at its rate, and a file is whole or absent."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from egotwin_model.errors import ImageError, RecordingError
from egotwin_model.io.videos import (
    PLAYABLE,
    Compression,
    VideoFile,
    decode_clip,
    encode_clip,
    read_video,
    write_video,
)


def waves(count: int, height: int = 64, width: int = 64) -> np.ndarray:
    """Smooth frames that change a little from one to the next, (F, H, W, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width] / 64
    shifts = 0.05 * np.arange(count)[:, None, None]
    rgb = [np.sin(2 * np.pi * (a * x + b * y) + shifts) for a, b in ((1.3, 2.1), (2.6, 1.1), (1.8, 1.7))]
    return (127.5 + 100 * np.stack(rgb, axis=-1)).astype(np.uint8)


def psnr(found: np.ndarray, true: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((found.astype(float) - true) ** 2)))


@pytest.mark.parametrize(("pixels", "least_db"), [("yuv444p", 34.0), ("yuv420p", 28.0)])
def test_video_keeps_what_matters(pixels: str, least_db: float) -> None:
    frames = waves(41)
    data = encode_clip(frames, 8, Compression(pixels=pixels))
    assert data == encode_clip(frames, 8, Compression(pixels=pixels))
    assert len(data) < frames.nbytes / 4
    assert psnr(decode_clip(data), frames) > least_db
    with pytest.raises(RecordingError, match="does not decode"):
        decode_clip(data[: len(data) // 3])


def test_frames_are_found_by_number(tmp_path: Path) -> None:
    frames = waves(97, 32, 32)
    write_video(tmp_path / "a.mp4", iter(frames), 8, Compression(key_every=10))
    video = VideoFile(tmp_path / "a.mp4")
    assert video.count == len(frames)
    for wanted in ([0], [37, 38, 38, 44], [len(frames) - 1], [9, 10, 11], [0, len(frames) - 1]):
        found = np.stack(list(video.pick(np.array(wanted))))
        nearest = [int(np.argmin([np.abs(f.astype(int) - g).mean() for g in frames])) for f in found]
        assert nearest == wanted


@pytest.mark.parametrize(
    ("rate", "read"),
    [
        (16, Fraction(16)),
        (7.5, Fraction(15, 2)),
        (30 / 1.001, Fraction(30000, 1001)),
        (Fraction(30000, 1001), Fraction(30000, 1001)),
        (0.25, Fraction(1, 4)),
    ],
)
def test_count_size_and_rate_are_read_back(rate: float | Fraction, read: Fraction, tmp_path: Path) -> None:
    frames = waves(9, 48, 80)
    assert write_video(tmp_path / "new" / "a.mp4", iter(frames), rate) == 9
    found, found_rate = read_video(tmp_path / "new" / "a.mp4")
    assert found.shape == frames.shape
    assert found_rate == read
    assert psnr(found, frames) > 28
    assert VideoFile(tmp_path / "new" / "a.mp4").count == 9


def test_a_file_plays_while_it_loads(tmp_path: Path) -> None:
    """The index stands before the frames: half of the file names the frames it has."""
    write_video(tmp_path / "a.mp4", iter(waves(9)), 8)
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_interrupted_writing_leaves_no_file(tmp_path: Path) -> None:
    names = []

    def frames(error: BaseException) -> Iterator[np.ndarray]:
        yield from waves(20)
        names.extend(path.name for path in tmp_path.iterdir())
        raise error

    for error in (KeyboardInterrupt(), OSError("the camera is gone")):
        with pytest.raises(type(error)):
            write_video(tmp_path / "a.mp4", frames(error), 8)
        assert names, "the frames were not asked for while the file was written"
        assert "a.mp4" not in names
        assert list(tmp_path.iterdir()) == []

    write_video(tmp_path / "a.mp4", iter(waves(5)), 8)
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.mp4", frames(KeyboardInterrupt()), 8)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == before


@pytest.mark.parametrize(("height", "width"), [(33, 64), (64, 33)])
def test_odd_sizes_keep_every_pixel_or_are_refused_by_name(height: int, width: int, tmp_path: Path) -> None:
    frames = waves(3, height, width)
    with pytest.raises(ImageError, match=rf"{width}x{height} pixels.*even width and height.*yuv444p"):
        write_video(tmp_path / "a.mp4", iter(frames), 8, PLAYABLE)
    assert list(tmp_path.iterdir()) == []
    assert decode_clip(encode_clip(frames, 8, Compression(pixels="yuv444p"))).shape == frames.shape


@pytest.mark.parametrize(
    ("frames", "rate", "says"),
    [
        ([], 8, "no frames"),
        ([np.zeros((32, 32), np.uint8)], 8, r"shape \(32, 32\): wanted \(height, width, 3\)"),
        ([np.zeros((32, 32, 3), np.float32)], 8, "frame 0 is float32"),
        ([np.zeros((32, 32, 3), np.uint8), np.zeros((32, 34, 3), np.uint8)], 8, r"frame 1 is uint8 \(32, 34, 3\)"),
        ([np.zeros((32, 32, 3), np.uint8)], 0, "frame rate 0"),
        ([np.zeros((32, 32, 3), np.uint8)], -8.0, "frame rate -8.0"),
        ([np.zeros((32, 32, 3), np.uint8)], float("nan"), "frame rate nan"),
    ],
)
def test_frames_that_make_no_video_are_refused(
    frames: list[np.ndarray], rate: float, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ImageError, match=says):
        write_video(tmp_path / "a.mp4", iter(frames), rate)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_video_are_named(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", iter(waves(20)), 8)
    whole = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "last byte.mp4").write_bytes(whole[:-1])
    (tmp_path / "text.mp4").write_text("no video")
    for name, says in (("cut", "truncated"), ("last byte", "truncated"), ("text", "no video"), ("none", "missing")):
        for read in (VideoFile, read_video):
            with pytest.raises(RecordingError, match=rf"{name}\.mp4 is .*{says}"):
                read(tmp_path / f"{name}.mp4")
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 200] = bytes(200)
    (tmp_path / "damaged.mp4").write_bytes(damaged)
    with pytest.raises(RecordingError, match=r"damaged\.mp4 does not decode"):
        read_video(tmp_path / "damaged.mp4")
