"""H.264 video in an mp4, in memory or as a file (PyAV): written whole or not at all, read by number or all at once."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from egotwin_model.errors import ImageError, RecordingError
from egotwin_model.io.files import write_atomically

Frames = NDArray[np.uint8]

_MAX_DENOMINATOR = 1001  # of a frame rate: 30000/1001 is the finest one in use


@dataclass(frozen=True)
class Compression:
    """How frames are compressed.

    Attributes:
        crf: constant quality, 0 (lossless) … 51; at about 17 no difference is visible.
        pixels: "yuv444p" keeps every pixel's colour, worth it for small frames; "yuv420p" plays everywhere and needs
            even sizes.
        preset: of x264; slower ones make smaller files.
        key_every: frames from one key frame to the next: how many a seek decodes at most.
    """

    crf: int = 14
    pixels: str = "yuv444p"
    preset: str = "veryfast"
    key_every: int = 41


PLAYABLE = Compression(crf=18, pixels="yuv420p")
"""For people: every browser and player shows it."""


def encode_clip(frames: Frames, rate_hz: float | Fraction, compression: Compression) -> bytes:
    """An mp4 of frames (F, H, W, 3) uint8 RGB; equal frames give equal bytes.

    Raises:
        ImageError: as `write_video`.
    """
    out = io.BytesIO()
    _write(out, frames, rate_hz, compression)
    return out.getvalue()


def write_video(
    path: Path, frames: Iterable[Frames], rate_hz: float | Fraction, compression: Compression = PLAYABLE
) -> int:
    """Writes an mp4 file that plays while it loads, whole or not at all.

    Args:
        frames: (H, W, 3) uint8 RGB each, all of one size; one at a time is in memory. Where the iterator raises, no
            file is left and an older one of that name stays.
        rate_hz: frames per second, kept as a fraction: a float becomes the nearest one up to a denominator of 1001.

    Returns:
        The number of frames.

    Raises:
        ImageError: no frames, frames of another shape, type or size than the first, an odd size with "yuv420p", or a
            rate that is not positive.
    """
    count = 0

    def write(temporary: Path) -> None:
        nonlocal count
        count = _write(str(temporary), frames, rate_hz, compression, {"movflags": "+faststart"})

    write_atomically(path, write)
    return count


def _write(
    target: str | BinaryIO,
    frames: Iterable[Frames],
    rate_hz: float | Fraction,
    compression: Compression,
    options: dict[str, str] | None = None,
) -> int:
    rate = _rational(rate_hz)
    stream, count, reformatter = None, 0, VideoReformatter()
    with av.open(target, "w", format="mp4", options=options) as container:
        for frame in frames:
            if stream is None:
                size = frame.shape
                _check_size(size, compression)
                stream = _stream(container, size, rate, compression)
            if frame.shape != size or frame.dtype != np.uint8:
                raise ImageError(
                    f"frame {count} is {frame.dtype} {frame.shape}, wanted uint8 {size} as the first: resize or convert"
                )
            image = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            image = reformatter.reformat(image, format=compression.pixels, threads=1)
            image.pts = count
            container.mux(stream.encode(image))
            count += 1
        if stream is None:
            raise ImageError("a video of no frames: wanted at least one")
        container.mux(stream.encode(None))
    return count


def _rational(rate_hz: float | Fraction) -> Fraction:
    try:
        rate = Fraction(rate_hz).limit_denominator(_MAX_DENOMINATOR)
    except (OverflowError, ValueError):  # infinite, NaN
        rate = Fraction(0)
    if rate <= 0:
        raise ImageError(f"frame rate {rate_hz} per second: wanted a positive number of at least 1/{_MAX_DENOMINATOR}")
    return rate


def _check_size(shape: tuple[int, ...], compression: Compression) -> None:
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise ImageError(f"frame 0 has shape {shape}: wanted (height, width, 3), RGB")
    if compression.pixels == "yuv420p" and (shape[0] % 2 or shape[1] % 2):
        raise ImageError(
            f'frames are {shape[1]}x{shape[0]} pixels, and "yuv420p" shares colour among 2x2 pixels: wanted an even '
            'width and height; pad or crop the frames by a pixel, or use "yuv444p"'
        )


def _stream(container: Any, shape: tuple[int, ...], rate: Fraction, compression: Compression) -> Any:
    stream = container.add_stream("libx264", rate=rate)
    stream.height, stream.width, stream.pix_fmt = shape[0], shape[1], compression.pixels
    stream.codec_context.gop_size = compression.key_every
    # One thread, and without the macroblock tree, whose assembler reads past tiny frames: always the same bytes.
    one_thread = "threads=1:lookahead-threads=1:mbtree=0"
    stream.options = {"crf": str(compression.crf), "preset": compression.preset, "x264-params": one_thread}
    return stream


def decode_clip(data: bytes) -> Frames:
    """Frames (F, H, W, 3) uint8 RGB of an mp4 in memory; `RecordingError` where it does not decode."""
    try:
        return _read(io.BytesIO(data))[0]
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise RecordingError(
            f"a clip's video of {len(data)} bytes does not decode ({error}): prepare it again"
        ) from error


def read_video(path: Path) -> tuple[Frames, Fraction]:
    """All frames (F, H, W, 3) uint8 RGB of a video file, and its frames per second.

    Raises:
        RecordingError: missing, damaged, or no video.
    """
    VideoFile(path)
    try:
        return _read(str(path))
    except (av.FFmpegError, ValueError) as error:
        raise RecordingError(f"{path} does not decode ({error}): the file is damaged, get it again") from error


def _read(source: str | BinaryIO) -> tuple[Frames, Fraction]:
    rgb = VideoReformatter()  # kept for all frames: setting one up costs ten times a small frame
    with av.open(source) as container:
        stream = container.streams.video[0]
        _strict(stream)
        frames = np.stack([_pixels(rgb, frame) for frame in container.decode(stream)])
        return frames, Fraction(stream.average_rate or 0)


def _strict(stream: Any) -> None:
    """Makes the decoder report damage instead of concealing it."""
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"err_detect": "explode"}


def _pixels(rgb: VideoReformatter, frame: av.VideoFrame) -> Frames:
    return np.asarray(rgb.reformat(frame, format="rgb24", threads=1).to_ndarray(), np.uint8)


class VideoFile:
    """Frames of an mp4 by their number, fast for ascending numbers.

    Attributes:
        count: frames the file says it has.

    Raises:
        RecordingError: missing or no readable video.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise RecordingError(f"{path} is missing")
        try:
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                self.count = int(stream.frames)
                end = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
        except (av.FFmpegError, IndexError) as error:
            raise RecordingError(f"{path} is truncated or no video ({error}): get the file again") from error
        if end > (size := path.stat().st_size):
            raise RecordingError(f"{path} is truncated ({size} bytes of at least {end}): get the file again")

    def pick(self, wanted: NDArray[np.integer]) -> Iterator[Frames]:
        """Frames (H, W, 3) of these numbers in ascending order; a number may repeat."""
        at, frame, rgb = -1, None, VideoReformatter()
        try:
            with av.open(str(self.path)) as container:
                _strict(container.streams.video[0])
                frames = self._from(container, int(wanted[0]))
                for number in wanted:
                    while at < number:
                        at, frame = next(frames)
                    assert frame is not None
                    yield _pixels(rgb, frame)
        except (av.FFmpegError, StopIteration) as error:
            raise RecordingError(f"{self.path}: frame {at + 1} does not decode: the file is truncated") from error

    @staticmethod
    def _from(container: Any, first: int) -> Iterator[tuple[int, Any]]:
        """Numbers and frames, starting at the key frame at or before `first`."""
        stream = container.streams.video[0]
        step = 1 / (stream.time_base * stream.average_rate)  # time units a frame: constant rate
        if first > 0:
            container.seek(int(first * step), stream=stream, backward=True)
        for frame in container.decode(stream):
            yield round(frame.pts / step), frame
