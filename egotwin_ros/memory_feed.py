"""What is remembered between goals: keyframes of the stream, chosen by motion, in a scene memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.egotwin.scene_views import ESTIMATE_TOLERANCE
from egotwin_model.geometry.body_mask import body_mask
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.scene_memory import SceneMemory
from egotwin_model.geometry.skeleton import HEAD
from egotwin_ros.conversions import NS, nanoseconds
from egotwin_ros.inputs import JUMP_BACK_NS, InputBuffer
from egotwin_ros.parameters import ImagineParameters

KEYFRAME_M, KEYFRAME_RAD = 0.5, math.radians(25.0)
KEYFRAME_S = 2.0  # where nothing moves, so that what others move is seen
RETRY_S = 0.5  # after an image that could not be remembered
FASTEST_M_S, FASTEST_RAD_S = 8.0, 20.0  # of a head; what is faster is another map
JITTER_M, JITTER_RAD = 0.2, math.radians(20.0)  # of pose estimates, between any two
PAST_VIEWS = 5  # that the depth estimator is given
MEGABYTE = 1_000_000

View = tuple[NDArray[np.uint8], NDArray[np.float64]]
Estimate = Callable[[NDArray[np.uint8], Pinhole, NDArray[np.float64], tuple[View, ...], float], NDArray[np.float32]]
"""Depth (H, W) in metres of an image (H, W, 3), its camera, T_world_camera (4, 4), earlier views of the same camera and
the floor's height; see `egotwin_model.depth.estimator.DepthEstimator`."""


@dataclass
class _Stream:
    """What is known since the memory was last cleared. Clearing makes a new one, so whoever still adds to an older one
    adds to nothing that is used."""

    memory: SceneMemory
    begin_ns: int  # images before belong to what was forgotten
    frame_id: str = ""
    seen_ns: int = -(2**63)
    retry_ns: int = -(2**63)
    keyframe_ns: int = 0
    keyframe_pose: NDArray[np.float64] | None = None
    views: deque[View] = field(default_factory=lambda: deque(maxlen=PAST_VIEWS))


@dataclass(frozen=True)
class _Head:
    """Where a head is: metres and a quaternion (x, y, z, w). Plain numbers: poses come hundreds of times a second."""

    stamp_ns: int
    frame_id: str
    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float]

    @classmethod
    def of(cls, pose: Any) -> _Head | None:
        """The head of a BodyPose; None where it is not tracked or impossible."""
        p, q = pose.poses[HEAD].position, pose.poses[HEAD].orientation
        position, orientation = (p.x, p.y, p.z), (q.x, q.y, q.z, q.w)
        length = math.hypot(*orientation)
        if not pose.tracked[HEAD] or not math.isfinite(math.hypot(*position) + length) or not length:
            return None
        return cls(nanoseconds(pose.header.stamp), pose.header.frame_id, position, orientation)

    def reason_to_forget(self, before: _Head) -> str:
        """Why the two are not of one body in one map; empty where they may be."""
        passed_s = (self.stamp_ns - before.stamp_ns) / NS
        if passed_s < 0.0:
            return f"time went back by {-passed_s:.2f} s"
        if self.frame_id != before.frame_id:
            return f"the body pose's frame changed from {before.frame_id!r} to {self.frame_id!r}"
        moved = math.dist(self.position, before.position)
        cosine = abs(sum(a * b for a, b in zip(self.orientation, before.orientation, strict=True)))
        cosine /= math.hypot(*self.orientation) * math.hypot(*before.orientation)
        turned = 2.0 * math.acos(min(1.0, cosine))
        if moved <= FASTEST_M_S * passed_s + JITTER_M and turned <= FASTEST_RAD_S * passed_s + JITTER_RAD:
            return ""
        return f"the head jumped by {moved:.2f} m and {math.degrees(turned):.0f} degrees within {passed_s:.3f} s"


