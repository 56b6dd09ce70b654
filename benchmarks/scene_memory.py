"""What the scene memory costs and how well it renders.

Times are processor time of one thread, beside a plain NumPy splat of the same points in the same run, in a room of
boxes: one keyframe, and a memory filled by 60 s of walking with two keyframes a second.

    python -m benchmarks.scene_memory
    python -m benchmarks.scene_memory --data DATA/test    # clips made by: egotwin data world --size 128 --depth
                                                          # --segmentation --split test --clips 64 --out DATA

With clips, two tables of the views rendered along the true camera path: from the first frame alone (how the issue's
pilot was measured), and from the first two seconds at 2 Hz without the wearer's own body. Each has the share of pixels
seen, the PSNR of those, and the PSNR of whole frames averaged down to 64 px with holes filled by OpenCV's Telea
inpainting: means over clips of decibels. Beside them the pilot's way, which moves points three times finer than pixels.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.scene_memory import SceneMemory
from egotwin_model.io.files import write_json

Array = NDArray[np.float64]
SECONDS = (0.5, 1.0, 2.0, 3.0, 5.0)
PAST_S = 2.0
BODY = "body_"


@dataclass
class BoxRoom:
    """A room of axis-aligned boxes with smooth colours, whose images and depth are computed exactly.

    Attributes:
        low, high: corners of the room. boxes: (B, 2, 3), their lower and upper corners. shade: added to all phases of
            the colours, so that rooms differ.
    """

    low: Sequence[float] = (-4.0, -3.0, 0.0)
    high: Sequence[float] = (4.0, 3.0, 2.6)
    boxes: Array = field(default_factory=lambda: np.zeros((0, 2, 3)))
    shade: float = 0.0

    def view(self, camera: Pinhole, pose: Array) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.intp]]:
        """Image (H, W, 3), depth (H, W) metres and what is seen (H, W): 0 the room, 1 … the boxes."""
        u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], -1)
        rays = rays @ pose[:3, :3].T
        rays = np.where(np.abs(rays) < 1e-12, 1e-12, rays)
        corners = np.concatenate([[(self.low, self.high)], self.boxes])[:, :, None, None]
        crossings = np.sort((corners - pose[:3, 3]) / rays, axis=1)  # (boxes, in and out, H, W, axis)
        enter, leave = crossings[:, 0].max(-1), crossings[:, 1].min(-1)
        hit = np.where((enter < leave) & (enter > 0.0), enter, np.inf)
        hit[0] = leave[0]
        thing = hit.argmin(axis=0)
        depth = hit.min(axis=0)
        point = pose[:3, 3] + rays * depth[..., None]
        phase = point @ np.array([[2.1, 0.7, 1.3], [1.1, 2.3, 0.5], [1.7, 1.9, 2.9]]) + self.shade
        phase += thing[..., None] * np.array([2.0, 3.1, 4.3])
        return (127.5 + 100.0 * np.sin(phase)).astype(np.uint8), depth.astype(np.float32), thing


def pose_at(position: Sequence[float], yaw: float = 0.0, pitch: float = 0.0) -> Array:
    """T_world_camera (4, 4), optical, looking along (cos yaw, sin yaw, 0) and `pitch` radians down; z is up."""
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = position
    return pose


def furnished(seed: int = 0) -> BoxRoom:
    """A room with ten boxes on its floor."""
    rng = np.random.default_rng(seed)
    size = rng.uniform((0.3, 0.3, 0.4), (1.2, 1.0, 1.6), (10, 3))
    place = np.column_stack([rng.uniform((-3.8, -2.8), (2.6, 1.8), (10, 2)), np.zeros(10)])
    place[:, :2] = np.where(np.abs(place[:, :2]) < 1.3, np.sign(place[:, :2]) * 1.6, place[:, :2])  # the middle is free
    return BoxRoom(boxes=np.stack([place, place + size], 1))


def walk(count: int) -> Array:
    """(count, 4, 4) on rounds through the middle of the room while looking about."""
    turn = np.linspace(0.0, 4.0 * np.pi, count)
    yaw, pitch = 1.7 * turn + np.sin(3 * turn), 0.25 + 0.2 * np.sin(5 * turn)
    places = np.stack([0.9 * np.cos(turn), 0.9 * np.sin(turn), np.full(count, 1.6)], axis=1)
    return np.stack([pose_at(*view) for view in zip(places.tolist(), yaw, pitch, strict=True)])


def plain_splat(
    frame: NDArray[np.uint8], depth: NDArray[np.floating], camera: Pinhole, now_first: Array, finer: int = 1
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Every pixel moved to where its point is now, nearest last: frame and where anything is seen.

    Args:
        now_first: T_now_first (4, 4). finer: points along each side of a pixel.
    """
    height, width = depth.shape
    fine = camera.scaled(width * finer, height * finer)
    colours = frame if finer == 1 else cv2.resize(frame, (fine.width, fine.height), interpolation=cv2.INTER_LINEAR)
    depth = np.repeat(np.repeat(depth, finer, 0), finer, 1).astype(np.float32)
    points = (_rays(fine) * depth[..., None]).reshape(-1, 3) @ now_first[:3, :3].T.astype(np.float32)
    points += now_first[:3, 3].astype(np.float32)
    z = np.maximum(points[:, 2], 1e-6)
    x = np.rint(camera.fx * points[:, 0] / z + camera.cx)
    y = np.rint(camera.fy * points[:, 1] / z + camera.cy)
    seen = np.flatnonzero((points[:, 2] > 0.02) & (x >= 0) & (x < width) & (y >= 0) & (y < height))
    seen = seen[np.argsort(-points[seen, 2])]
    at = y[seen].astype(np.intp) * width + x[seen].astype(np.intp)
    image, visible = np.full((height * width, 3), 128, np.uint8), np.zeros(height * width, bool)
    image[at], visible[at] = colours.reshape(-1, 3)[seen], True
    return image.reshape(height, width, 3), visible.reshape(height, width)


