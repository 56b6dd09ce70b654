"""The job's files: imagination.mcap, imagination.mp4 and trajectory.png, from a task and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.drawing.skeleton_view import Body
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.io.bags import BagWriter
from egotwin_model.io.images import decode_image
from egotwin_ros.conversions import NS, nanoseconds, poses_to_arrays
from egotwin_ros.job.answer import NODE, Answer, Task
from egotwin_ros.job.chart import HeadPath, write_chart
from egotwin_ros.job.film import PANEL, Scene, write_film
from egotwin_ros.job.recording import Bodies
from egotwin_ros.request import MODE_NUMBERS

BEFORE_NS = NS
MIN_GHOST_POSES = 8
FILM, BAG, CHART = "imagination.mp4", "imagination.mcap", "trajectory.png"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Context:
    """A task with its answer."""

    task: Task
    answer: Answer

    @property
    def first(self) -> Any:
        """The first sample's egotwin_ros/Imagination."""
        return self.answer.imaginations[0]

    @property
    def source_ns(self) -> int:
        """Stamp of the image from which it starts."""
        return nanoseconds(self.first.source_stamp)


def write_bag(path: Path, context: Context) -> None:
    """Writes the imagination, and the last second of the input unchanged."""
    source, topics = context.source_ns, context.task.topics
    with BagWriter(path) as bag:
        recorded = context.task.recording.bag.raw_messages(list(topics), source - BEFORE_NS, source + 1)
        for topic, kind, stamp_ns, cdr in recorded:
            bag.write_raw(topics[topic], kind, stamp_ns, cdr)
        for message in context.answer.imaginations:
            bag.write(f"{NODE}/imagination", message, source)
        for name in ("head_path", "body_trajectory"):
            bag.write(f"{NODE}/{name}", getattr(context.first, name), source)
        for name, video in (("camera_info", context.answer.camera_infos), ("image", context.answer.images)):
            for stamp_ns, message in sorted(video.items()):
                bag.write(f"{NODE}/predicted/{name}", message, stamp_ns)


def trajectory_arrays(message: Any) -> tuple[Array, Array, Array]:
    """Times (T,) s, positions (T, 23, 3), rotations (T, 23, 3, 3) of a body trajectory."""
    times = np.array([nanoseconds(point.time_from_start) for point in message.points]) / NS
    flat = [pose for point in message.points for pose in point.poses]
    positions, rotations = poses_to_arrays(flat, "body trajectory")
    return times, positions.reshape(len(times), -1, 3), rotations.reshape(len(times), -1, 3, 3)


def head_path(imagination: Any) -> HeadPath:
    """The imagined head of one sample."""
    start = nanoseconds(imagination.source_stamp)
    times = np.array([nanoseconds(pose.header.stamp) - start for pose in imagination.head_path.poses]) / NS
    return HeadPath(times, *poses_to_arrays([pose.pose for pose in imagination.head_path.poses], "head path"))


def _recorded_head(bodies: Bodies, source_ns: int) -> HeadPath:
    times = (bodies.stamps_ns - source_ns) / NS
    return HeadPath(times, bodies.positions[:, HEAD], bodies.rotations[:, HEAD])


def _at_times(bodies: Bodies, source_ns: int, times: Array) -> Body | None:
    """The recorded body at ``times``: the nearest pose, as long as it is within a tenth of a second."""
    if not len(bodies.stamps_ns):
        return None
    recorded = (bodies.stamps_ns - source_ns) / NS
    nearest = np.abs(recorded[None] - times[:, None]).argmin(axis=1)
    there = np.abs(recorded[nearest] - times) < 0.1
    count = len(times) if there.all() else int(np.argmin(there))
    if count < MIN_GHOST_POSES:
        return None
    return Body(bodies.positions[nearest[:count]], bodies.rotations[nearest[:count]], ghost=True)


def _view(context: Context) -> Pinhole:
    """The model's view at the size of a film panel."""
    infos = context.answer.camera_infos
    if not infos:
        return Pinhole.from_fov(PANEL, PANEL, np.pi / 2)
    info = infos[min(infos)]
    return Pinhole.from_matrix(info.width, info.height, info.k).scaled(PANEL, PANEL)


def write_film_and_chart(folder: Path, context: Context) -> None:
    """Writes both into ``folder``."""
    source, first = context.source_ns, context.first
    end = source + round(first.horizon_s * NS) + 1
    recording = context.task.recording
    before, after = recording.bodies(source - BEFORE_NS, source + 1), recording.bodies(source, end)
    stamps, seen = recording.view(_view(context), source - BEFORE_NS, end)
    times, positions, rotations = trajectory_arrays(first.body_trajectory)
    images = context.answer.images
    scene = Scene(
        goal=first.goal,
        note=f"{first.model_name} · seed {first.seed} · sample 1 of {first.sample_count}",
        seen_times=(stamps - source) / NS,
        seen=seen,
        imagined_times=np.array([stamp - source for stamp in sorted(images)]) / NS,
        imagined=[decode_image(images[stamp]) for stamp in sorted(images)],
        motion_times=times,
        body=Body(positions, rotations),
        true_body=_at_times(after, source, times),
        body_given=first.mode == MODE_NUMBERS["video"],
    )
    write_film(folder / FILM, scene)
    samples = [head_path(sample) for sample in context.answer.imaginations]
    write_chart(folder / CHART, first.goal, samples, _recorded_head(before, source), _recorded_head(after, source))
