"""Whether joints can be those of a person who stands, walks, bends or crouches. z up, metres; the Xsens skeleton."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import PoseError
from egotwin_model.geometry.rotations import unit
from egotwin_model.geometry.skeleton import ANKLES, HEAD, PELVIS, XSENS_JOINTS, XSENS_PARENTS

BODY_M = (1.0, 2.6)  # from the head down the spine and a leg to the ankle: a small child, and more than any adult
LYING = 0.35  # cosine to the vertical, at least, of the trunk or of the line from the ankles to the pelvis
MAX_MPS = 15.0  # of head and pelvis; the fastest sprinters reach 12


def check_body(positions: NDArray[np.floating]) -> None:
    """Refuses only what no person on a floor can be; a crouch or a deep bend passes.

    Args:
        positions: (..., 23, 3), world frame with z up.

    Raises:
        PoseError: not human-sized, upside down, or lying.
    """
    bones = np.linalg.norm(positions[..., 1:, :] - positions[..., XSENS_PARENTS[1:], :], axis=-1)
    lengths = dict(zip(XSENS_JOINTS[1:], np.moveaxis(bones, -1, 0), strict=True))
    spine = sum(lengths[name] for name in XSENS_JOINTS[1 : HEAD + 1])
    leg = (lengths["L_LowerLeg"] + lengths["L_Foot"] + lengths["R_LowerLeg"] + lengths["R_Foot"]) / 2
    size = np.asarray(spine + leg)
    if (size < BODY_M[0]).any() or (size > BODY_M[1]).any():
        raise PoseError(
            f"the body measures {size.min():.2f} to {size.max():.2f} m from ankle to head along its bones, wanted "
            f"{BODY_M[0]} to {BODY_M[1]} m; positions are in metres"
        )
    ankles = positions[..., list(ANKLES), :].mean(axis=-2)
    trunk = unit(positions[..., HEAD, :] - positions[..., PELVIS, :])[..., 2]
    legs = unit(positions[..., PELVIS, :] - ankles)[..., 2]
    highest = np.maximum(trunk, legs)  # of both: a bent trunk has legs under it, stretched legs a trunk above them
    if (highest < LYING).any():
        what, tilt = "is upside down" if highest.min() < -LYING else "lies", np.degrees(np.arccos(highest.min()))
        raise PoseError(
            f"the body {what}: trunk and legs are tilted by {tilt:.0f} degrees or more; wanted a person on their feet "
            "or knees, in a world frame with z up"
        )


def check_motion(positions: NDArray[np.floating], rate_hz: float) -> None:
    """`check_body` of every pose (T, 23, 3), and that head and pelvis do not jump.

    Raises:
        PoseError: an impossible pose, or a joint faster than 15 m/s.
    """
    check_body(positions)
    steps = np.diff(positions[:, [PELVIS, HEAD]], axis=0)
    speed = float(np.linalg.norm(steps, axis=-1).max(initial=0.0)) * rate_hz
    if speed > MAX_MPS:
        raise PoseError(
            f"the body jumps: {speed:.0f} m/s between two poses at {rate_hz:g} Hz, at most {MAX_MPS:g} m/s is human; "
            "send one track without resets"
        )
