"""``imagination.mp4``: recorded frames | imagined frames | the imagined body, with goal and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from egotwin_model.drawing.skeleton_view import Body, SkeletonView
from egotwin_model.io.videos import write_video

PANEL, GAP, TOP, BOTTOM = 480, 16, 104, 88
WIDTH, HEIGHT = 3 * PANEL + 4 * GAP, TOP + PANEL + BOTTOM
RATE_HZ = 16
BEFORE_S, AFTER_S = 1.0, 1.0
PAPER, INK, FAINT, ACCENT = (17, 20, 27), (236, 239, 244), (136, 146, 166), (255, 140, 66)
Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """Content of the film. Times are seconds after the moment at which the imagination starts.

    Attributes:
        goal: its text.
        note: small print in the corner (model, seed).
        seen_times, seen: (N,) and N square frames, before and, where the recording continues, after the moment.
        imagined_times, imagined: (F,) and F frames; F = 0 where only the motion was imagined.
        motion_times, body: (T,) and the imagined body (or the given one, where ``body_given``).
        true_body: the recorded body at the same times, as far as there is one.
    """

    goal: str
    note: str
    seen_times: NDArray[np.float64]
    seen: list[Frame]
    imagined_times: NDArray[np.float64]
    imagined: list[Frame]
    motion_times: NDArray[np.float64]
    body: Body
    true_body: Body | None
    body_given: bool = False


@lru_cache(maxsize=8)
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts/ttf" / name), size)


def write_film(path: Path, scene: Scene) -> None:
    """Writes the film (H.264, yuv420p, 16 frames per second) to ``path``, whole or not at all."""
    write_video(path, film_frames(scene), RATE_HZ)


def film_frames(scene: Scene) -> Iterator[Frame]:
    """Frames (HEIGHT, WIDTH, 3) RGB, from a second before the moment to a second after the horizon."""
    horizon = float(scene.motion_times[-1])
    before = min(BEFORE_S, max(0.0, -float(scene.seen_times[0]))) if len(scene.seen_times) else 0.0
    others = [scene.true_body] if scene.true_body is not None else []
    view = SkeletonView(PANEL, scene.body, others)
    page = _page(scene)
    bodies: dict[int, Frame] = {}
    for tick in range(round(-before * RATE_HZ), round((horizon + AFTER_S) * RATE_HZ) + 1):
        t = min(tick / RATE_HZ, horizon)
        step = int(np.searchsorted(scene.motion_times, max(t, 0.0) + 1e-6) - 1)
        if step not in bodies:
            bodies = {step: view.draw(step)}
        yield _compose(page, scene, t, horizon, bodies[step])


def _page(scene: Scene) -> Image.Image:
    """The part that is the same in every frame."""
    page = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(page)
    goal = f"“{scene.goal}”"
    size = 30
    while size > 14 and draw.textlength(goal, _font(size, True)) > WIDTH - 2 * GAP:
        size -= 2
    draw.text((GAP, 12), _shortened(draw, goal, _font(size, True)), INK, _font(size, True))
    draw.text((WIDTH - GAP, HEIGHT - 16), scene.note, FAINT, _font(13), anchor="rs")
    return page


def _shortened(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont) -> str:
    while draw.textlength(text, font) > WIDTH - 2 * GAP:
        text = text[:-5] + "…”"
    return text


def _compose(page: Image.Image, scene: Scene, t: float, horizon: float, body: Frame) -> Frame:
    image = page.copy()
    draw = ImageDraw.Draw(image)
    seen, seen_title = _seen(scene, t)
    imagined, imagined_title = _imagined(scene, t)
    ghost = ", grey: what happened" if scene.true_body is not None else ""
    body_title = "the given motion" if scene.body_given else f"the imagined body{ghost}"
    panels = ((seen, seen_title, FAINT), (imagined, imagined_title, ACCENT), (body, body_title, ACCENT))
    for column, (content, title, colour) in enumerate(panels):
        left = GAP + column * (PANEL + GAP)
        draw.text((left, TOP - 12), title, colour, _font(19), anchor="ls")
        image.paste(Image.fromarray(content), (left, TOP))
    _timeline(draw, t, horizon)
    return np.asarray(image)


def _at(times: NDArray[np.float64], t: float) -> int:
    """Index of the last time not after ``t``, with a tolerance of a millisecond; -1 where there is none."""
    return int(np.searchsorted(times, t + 1e-3) - 1)


def _seen(scene: Scene, t: float) -> tuple[Frame, str]:
    index = _at(scene.seen_times, t)
    if index < 0:
        return _blank("nothing recorded"), "seen"
    ended = t - scene.seen_times[index] > 0.5
    frame = _enlarged(scene.seen[index])
    if ended:
        return (frame // 3).astype(np.uint8), "seen (the recording ends here)"
    return frame, "seen" if t <= 0 else "seen: what really happened"


def _imagined(scene: Scene, t: float) -> tuple[Frame, str]:
    if not scene.imagined:
        return _blank("motion only"), "imagined"
    if t < 0:
        return _blank("…"), "imagined"
    return _enlarged(scene.imagined[max(0, _at(scene.imagined_times, t))]), "imagined"


def _blank(text: str) -> Frame:
    image = Image.new("RGB", (PANEL, PANEL), (27, 31, 41))
    ImageDraw.Draw(image).text((PANEL / 2, PANEL / 2), text, FAINT, _font(22), anchor="mm")
    return np.asarray(image)


def _enlarged(frame: Frame) -> Frame:
    """Resized to the panel, in steps of two so that the pixels of a small frame do not show as a grid."""
    while max(frame.shape[:2]) * 2 <= PANEL:
        frame = np.asarray(cv2.resize(frame, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)
    kind = cv2.INTER_AREA if max(frame.shape[:2]) > PANEL else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(frame, (PANEL, PANEL), interpolation=kind), np.uint8)


def _timeline(draw: ImageDraw.ImageDraw, t: float, horizon: float) -> None:
    """A bar from a second before to the horizon, with marks at the moment and at the shown time."""
    left, right, y = GAP, WIDTH - GAP, TOP + PANEL + 26
    start, span = -BEFORE_S, horizon + BEFORE_S

    def x(at: float) -> float:
        return left + (right - left) * (at - start) / span

    draw.line([(left, y), (right, y)], (52, 60, 76), 4)
    draw.line([(x(0.0), y), (x(max(t, 0.0)), y)], ACCENT, 4)
    draw.line([(x(0.0), y - 9), (x(0.0), y + 9)], INK, 2)
    draw.ellipse([x(t) - 7, y - 7, x(t) + 7, y + 7], fill=ACCENT if t > 0 else INK)
    draw.text((x(0.0), y + 14), "now", FAINT, _font(14), anchor="mt")
    label = f"{t:+.1f} s" if abs(t) > 1e-6 else "now"
    draw.text((GAP, HEIGHT - 16), label, INK, _font(22, True), anchor="ls")
