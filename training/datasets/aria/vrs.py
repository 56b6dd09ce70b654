"""A Project Aria recording (VRS): upright colour frames in a pinhole view, calibration and IMU.

The colour stream is stored rotated by 90 degrees and has a fisheye lens. Frames are resampled in one step to a camera
whose axes follow from the calibration's central pupil frame and the model's mount, so a frame is exactly the view of
the model's camera from the position of the colour camera.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from projectaria_tools.core import calibration, data_provider
from projectaria_tools.core.sensor_data import TimeDomain
from projectaria_tools.core.sophus import SO3
from projectaria_tools.core.stream_id import StreamId

from egotwin_model.errors import RecordingError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount

Array = NDArray[np.float64]
RGB_STREAM = "214-1"
RGB_LABEL = "camera-rgb"
IMU_STREAMS = {"imu-left": "1202-2", "imu-right": "1202-1"}

# Head frame (x forward, y left, z up) in the central pupil frame (x left, y up, z forward).
R_CPF_HEAD = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])

_FILE_HEADER = struct.Struct("<16sIIQQQ")  # magic, header size, record header size, offsets: index, tags, first record
_VRS_MAGIC = b"VisionRe"


def check_complete(path: Path) -> None:
    """Follows the file's chain of records, since the library opens truncated files without an error.

    Raises:
        RecordingError: missing, not VRS, or the last record is incomplete.
    """
    if not path.is_file():
        raise RecordingError(f"recording {path} does not exist")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_FILE_HEADER.size)
        if len(head) < _FILE_HEADER.size or not head.startswith(_VRS_MAGIC):
            raise RecordingError(f"recording {path} is not a VRS file ({size} bytes): give a Project Aria .vrs")
        _, _, record_header, _, _, offset = _FILE_HEADER.unpack(head)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            while offset + record_header <= size:
                length = int.from_bytes(data[offset : offset + 4], "little")
                if length < record_header:
                    raise RecordingError(f"recording {path} is damaged at byte {offset}: get the file again")
                offset += length
    if offset != size:
        raise RecordingError(f"recording {path} is truncated: {size} bytes of at least {offset}; get the file again")


@dataclass(frozen=True)
class ImuSamples:
    """Calibrated readings in the device frame.

    Attributes:
        stamps_ns: (N,) int64, device time.
        acceleration: (N, 3) m/s², specific force: 9.81 upwards at rest.
        angular_velocity: (N, 3) rad/s.
    """

    stamps_ns: NDArray[np.int64]
    acceleration: Array
    angular_velocity: Array


class AriaRecording:
    """An opened VRS file.

    Attributes:
        camera: the view in which frames are returned.
        stamps_ns: (N,) int64, capture times of the colour frames, device time, strictly growing.
        serial: of the glasses.
        R_device_head: (3, 3) the wearer's head frame in the device frame, from the calibration.
        p_device_camera: (3,) m, the colour camera's centre in the device frame.

    Raises:
        RecordingError: missing, truncated or not an Aria recording; no colour stream, frames or calibration.
    """

    def __init__(self, path: Path | str, camera: Pinhole, mount: Mount) -> None:
        self.path, self.camera, self.mount = Path(path), camera, mount
        check_complete(self.path)
        try:
            self._provider = data_provider.create_vrs_data_provider(str(self.path))
        except RuntimeError as error:
            raise RecordingError(f"recording {self.path} is unreadable: {error}") from error
        if self._provider is None:
            raise RecordingError(f"recording {self.path} is unreadable: not a Project Aria VRS file")
        self._rgb = StreamId(RGB_STREAM)
        self.stamps_ns = self._checked_stamps()
        self.serial = str(self._provider.get_file_tags().get("device_serial", ""))
        self._read_calibration()

    def _checked_stamps(self) -> NDArray[np.int64]:
        streams = {str(stream) for stream in self._provider.get_all_streams()}
        if RGB_STREAM not in streams or self._provider.get_num_data(self._rgb) == 0:
            there = ", ".join(sorted(streams)) or "none"
            raise RecordingError(
                f"recording {self.path} has no colour frames: stream {RGB_STREAM} is missing or empty; "
                f"its streams: {there}. Record with a profile that has the RGB camera"
            )
        stamps = np.array(self._provider.get_timestamps_ns(self._rgb, TimeDomain.DEVICE_TIME), np.int64)
        if stamps[0] < 0 or (np.diff(stamps) <= 0).any():
            raise RecordingError(f"recording {self.path}: the capture times of the colour frames do not increase")
        return stamps

    def _read_calibration(self) -> None:
        device = self._provider.get_device_calibration()
        lens = device.get_camera_calib(RGB_LABEL) if device is not None else None
        cpf = device.get_transform_device_cpf() if device is not None else None
        if lens is None or cpf is None:
            raise RecordingError(
                f"recording {self.path} carries no calibration of {RGB_LABEL}: it cannot be undistorted or placed"
            )
        self._device, self.lens = device, lens
        T_device_camera = lens.get_transform_device_camera().to_matrix()
        self.R_device_head = cpf.to_matrix()[:3, :3] @ R_CPF_HEAD
        self.p_device_camera: Array = T_device_camera[:3, 3]
        R_device_view = self.R_device_head @ np.asarray(self.mount.rotation)
        self.R_lens_view: Array = T_device_camera[:3, :3].T @ R_device_view
        if not np.isfinite([*self.R_lens_view.ravel(), *self.p_device_camera]).all():
            raise RecordingError(f"recording {self.path}: the calibration of {RGB_LABEL} holds NaN or infinity")
        self._supersampling = max(1, round(lens.get_focal_lengths()[0] / self.camera.fx))

    @property
    def stored_shape(self) -> tuple[int, int]:
        """Height and width of the calibrated frames."""
        width, height = self.lens.get_image_size()
        return int(height), int(width)

    def timecode_to_device_ns(self, stamps_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """DEVICE times (N,) of TIMECODE times, the clock shared by all devices of a session.

        Raises:
            RecordingError: the recording carries no timecode.
        """
        if not self._provider.supports_time_domain(self._rgb, TimeDomain.TIME_CODE):
            raise RecordingError(f"recording {self.path} carries no timecode: it was not synchronised to other devices")
        first, last = (self._provider.convert_from_timecode_to_device_time_ns(int(t)) for t in stamps_ns[[0, -1]])
        # both clocks count nanoseconds; their drift is linear over a recording
        drift = np.interp(stamps_ns, stamps_ns[[0, -1]], [float(first - stamps_ns[0]), float(last - stamps_ns[-1])])
        return stamps_ns + np.rint(drift).astype(np.int64)

    def frame(self, index: int) -> NDArray[np.uint8]:
        """The frame in the view `camera`: (H, W, 3) uint8 RGB, upright; black outside the lens.

        Raises:
            RecordingError: the frame cannot be read.
        """
        try:
            image, _ = self._provider.get_image_data_by_index(self._rgb, index)
            stored = image.to_numpy_array() if image.is_valid() else None
        except RuntimeError:  # raised by the library for a frame that does not decode
            stored = None
        if stored is None:
            raise RecordingError(f"recording {self.path}: colour frame {index} is damaged; get the file again")
        return self.resample(stored)

    def resample(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame as stored, (H, W, 3), in the view `camera`: each pixel is the mean of the area it covers.

        Raises:
            RecordingError: the frame is not of the calibrated size.
        """
        if stored.shape[:2] != self.stored_shape:
            raise RecordingError(
                f"recording {self.path}: colour frames have {stored.shape[:2]} pixels, the calibration is for "
                f"{self.stored_shape}"
            )
        seen = cv2.remap(stored, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        size = (self.camera.width, self.camera.height)
        return np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA), np.uint8)

    @cached_property
    def _maps(self) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
        """The position of each pixel of the finer view in a stored frame, in cv2.remap's fixed-point form.

        The library resamples images only; resampling an image of its own coordinates gives the map for all frames.
        Coordinates are shifted by one, since the library marks pixels outside the lens by 0.
        """
        fine = self.camera.width * self._supersampling
        view = calibration.get_linear_camera_calibration(fine, fine, self.camera.fx * self._supersampling)
        turn = SO3.from_matrix(self.R_lens_view)
        height, width = self.stored_shape
        ramps = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        x, y = (
            calibration.distort_by_calibration_and_apply_rotation(ramp + 1.0, view, self.lens, turn) - 1.0
            for ramp in ramps
        )
        unseen = np.minimum(x, y) < 0.0
        x[unseen], y[unseen] = -2.0, -2.0
        first, second = cv2.convertMaps(x, y, cv2.CV_16SC2)
        return np.asarray(first, np.int16), np.asarray(second, np.uint16)

    def imu(self, label: str = "imu-left") -> ImuSamples | None:
        """All readings of one IMU, rectified by the factory calibration; None where it was not recorded."""
        stream, calib = StreamId(IMU_STREAMS[label]), self._device.get_imu_calib(label)
        count = self._provider.get_num_data(stream)
        if calib is None or count == 0:
            return None
        raw = [self._provider.get_imu_data_by_index(stream, i) for i in range(count)]
        R_device_imu = calib.get_transform_device_imu().to_matrix()[:3, :3]
        return ImuSamples(
            np.array([sample.capture_timestamp_ns for sample in raw], np.int64),
            np.array([calib.raw_to_rectified_accel(sample.accel_msec2) for sample in raw]).reshape(-1, 3)
            @ R_device_imu.T,
            np.array([calib.raw_to_rectified_gyro(sample.gyro_radsec) for sample in raw]).reshape(-1, 3)
            @ R_device_imu.T,
        )