@lru_cache(maxsize=4)
def _rays(camera: Pinhole) -> NDArray[np.float32]:
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], -1)
    return rays.astype(np.float32)


def spent(call: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Least and median processor time of this thread, milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.thread_time()
        call()
        times.append(1e3 * (time.thread_time() - start))
    return min(times), float(np.median(times))


def speed(size: int, rounds: int) -> dict[str, Any]:
    """Times of everything, milliseconds, printed as a table."""
    camera, room = Pinhole.from_fov(size, size, np.pi / 2), furnished()
    poses = walk(120)
    views = [room.view(camera, pose) for pose in poses]
    one, full = SceneMemory(), SceneMemory()
    one.add(*views[0][:2], camera, poses[0])
    for i, (image, depth, _) in enumerate(views):
        full.add(image, depth, camera, poses[i], i / 2.0)
    near = poses[0] @ np.linalg.inv(poses[2]) @ poses[0]
    first_near = np.linalg.inv(near) @ poses[0]
    path, image, depth = walk(600)[:41], views[0][0], views[0][1]

    def fill() -> None:
        full.copy().add(image, depth, camera, poses[0], 60.0)

    calls = {
        "plain NumPy splat, one keyframe": lambda: plain_splat(image, depth, camera, first_near),
        "plain NumPy splat, nine points a pixel": lambda: plain_splat(image, depth, camera, first_near, 3),
        "one view of one keyframe": lambda: one.render(camera, near[None]),
        "one view of a full memory": lambda: full.render(camera, path[:1]),
        "41 views of one keyframe": lambda: one.render(camera, path),
        "41 views of a full memory": lambda: full.render(camera, path),
        "adding a view to a full memory": fill,
    }
    times = {name: spent(call, max(3, rounds // (41 if "41" in name else 1))) for name, call in calls.items()}
    base = times["plain NumPy splat, one keyframe"][1]
    print(f"| {size} px, one thread | least, ms | median, ms | of the plain splat |\n|---|---|---|---|")
    for name, (least, median) in times.items():
        print(f"| {name} | {least:.2f} | {median:.2f} | {median / base:.2f} |")
    print(f"the full memory: {len(full)} keyframes of {len(views)}, {full.nbytes / 1e6:.1f} MB")
    return {"ms": times, "keyframes": len(full), "bytes": full.nbytes}


@dataclass(frozen=True)
class Clip:
    """One clip: frames (F, H, W, 3), depth (F, H, W), camera poses (F, 4, 4) and the wearer's own pixels (F, H, W)."""

    frames: NDArray[np.uint8]
    depth: NDArray[np.float32]
    poses: Array
    own: NDArray[np.bool_] | None
    camera: Pinhole


def read_clips(folder: Path) -> list[Clip]:
    """Clips with depth; with the wearer's pixels where they are segmented."""
    import mujoco  # noqa: F401  named here, so that a machine without the simulator is told what is missing

    from training.datasets.clips.dataset import open_clips
    from training.simulator.render import body_geoms
    from training.simulator.rooms.scene import build_room

    @lru_cache(maxsize=64)
    def wearer(seed: int, split: str) -> NDArray[np.bool_]:
        spec, _ = build_room(seed, split)
        body_geoms.add_body(spec)
        model = spec.compile()
        return np.array([False, *(model.body(i).name.startswith(BODY) for i in range(model.nbody))])

    clips, found = open_clips(folder), []
    for number, record in enumerate(clips.records):
        entry = clips[number]
        own = None
        if "segmentation" in entry:
            own = wearer(record["room_seed"], clips.manifest.split)[np.asarray(entry["segmentation"])]
        frames = np.asarray(entry["frames"])
        camera = Pinhole(frames.shape[2], frames.shape[1], *map(float, entry["intrinsics"]))
        found.append(Clip(
            frames, np.asarray(entry["depth"], np.float32), np.asarray(entry["camera_pose"], np.float64), own, camera
        ))  # fmt: skip
    return found


def decibels(one: NDArray[Any], other: NDArray[Any]) -> float:
    """PSNR."""
    return float(10 * np.log10(255**2 / max(1e-3, ((one.astype(float) - other.astype(float)) ** 2).mean())))


def scores(
    frame: NDArray[np.uint8], visible: NDArray[np.bool_], truth: NDArray[np.uint8]
) -> tuple[float, float, float]:
    """Share seen, PSNR of it, PSNR of the whole at 64 px."""
    filled = cv2.inpaint(np.ascontiguousarray(frame), (~visible).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    small = [cv2.resize(x.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA) for x in (filled, truth)]
    seen = decibels(frame[visible], truth[visible]) if visible.any() else float("nan")
    return float(visible.mean()), seen, decibels(small[0], small[1])


def quality(clips: list[Clip], rate: float = 8.0) -> dict[str, Any]:
    """The two tables."""
    results: dict[str, Any] = {}
    later = [round(t * rate) for t in SECONDS]
    rows: dict[str, list[list[tuple[float, float, float]]]] = {"pilot's way": [], "scene memory": []}
    for clip in clips:
        memory = SceneMemory()
        memory.add(clip.frames[0], clip.depth[0], clip.camera, clip.poses[0])
        prior = memory.render(clip.camera, clip.poses[later])
        moved = [np.linalg.inv(clip.poses[t]) @ clip.poses[0] for t in later]
        old = [plain_splat(clip.frames[0], clip.depth[0], clip.camera, pose, 3) for pose in moved]
        rows["pilot's way"].append([scores(*pair, clip.frames[t]) for pair, t in zip(old, later, strict=True)])
        rows["scene memory"].append(
            [scores(prior.frames[k], prior.visibility[k] > 0.5, clip.frames[t]) for k, t in enumerate(later)]
        )
    results["first frame"] = _print_table("from the first frame, after", SECONDS, rows)
    if all(clip.own is not None for clip in clips):
        after, past = (0.125, 0.5, 1.0, 2.0, 3.0), range(0, round(PAST_S * rate) + 1, round(rate / 2))
        later = [past[-1] + round(t * rate) for t in after]
        rows = {"newest frame alone": [], "all of the past": []}
        for clip in clips:
            assert clip.own is not None
            for name, used in (("newest frame alone", past[-1:]), ("all of the past", past)):
                memory = SceneMemory()
                for t in used:
                    memory.add(clip.frames[t], clip.depth[t], clip.camera, clip.poses[t], t / rate, clip.own[t])
                prior = memory.render(clip.camera, clip.poses[later])
                rows[name].append(
                    [scores(prior.frames[k], prior.visibility[k] > 0.5, clip.frames[t]) for k, t in enumerate(later)]
                )
        results["past"] = _print_table(f"past of {PAST_S:g} s without the wearer, after it", after, rows)
    return results


def _print_table(
    title: str, seconds: Sequence[float], rows: dict[str, list[list[tuple[float, float, float]]]]
) -> dict[str, Any]:
    print(f"\n| {title} | " + " | ".join(f"{t:g} s" for t in seconds) + " |\n|---" * 1 + "|---" * len(seconds) + "|")
    table = {}
    for name, values in rows.items():
        mean = np.nanmean(np.array(values), axis=0)
        table[name] = mean.tolist()
        for column, (what, form) in enumerate(
            (("seen, %", "{:.0f}"), ("PSNR of it", "{:.1f}"), ("PSNR, 64 px", "{:.1f}"))
        ):
            factor = 100.0 if column == 0 else 1.0
            print(f"| {name}: {what} | " + " | ".join(form.format(factor * v) for v in mean[:, column]) + " |")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="side of the views, pixels (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=60, help="timed calls of each kind (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder of clips with depth, for the tables of quality")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    results: dict[str, Any] = {"speed": speed(options.size, options.rounds)}
    if options.data:
        results["quality"] = quality(read_clips(options.data))
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    main()
