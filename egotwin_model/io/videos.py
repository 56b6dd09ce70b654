"""Video as H.264 in memory or in a file (PyAV), one time stamp a frame kept elsewhere."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from egotwin_model.errors import RecordingError
from egotwin_model.io.files import write_atomically

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Compression:
    """How clips are compressed.

    Attributes:
        crf: constant quality, 0 (lossless) … 51; about 17 cannot be told from the original.
        pixels: "yuv444p" keeps every pixel's colour, worth it for small pictures; "yuv420p" plays everywhere.
        preset: of x264; slower ones make smaller files.
        key_every: frames from one key frame to the next: how many a seek decodes at most.
    """

    crf: int = 14
    pixels: str = "yuv444p"
    preset: str = "veryfast"
    key_every: int = 41


def write_frames(target: Any, frames: Iterable[Frames], rate_hz: int, compression: Compression) -> int:
    """Encodes frames (H, W, 3) uint8 RGB into a path or file object; returns how many."""
    count, reformatter = 0, VideoReformatter()
    with av.open(target, "w", format="mp4") as container:
        stream = None
        for frame in frames:
            if stream is None:
                stream = _stream(container, frame.shape, rate_hz, compression)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture = reformatter.reformat(picture, format=compression.pixels, threads=1)
            picture.pts = count
            container.mux(stream.encode(picture))
            count += 1
        if stream is not None:
            container.mux(stream.encode(None))
    return count


def _stream(container: Any, shape: tuple[int, ...], rate_hz: int, compression: Compression) -> Any:
    stream = container.add_stream("libx264", rate=rate_hz)
    stream.height, stream.width, stream.pix_fmt = shape[0], shape[1], compression.pixels
    stream.codec_context.gop_size = compression.key_every
    # One thread, and without the macroblock tree, whose assembler reads past tiny pictures: always the same bytes.
    one_thread = "threads=1:lookahead-threads=1:mbtree=0"
    stream.options = {"crf": str(compression.crf), "preset": compression.preset, "x264-params": one_thread}
    return stream


def encode_clip(frames: Frames, rate_hz: int, compression: Compression) -> bytes:
    """An mp4 of frames (F, H, W, 3) uint8 RGB."""
    out = io.BytesIO()
    write_frames(out, iter(frames), rate_hz, compression)
    return out.getvalue()


def decode_clip(data: bytes) -> Frames:
    """Frames (F, H, W, 3) uint8 RGB of an mp4 in memory; `RecordingError` where it does not decode."""
    try:
        with av.open(io.BytesIO(data)) as container:
            _strict(container.streams.video[0])
            rgb = VideoReformatter()  # kept for all frames: setting one up costs ten times a small frame
            return np.stack([_pixels(rgb, frame) for frame in container.decode(video=0)])
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise RecordingError(
            f"a clip's video of {len(data)} bytes does not decode ({error}): prepare it again"
        ) from error


def _strict(stream: Any) -> None:
    """Damage is an error, not something to paint over."""
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"err_detect": "explode"}


def _pixels(rgb: VideoReformatter, frame: av.VideoFrame) -> Frames:
    return np.asarray(rgb.reformat(frame, format="rgb24", threads=1).to_ndarray(), np.uint8)


def write_video(path: Path, frames: Iterable[Frames], rate_hz: int, compression: Compression) -> int:
    """An mp4 file of the frames, whole or not at all; returns how many."""
    count = 0

    def write(temporary: Path) -> None:
        nonlocal count
        count = write_frames(str(temporary), frames, rate_hz, compression)

    write_atomically(path, write)
    return count


class VideoFile:
    """Frames of an mp4 by their number, quick for numbers that grow.

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
                self.count = int(container.streams.video[0].frames)
        except (av.FFmpegError, IndexError) as error:
            raise RecordingError(f"{path} is truncated or no video ({error}): get the file again") from error

    def pick(self, wanted: NDArray[np.integer]) -> Iterator[Frames]:
        """Frames (H, W, 3) of these numbers, which must not fall; a number may repeat."""
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
        """Frames and their numbers from the key frame at or before `first` on."""
        stream = container.streams.video[0]
        step = 1 / (stream.time_base * stream.average_rate)  # time units a frame: constant rate
        if first > 0:
            container.seek(int(first * step), stream=stream, backward=True)
        for frame in container.decode(stream):
            yield round(frame.pts / step), frame
