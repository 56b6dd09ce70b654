"""Images as files: channels in order, lossless where promised, whole or absent."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from egotwin_model.errors import ImageError
from egotwin_model.io.images import encode_image, write_png

IMAGE = np.full((24, 40, 3), (250, 120, 10), np.uint8)
IMAGE[:, 20:] = (20, 60, 200)


def decoded(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image[..., ::-1]


@pytest.mark.parametrize(("extension", "error"), [(".png", 0), (".jpg", 6), (".webp", 6)])
def test_colours_come_back_in_their_channels(extension: str, error: int) -> None:
    found = decoded(encode_image(IMAGE, extension))
    inner = (slice(2, -2), np.r_[2:14, 26:38])  # away from the edge, where lossy formats ring
    assert np.abs(found[inner].astype(int) - IMAGE[inner]).max() <= error


@pytest.mark.parametrize("extension", [".jpg", ".webp"])
def test_lower_quality_makes_smaller_files(extension: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(encode_image(noise, extension, 20)) < len(encode_image(noise, extension, 90)) / 2


def test_a_png_replaces_the_older_one_and_an_impossible_one_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.png"
    write_png(path, IMAGE)
    np.testing.assert_array_equal(decoded(path.read_bytes()), IMAGE)
    write_png(path, IMAGE[::-1, ::-1])
    np.testing.assert_array_equal(decoded(path.read_bytes()), IMAGE[::-1, ::-1])
    for wrong in (IMAGE[..., 0], IMAGE.astype(np.float32), IMAGE[:0]):
        with pytest.raises(ImageError, match="image"):
            write_png(tmp_path / "b.png", wrong)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.png", "new"]
