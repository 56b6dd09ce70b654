"""Real recordings: the first observation of a bag, and whether the wearer turns as asked, with feet on the floor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from egotwin_model.egotwin.pipeline import BodyState, EgoTwinPipeline
from egotwin_model.errors import RecordingError
from egotwin_model.geometry.camera import Pinhole, rectify
from egotwin_model.io.bags import BagReader
from egotwin_model.io.images import decode_image
from egotwin_model.motion.head_path import heading_change
from training.evaluation.metrics.intervals import share_figure
from training.evaluation.metrics.view_turns import TURNED_RAD
from training.evaluation.outside.tilted_starts import ON_THE_FLOOR_M

SEEDS = 4
TURNS = {"turn left": 1, "turn right": -1}


def first_observation(bag: Path, view: Pinhole) -> tuple[NDArray[np.uint8], BodyState]:
    """The first image of a recording, as the model sees it, and the body pose nearest to it.

    The camera must sit on the head as the model's does, which `egotwin data aria` sees to.

    Raises:
        RecordingError: the recording lacks images, calibration or body poses.
    """
    with BagReader(bag) as reader:
        images = reader.find("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
        infos, bodies = reader.find("sensor_msgs/msg/CameraInfo"), reader.find("egotwin_ros/msg/BodyPose")
        stamp, image = _first(reader, images)
        _, info = _first(reader, infos)
        poses = [(abs(when - stamp), body) for _, when, body in reader.messages([bodies])]
    body = min(poses, key=lambda pose: pose[0])[1]
    frame = rectify(decode_image(image), info.k, info.d, info.distortion_model or "plumb_bob", view)
    return frame, _state(body)


def _first(reader: BagReader, topic: str) -> tuple[int, Any]:
    _, stamp, message = next(reader.messages([topic]), (None, 0, None))
    if message is None:
        raise RecordingError(f"recording {reader.path} has no message on {topic}; record it again")
    return stamp, message


def _state(body: Any) -> BodyState:
    points = np.array([(pose.position.x, pose.position.y, pose.position.z) for pose in body.poses])
    turns = [(p.orientation.x, p.orientation.y, p.orientation.z, p.orientation.w) for p in body.poses]
    return BodyState(points, Rotation.from_quat(turns).as_matrix())


def turns_on_recordings(pipeline: EgoTwinPipeline, bags: Sequence[Path]) -> dict[str, dict[str, float]]:
    """By recording: share of futures that turn to the side they were told, and whose feet stay on the floor."""
    found: dict[str, dict[str, float]] = {}
    for bag in tqdm(bags, desc="recordings", leave=False):
        image, state = first_observation(bag, pipeline.info.camera)
        turned, floor = [], []
        for goal, sign in TURNS.items():
            motion = pipeline(goal, image, state, mode="motion", num_samples=SEEDS, seed=0).motion
            turned += (sign * heading_change(motion.head_rotations) > TURNED_RAD).tolist()
            lowest = motion.positions[:, -1, :, 2].min(axis=-1) - state.positions[:, 2].min()
            floor += (np.abs(lowest) <= ON_THE_FLOOR_M).tolist()
        for name, answers in (("turns as told", turned), (f"feet within {ON_THE_FLOOR_M:g} m of the floor", floor)):
            found[f"{bag.stem}: {name}"] = share_figure(answers)
    return found
