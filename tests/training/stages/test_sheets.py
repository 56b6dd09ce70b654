"""Sample sheets: what they show of a body whose frame is tilted with its head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ...shared_data import missing_extra

pytest.importorskip("accelerate", reason=missing_extra("train"))

from egotwin_model.drawing.limbs import LEFT, RIGHT
from egotwin_model.geometry.skeleton import HEAD, forward_kinematics, reference_offsets
from egotwin_model.motion.representation import BodyMotion
from training.stages.sheets import BODY_SIDE, SHOWN_POSES, Sample, body_images, save_sheet


def standing(poses: int = 21, head_down_deg: float = 0.0, at: tuple[float, float] = (0.0, 0.0)) -> BodyMotion:
    """A body in T-pose with a bent head, in the frame of its first head pose."""
    rotations = np.tile(np.eye(3), (poses, 23, 1, 1))
    rotations[:, HEAD] = Rotation.from_euler("y", head_down_deg, degrees=True).as_matrix()
    positions = forward_kinematics(np.tile([*at, 0.93], (poses, 1)), rotations, reference_offsets())
    motion = BodyMotion(positions, rotations, positions[:, HEAD], rotations[:, HEAD])
    return motion.relative_to_first_head()


def where(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(N, 2) rows and columns of pixels of about that colour."""
    found = np.argwhere(np.abs(image.astype(int) - colour).sum(axis=-1) < 60)
    assert len(found) > 20
    return found


@pytest.mark.parametrize("head_down_deg", [0.0, 60.0])
def test_bodies_stand_upright_however_the_first_head_was_bent(head_down_deg: float) -> None:
    motion = standing(head_down_deg=head_down_deg)
    images = body_images(motion, motion)
    assert list(images) == [0, 7, 13, 20]
    assert len(images) == SHOWN_POSES
    for image in images.values():
        assert image.shape == (BODY_SIDE, BODY_SIDE, 3)
        left, right = where(image, LEFT), where(image, RIGHT)
        assert left[:, 1].mean() < right[:, 1].mean()
        assert np.ptp(np.concatenate([left, right])[:, 0]) > BODY_SIDE / 3  # from shoulders to toes


def test_the_true_body_is_grey_beside_the_imagined_one() -> None:
    motion = standing()
    other = replace(motion, positions=motion.positions + np.array([0.0, -0.8, 0.0]))
    image, alone = body_images(motion, other)[20], body_images(motion, motion)[20]
    changed = image[(image != alone).any(axis=-1)].astype(int)
    assert len(changed) > 100
    assert np.median(np.ptp(changed, axis=-1)) < 40  # grey


def test_a_sheet_has_a_row_for_each_sample_with_or_without_motion(tmp_path: Path) -> None:
    frames = np.full((9, 16, 16, 3), 200, np.uint8)
    rows = [Sample("walk", frames, frames, standing(), standing()), Sample("look", frames, frames, None, None)]
    for count in (1, 2):
        save_sheet(tmp_path / f"{count}.png", rows[:count])
    one, two = (cv2.imread(str(tmp_path / f"{count}.png")) for count in (1, 2))
    assert one is not None
    assert two is not None
    assert two.shape == (2 * one.shape[0], one.shape[1], 3)
    dark = (two.astype(int).sum(axis=-1) < 150).sum(axis=1)  # the background of the bodies
    assert dark[: len(two) // 2].sum() > 20 * dark[len(two) // 2 :].sum()
