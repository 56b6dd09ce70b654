"""Draw clips of any origin on a contact sheet, and as a film with skeleton, hands and goal; `egotwin data show`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.drawing.overlay import draw_bones, project_points
from egotwin_model.errors import RecordingError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.skeleton import XSENS_JOINTS
from egotwin_model.io.images import write_png
from egotwin_model.io.videos import write_video
from training.datasets.clips.dataset import ClipSet, open_clips
from training.simulator.render.body_geoms import hand_points

Array = NDArray[np.floating]
CAPTION_HEIGHT = 20
HAND = (60, 220, 60)


def contact_sheet(
    clips: ClipSet, indices: Sequence[int], columns: int = 9, tile: int = 128, annotated: bool = False
) -> NDArray[np.uint8]:
    """One row per clip: a caption over `columns` frames spread evenly over its five seconds; (H, W, 3) RGB.

    Args:
        annotated: frames as `overlay` draws them.
    """
    rows = []
    for index in indices:
        frames = overlay(clips[index], tile)[:, :tile] if annotated else clips.tensor("frames", index)
        picked = frames[np.linspace(0, len(frames) - 1, columns).round().astype(int)]
        width = tile * picked.shape[2] // picked.shape[1]
        rows.append(_caption(f"{index}: {clips.records[index]['text']}", columns * width))
        rows.append(np.hstack([cv2.resize(f, (width, tile), interpolation=cv2.INTER_CUBIC) for f in picked]))
    return np.vstack(rows)


def overlay(clip: Mapping[str, Any], side: int = 384) -> NDArray[np.uint8]:
    """A clip's frames with its labels drawn into them: (F, side + caption, side per view, 3) RGB.

    The wearer's bones as the camera pose projects them (left blue, right orange), a box around each hand that is
    labelled visible, and the goal below; beside them, where the clip has these labels, depth (near is bright),
    segmentation (a colour for each object) and the outside camera's view.

    Args:
        clip: as a `ClipSet` returns it.
    """
    views = [_annotated(clip, "frames", "camera_pose", "intrinsics", side, hands=True)]
    if "depth" in clip:
        near = np.minimum(0.5 / np.maximum(clip["depth"].astype(np.float32), 0.5), 1.0)
        views.append(_enlarged((255 * near[..., None]).astype(np.uint8).repeat(3, axis=-1), side))
    if "segmentation" in clip:
        colours = np.random.default_rng(0).integers(60, 256, (int(clip["segmentation"].max()) + 1, 3), np.uint8)
        views.append(_enlarged(colours[clip["segmentation"]], side))
    if "outside_frames" in clip:
        views.append(_annotated(clip, "outside_frames", "outside_pose", "outside_intrinsics", side, hands=False))
    frames = np.concatenate(views, axis=2)
    caption = _caption(str(clip["text"]), frames.shape[2])
    return np.stack([np.vstack([frame, caption]) for frame in frames])


def _enlarged(labels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return np.stack([cv2.resize(image, (side, side), interpolation=cv2.INTER_NEAREST) for image in labels])


def _annotated(
    clip: Mapping[str, Any], frames: str, poses: str, intrinsics: str, side: int, hands: bool
) -> NDArray[np.uint8]:
    images = clip[frames]
    size = images.shape[1]
    camera = Pinhole(size, size, *(float(v) for v in clip[intrinsics])).scaled(side, side)
    views = np.broadcast_to(clip[poses], (len(images), 4, 4)).astype(np.float64)
    steps = (len(clip["positions"]) - 1) // (len(images) - 1)
    positions, rotations = clip["positions"][::steps], clip["rotations"][::steps]
    drawn = np.empty((len(images), side, side, 3), np.uint8)
    for k, image in enumerate(images):
        drawn[k] = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
        draw_bones(drawn[k], camera, views[k], positions[k])
        for hand in np.flatnonzero(clip["hand_visible"][k]) if hands and "hand_visible" in clip else ():
            _draw_hand(drawn[k], camera, views[k], positions[k], rotations[k], int(hand))
    return drawn


def _draw_hand(
    image: NDArray[np.uint8], camera: Pinhole, view: Array, positions: Array, rotations: Array, hand: int
) -> None:
    """A box around the visible points of a hand (0: left, 1: right)."""
    joint = XSENS_JOINTS.index(("L_Hand", "R_Hand")[hand])
    world = positions[joint] + (hand_points(0) * (1, (1, -1)[hand], 1)) @ rotations[joint].T
    pixels, inside = project_points(camera, view, world)
    if inside.any():
        low, high = pixels[inside].min(axis=0).astype(int), pixels[inside].max(axis=0).astype(int)
        cv2.rectangle(image, tuple(low.tolist()), tuple(high.tolist()), HAND, 1)


def _caption(text: str, width: int) -> NDArray[np.uint8]:
    strip = np.full((CAPTION_HEIGHT, width, 3), 255, np.uint8)
    cv2.putText(strip, text, (6, CAPTION_HEIGHT - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (30, 30, 30), 1, cv2.LINE_AA)
    return strip


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="egotwin data show", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of clips: a split made by `egotwin data world` or `nymeria`")
    parser.add_argument("--out", type=Path, default=Path("out/clips.png"), help="default: %(default)s")
    parser.add_argument("--clips", type=int, default=12, help="how many, spread over the folder (default: %(default)s)")
    parser.add_argument("--which", type=int, nargs="+", metavar="CLIP", help="these clips instead, by number")
    parser.add_argument("--columns", type=int, default=9, help="frames of each clip (default: %(default)s)")
    parser.add_argument("--tile", type=int, default=128, help="their side on the sheet, pixels (default: %(default)s)")
    parser.add_argument("--labels", action="store_true", help="draw skeleton, hands and other labels on the sheet too")
    parser.add_argument("--film", type=Path, help="also write these clips as an mp4 with skeleton, hands and goal")
    options = parser.parse_args(argv)
    try:
        clips = open_clips(options.folder)
    except RecordingError as error:
        print(f"egotwin data show: {error}", file=sys.stderr)
        return 2
    if len(clips) == 0:
        print(f"egotwin data show: {options.folder} holds no clips", file=sys.stderr)
        return 2
    indices = options.which or np.unique(np.linspace(0, len(clips) - 1, options.clips).round().astype(int)).tolist()
    if strange := [index for index in indices if not 0 <= index < len(clips)]:
        print(f"egotwin data show: {options.folder} has clips 0 to {len(clips) - 1}, not {strange}", file=sys.stderr)
        return 2
    write_png(options.out, contact_sheet(clips, indices, options.columns, options.tile, options.labels))
    if options.film:
        frames = (frame for index in indices for frame in overlay(clips[index]))
        write_video(options.film, frames, clips.manifest.frame_rate)
        print(f"annotated film: {options.film}")
    print(f"{len(indices)} of {len(clips)} clips: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
