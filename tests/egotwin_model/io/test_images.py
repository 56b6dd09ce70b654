"""Images as files and depth images as messages: channels in order, lossless where promised, whole or absent."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from egotwin_model.errors import ImageError
from egotwin_model.io.images import decode_depth, encode_image, write_png

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


def depth_image(depth: np.ndarray, encoding: str, padding: int = 0, **changes: object) -> SimpleNamespace:
    height, width = depth.shape
    rows = np.ascontiguousarray(depth).view(np.uint8).reshape(height, -1)
    data = np.pad(rows, ((0, 0), (0, padding)), constant_values=77).reshape(-1)
    fields = {"width": width, "height": height, "encoding": encoding, "step": rows.shape[1] + padding}
    return SimpleNamespace(**fields | {"is_bigendian": depth.dtype.byteorder == ">", "data": data} | changes)


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("encoding", "kind"), [("16UC1", "u2"), ("32FC1", "f4")])
def test_depth_is_read_in_its_own_unit_whatever_the_order_and_padding(
    encoding: str, kind: str, order: str, padding: int
) -> None:
    depth = np.array([[0, 1500, 2250], [800, 65535, 0]])
    found = decode_depth(depth_image(depth.astype(order + kind), encoding, padding))
    assert found.dtype == np.dtype(kind)
    np.testing.assert_array_equal(found, depth)


@pytest.mark.parametrize(
    ("encoding", "changes", "says"),
    [
        ("mono16", {}, "'mono16'; wanted 16UC1 .millimetres. or 32FC1 .metres."),
        ("16UC1", {"step": 5}, "step 5 needs a step of at least 6"),
        ("16UC1", {"height": 3}, "18 bytes; it has 12"),
        ("32FC1", {}, "at least 12"),
    ],
)
def test_depth_of_another_encoding_or_size_is_refused(encoding: str, changes: dict, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        decode_depth(depth_image(np.full((2, 3), 1500, np.uint16), encoding, **changes))