class MemoryFeed:
    """Adds keyframes to a scene memory, and clears it where their poses would not fit together.

    `take` is called by one thread; everything else by any, and returns at once.

    Args:
        parameters: bounds of the memory, and where depth comes from.
        inputs: find what belongs to an image.
        view, mount: the model's camera and how it sits on the head.
        estimate: the model's depth, where a depth image is not there or not wanted; None: there is none.

    Attributes:
        cleared: how often the memory was cleared; `cleared_because`: why it last was.
        refusal: why the newest image could not be remembered, or its depth image was not used; empty where it was.
    """

    def __init__(
        self,
        parameters: ImagineParameters,
        inputs: InputBuffer,
        view: Pinhole,
        mount: Mount,
        estimate: Estimate | None = None,
    ) -> None:
        self._parameters, self._inputs, self._estimate = parameters, inputs, estimate
        self._view, self._mount = view, mount
        self._head: _Head | None = None
        self.cleared, self.cleared_because, self.refusal = 0, "", ""
        self._stream = self._new_stream(0)

    def _new_stream(self, begin_ns: int) -> _Stream:
        parameters = self._parameters
        memory = SceneMemory(
            parameters.memory_megabytes * MEGABYTE, parameters.memory_seconds, parameters.memory_range_m
        )
        return _Stream(memory, begin_ns)

    def clear(self, because: str, begin_ns: int = 0) -> None:
        """Forgets everything, and images before ``begin_ns`` that are still to come."""
        self._stream, self._head = self._new_stream(begin_ns), None
        self.cleared, self.cleared_because = self.cleared + 1, because

    @property
    def memory(self) -> SceneMemory:
        """The memory itself, for reading."""
        return self._stream.memory

    @property
    def version(self) -> tuple[int, int]:
        """Changes with the content."""
        return self.cleared, self._stream.keyframe_ns

    def snapshot(self) -> tuple[SceneMemory, str, int]:
        """A copy of the memory, its fixed frame and the stamp of its newest keyframe; "" and 0 where it is empty."""
        stream = self._stream
        return stream.memory.copy(), stream.frame_id, stream.keyframe_ns

    def known_at(self, stamp_ns: int, frame_id: str) -> SceneMemory | None:
        """A copy of the memory for an instant in a fixed frame; None where nothing of it is remembered."""
        memory, own_frame_id, newest_ns = self.snapshot()
        too_old = stamp_ns - newest_ns > self._parameters.memory_seconds * NS
        return None if not len(memory) or too_old or own_frame_id != frame_id else memory

    def follow(self, pose: Any) -> bool:
        """Clears the memory where the head is where no body can be, the frame is another, or time went back.

        Args:
            pose: a BodyPose, as they come. One with an untracked or impossible head is left out.

        Returns:
            Whether it was cleared.
        """
        head, before = _Head.of(pose), self._head
        if head is None or (before is not None and -JUMP_BACK_NS <= head.stamp_ns - before.stamp_ns < 0):
            return False  # of no use, or out of order
        reason = "" if before is None else head.reason_to_forget(before)
        if reason:
            self.clear(reason, head.stamp_ns)
        self._head = head
        return bool(reason)

    def take(self, image: Any) -> bool:
        """Remembers an image message where the head has moved on; whether it did.

        Raises:
            EgoTwinError: image, depth or pose cannot be used.
        """
        stream, stamp_ns = self._stream, nanoseconds(image.header.stamp)
        if stamp_ns < stream.begin_ns or stamp_ns <= stream.seen_ns or not self._has_depth:
            return False
        stream.seen_ns = stamp_ns
        if stamp_ns < stream.retry_ns:
            return False
        match = self._inputs.match(image)
        positions, rotations = self._inputs.reader.body(match)
        pose = np.asarray(self._mount.camera_pose(positions[HEAD], rotations[HEAD]))
        if not _moved_on(stream, pose, stamp_ns):
            self.refusal = ""
            return False
        stream.retry_ns = stamp_ns + round(RETRY_S * NS)
        observation = self._inputs.reader.read(match, self._view, self._mount)
        self.refusal, depth = observation.depth_refusal, observation.depth
        if depth is None and self._estimate is not None:
            stream.memory.depth_tolerance = ESTIMATE_TOLERANCE
            floor_z = float(positions[:, 2].min())  # the lowest joint stands on it
            depth = self._estimate(observation.image, self._view, pose, tuple(stream.views), floor_z)
        stream.views.append((observation.image, pose))
        if depth is None:
            return False
        body = body_mask(self._view, pose, positions)
        stream.memory.add(observation.image, depth, self._view, pose, stamp_ns / NS, body)
        stream.retry_ns = stamp_ns
        stream.frame_id, stream.keyframe_ns, stream.keyframe_pose = observation.frame_id, stamp_ns, pose
        return True

    @property
    def _has_depth(self) -> bool:
        """Whether any depth is to be had; where a depth image is demanded, its absence is an error of its own."""
        received, source = self._inputs.received, self._parameters.depth_source
        return self._estimate is not None or source == "topic" or bool(received.get("depth/image"))

    def values(self) -> dict[str, object]:
        """The state for diagnostics."""
        memory = self.memory
        return {
            "memory keyframes": len(memory),
            "memory megabytes": round(memory.nbytes / MEGABYTE, 2),
            "memory cleared": self.cleared,
            "memory cleared because": self.cleared_because,
            "memory refusal": self.refusal,
        }


def _moved_on(stream: _Stream, pose: NDArray[np.float64], stamp_ns: int) -> bool:
    """Whether the newest keyframe is far enough from this pose, or old enough, for another one."""
    last = stream.keyframe_pose
    if last is None or stamp_ns - stream.keyframe_ns >= KEYFRAME_S * NS:
        return True
    turned = math.acos(float(np.clip((np.trace(last[:3, :3].T @ pose[:3, :3]) - 1.0) / 2.0, -1.0, 1.0)))
    return float(np.linalg.norm(pose[:3, 3] - last[:3, 3])) >= KEYFRAME_M or turned >= KEYFRAME_RAD
