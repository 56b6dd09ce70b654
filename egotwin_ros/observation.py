"""The observed instant: messages that were matched in time, decoded, checked and turned into the model's view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from egotwin_model.errors import CalibrationError, EgoTwinError
from egotwin_model.geometry.camera import Pinhole, rectify
from egotwin_model.geometry.mount import Mount
from egotwin_ros.conversions import body_to_arrays, camera_model, nanoseconds
from egotwin_ros.depth_image import view_of_depth
from egotwin_ros.match import Match
from egotwin_ros.parameters import ImagineParameters


@dataclass(frozen=True)
class Observation:
    """The observed instant from which an imagination starts.

    Attributes:
        image: (H, W, 3) uint8 RGB, the view of the model's camera.
        positions, rotations: (23, 3) metres and (23, 3, 3), in ``frame_id``.
        stamp_ns: the image's stamp.
        frame_id: the body pose's fixed frame.
        depth: (H, W) float32 metres along the view's optical axis, 0 where unknown; None where no depth image fits.
        depth_refusal: why a depth image that has arrived does not fit; empty otherwise.
    """

    image: NDArray[np.uint8]
    positions: NDArray[np.float64]
    rotations: NDArray[np.float64]
    stamp_ns: int
    frame_id: str
    depth: NDArray[np.float32] | None = None
    depth_refusal: str = ""


class ObservationReader:
    """Makes observations of matched messages.

    Args:
        parameters: the fixed frame, the camera's mount and where depth comes from.
        decode: (H, W, 3) uint8 RGB of an image message.
    """

    def __init__(self, parameters: ImagineParameters, decode: Callable[[Any], NDArray[np.uint8]]) -> None:
        self._parameters, self._decode = parameters, decode

    def body(self, match: Match) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions (23, 3) and rotations (23, 3, 3) of the body pose; `PoseError` where it cannot be used."""
        parameters = self._parameters
        return body_to_arrays(match.pose, parameters.fixed_frame_id, require_all_tracked=parameters.require_all_tracked)

    def read(self, match: Match, view: Pinhole, mount: Mount) -> Observation:
        """The observation in the view of the model's camera.

        Raises:
            CalibrationError, ImageError, PoseError: see action/Imagine.action. Depth that does not
                fit raises with depth_source "topic" alone.
        """
        if (info := match.messages.get("camera_info")) is None:
            raise CalibrationError("no camera_info has arrived: publish the camera's intrinsics beside the image")
        rgb = self._decode(match.image)
        camera = camera_model(info, rgb.shape[1], rgb.shape[0])
        positions, rotations = self.body(match)
        turn = self._turn_into_view(mount)
        seen = rectify(rgb, camera.matrix, camera.distortion, camera.model, view, turn)
        depth, refusal = None, ""
        if match.has_depth:
            try:
                depth = view_of_depth(match, (rgb.shape[1], rgb.shape[0]), camera, view, turn)
            except EgoTwinError as error:
                if self._parameters.depth_source == "topic":
                    raise
                refusal = str(error)
        stamp_ns, frame_id = nanoseconds(match.image.header.stamp), match.pose.header.frame_id
        return Observation(seen, positions, rotations, stamp_ns, frame_id, depth, refusal)

    def _turn_into_view(self, mount: Mount) -> NDArray[np.float64] | None:
        """R_model_camera: from the real camera's optical frame to the one the model was trained on."""
        quaternion = np.array(self._parameters.camera_mount_rotation, np.float64)
        if not quaternion.any():
            return None
        if not np.isfinite(quaternion).all():
            raise CalibrationError("parameter camera_mount_rotation is not finite")
        return np.asarray(mount.rotation).T @ Rotation.from_quat(quaternion).as_matrix()
