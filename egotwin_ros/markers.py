"""The imagined body for RViz and Foxglove: a skeleton each half second, fading into the future, and the head's path."""

from __future__ import annotations

import colorsys

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from egotwin_model.geometry.skeleton import HEAD, XSENS_PARENTS
from egotwin_ros.messages import ROS

BONE_WIDTH_M = 0.03
PATH_WIDTH_M = 0.02
SKELETON_EVERY_S = 0.5


def skeleton_markers(
    positions: NDArray[np.floating], times: NDArray[np.floating], stamp_ns: int, frame_id: str
) -> MarkerArray:
    """Markers of joint positions (T, 23, 3) in ``frame_id`` at ``times`` (T,) s; the first deletes all older ones."""
    markers = [Marker(header=ROS.header(stamp_ns, frame_id), action=Marker.DELETEALL)]
    shown = np.unique(np.searchsorted(times, np.arange(0.0, times[-1] + 1e-6, SKELETON_EVERY_S)))
    for number, step in enumerate(shown):
        bones = [joint for child, parent in enumerate(XSENS_PARENTS) if parent >= 0 for joint in (parent, child)]
        colour = _colour(times[step] / max(times[-1], 1e-6))
        markers.append(
            _lines(Marker.LINE_LIST, "body", number, positions[step][bones], colour, BONE_WIDTH_M, stamp_ns, frame_id)
        )
    colour = ColorRGBA(r=1.0, g=1.0, b=1.0, a=0.9)
    markers.append(
        _lines(Marker.LINE_STRIP, "head_path", 0, positions[:, HEAD], colour, PATH_WIDTH_M, stamp_ns, frame_id)
    )
    return MarkerArray(markers=markers)


def _colour(share: float) -> ColorRGBA:
    """From blue (now) to orange (the horizon), more transparent with time."""
    red, green, blue = colorsys.hsv_to_rgb(0.6 - 0.52 * float(share), 0.85, 1.0)
    return ColorRGBA(r=red, g=green, b=blue, a=1.0 - 0.6 * float(share))


def _lines(
    kind: int,
    name: str,
    number: int,
    points: NDArray[np.floating],
    colour: ColorRGBA,
    width: float,
    stamp: int,
    frame: str,
) -> Marker:
    marker = Marker(header=ROS.header(stamp, frame), ns=name, id=number, type=kind, action=Marker.ADD, color=colour)
    marker.pose.orientation.w = 1.0
    marker.scale.x = width
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in np.asarray(points, np.float64).tolist()]
    return marker
