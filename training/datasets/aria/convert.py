"""``egotwin data aria``: turns a Project Aria recording into a bag like those of this repository.

It writes `/camera/image/compressed` (JPEG), `/camera/camera_info` and `/body_pose`, one of each per image, stamped with
the glasses' device time. The fixed frame is `map`: the trajectory's world with z up.

The head joint is placed such that the colour camera has exactly the model's mount, so the mini model needs no
parameters to use the bag: `Mount().camera_pose(head)` is the camera's pose of each image. The head's axes are those of
the calibration's central pupil frame. Aria's colour camera sits beside the left eye, so the head joint is about 6 cm to
the left of the neck's middle; in return the geometry of the images is exact.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from egotwin_model.errors import EgoTwinError, RecordingError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import HEAD, NUM_JOINTS, XSENS_JOINTS
from egotwin_model.io.bags import BagWriter, Topics
from training.datasets.aria.aria_body import (
    REFERENCE_HEAD_HEIGHT,
    Bodies,
    head_poses,
    standing_bodies,
    standing_scale,
)
from training.datasets.aria.glasses_path import DevicePath, attitude_from_imu, read_trajectory, still_path
from training.datasets.aria.optitrack import (
    BY_NAME,
    LABELS,
    OptiTrackBody,
    read_skeleton,
    to_xsens,
    wearer_serial,
)
from training.datasets.aria.vrs import AriaRecording

log = logging.getLogger("egotwin.aria")
Array = NDArray[np.float64]

FIXED_FRAME, CAMERA_FRAME = "map", "camera_optical"
ASSOCIATION = "skeleton_aria_association.json"
MAX_HEAD_GAP_M = 0.4  # largest distance between the glasses' head and the skeleton's, if they belong together
BLACK = 8  # of 255; darker pixels of a resampled white frame are outside the lens


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(
        prog="egotwin data aria",
        description="Turns a Project Aria recording into a bag: undistorted upright images with intrinsics, and body "
        "poses on the frame map.",
    )
    add = options.add_argument
    add("recording", type=Path, help="the glasses' .vrs file")
    add("--trajectory", type=Path, help="aria_trajectory.csv or closed_loop_trajectory.csv (without: from the IMU)")
    add("--skeleton", type=Path, help="Skeleton_*.json of Aria Digital Twin, needs --trajectory (without: assumed)")
    add("--association", type=Path, help=f"whose skeleton it is (default: {ASSOCIATION} beside it)")
    add("--floor", type=float, help="the floor's height in the trajectory's world, m; sizes an assumed body")
    add("--out", type=Path, required=True, help="the .mcap file to write")
    add("--size", type=int, default=256, help="side of the square images, pixels (default: %(default)s)")
    add("--fov", type=float, default=90.0, help="field of view of the images, degrees (default: %(default)s)")
    return options


def convert(options: argparse.Namespace, mount: Mount | None = None) -> str:
    """Converts a recording; returns a summary.

    Raises:
        EgoTwinError: the input cannot be used; nothing is written.
    """
    mount = mount or Mount()
    if options.skeleton and not options.trajectory:
        raise RecordingError("--skeleton needs --trajectory, which has the pose of the glasses in the skeleton's world")
    camera = Pinhole.from_fov(options.size, options.size, float(np.radians(options.fov)))
    recording = AriaRecording(options.recording, camera, mount)
    path = device_path(recording, options.trajectory)
    heads = head_poses(*path.at(recording.stamps_ns), recording.R_device_head, recording.p_device_camera, mount)
    bodies = wearer_bodies(options, recording, path, heads)
    if not (np.isfinite(bodies.positions).all() and np.isfinite(bodies.rotations).all()):
        raise RecordingError(f"recording {options.recording}: the body poses hold NaN or infinity")
    unseen = float((recording.resample(np.full((*recording.stored_shape, 3), 255, np.uint8)) < BLACK).mean())
    write(options.out, recording, bodies)
    length_s = (recording.stamps_ns[-1] - recording.stamps_ns[0]) / 1e9
    return (
        f"{options.out}: {len(recording.stamps_ns)} images of {camera.width}x{camera.height} in {length_s:.2f} s, "
        f"f = {camera.fx:.1f} px, {100 * unseen:.1f} % of each outside the lens; "
        f"{int(bodies.tracked.sum())} of {NUM_JOINTS} joints measured"
    )


def device_path(recording: AriaRecording, trajectory: Path | None) -> DevicePath:
    """The path of the glasses from the trajectory file, else from the IMU; logs which."""
    if trajectory is not None:
        return read_trajectory(trajectory)
    # The device frame's origin is the left SLAM camera, at the eyes.
    height_m = REFERENCE_HEAD_HEIGHT + recording.mount.translation[2]
    imu = recording.imu()
    if imu is None:
        log.warning(
            "neither trajectory nor IMU: the head is level and still, %.2f m above the floor (assumed)", height_m
        )
        return still_path(recording.stamps_ns, recording.R_device_head.T, height_m)
    log.warning(
        "no trajectory: the head turns by the IMU but stays in place, %.2f m above the floor (assumed)", height_m
    )
    return attitude_from_imu(imu, recording.R_device_head, recording.stamps_ns, height_m)


def wearer_bodies(
    options: argparse.Namespace, recording: AriaRecording, path: DevicePath, heads: tuple[Array, Array]
) -> Bodies:
    """The wearer's body from the skeleton if it is the wearer's, else an assumed one; logs which."""
    skeleton = read_skeleton(options.skeleton) if options.skeleton else None
    if skeleton is not None:
        association = options.association or options.skeleton.parent / ASSOCIATION
        serial = wearer_serial(association, skeleton.name)
        if serial == recording.serial:
            return measured_bodies(skeleton, recording, path, heads)
        log.warning(
            "%s is of somebody else (glasses %s; this recording's are %s): it is not used for the wearer's body",
            skeleton.name, serial, recording.serial,
        )  # fmt: skip
    scale = standing_scale(heads[0], options.floor if options.trajectory else None)
    log.warning(
        "only the head is measured: the other %d joints are assumed, a body standing under it, %.2f times the 1.75 m "
        "reference", NUM_JOINTS - 1, scale,
    )  # fmt: skip
    return standing_bodies(*heads, scale)


def measured_bodies(
    skeleton: OptiTrackBody, recording: AriaRecording, path: DevicePath, heads: tuple[Array, Array]
) -> Bodies:
    """The skeleton mapped to the 23 joints, with the head of the glasses.

    Raises:
        RecordingError: it does not cover the images, or its head is too far from the glasses.
    """
    joints = skeleton.at(recording.stamps_ns) @ path.R_map_world.T
    gap = float(np.linalg.norm(joints[:, LABELS.index("Head")] - heads[0], axis=-1).max())
    if gap > MAX_HEAD_GAP_M:
        raise RecordingError(
            f"skeleton {skeleton.name}: its head is up to {gap:.2f} m from the glasses' wearer's: "
            "trajectory and skeleton are not of the same recording"
        )
    log.info("the body is the measured %s; its head joint is at most %.3f m from the glasses' head", skeleton.name, gap)
    positions, rotations = to_xsens(joints, *heads)
    tracked = np.array([name in BY_NAME for name in XSENS_JOINTS])
    tracked[HEAD] = True
    return Bodies(positions, rotations, tracked)


def write(out: Path, recording: AriaRecording, bodies: Bodies) -> None:
    """Writes the bag, complete or not at all."""
    camera = recording.camera
    with BagWriter(out) as bag:
        for index, stamp in enumerate(tqdm(recording.stamps_ns.tolist(), desc="images", unit="image", disable=None)):
            bag.write_camera_info(
                Topics.camera_info, stamp, CAMERA_FRAME, width=camera.width, height=camera.height, matrix=camera.matrix
            )
            bag.write_body_pose(stamp, FIXED_FRAME, bodies.positions[index], bodies.rotations[index], bodies.tracked)
            bag.write_compressed(f"{Topics.image}/compressed", stamp, CAMERA_FRAME, recording.frame(index))


def main(argv: list[str] | None = None) -> int:
    """Runs the command; 0 done, 2 bad input, 130 interrupted."""
    options = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        print(convert(options))
    except EgoTwinError as error:
        print(f"egotwin data aria: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("egotwin data aria: interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
