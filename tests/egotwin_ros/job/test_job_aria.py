"""The whole job on real recordings: Project Aria glasses' video becomes a bag, the node imagines from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from egotwin_model.io.bags import BagReader

from ...shared_data import ARIA, missing_extra, needs_shared

pytest.importorskip("projectaria_tools", reason=missing_extra("aria"))

ADT, AEA = ARIA / "aria_digital_twin_test_data", ARIA / "aria_everyday_activities_test_data"
WITH_BODY = (ADT / "video.vrs", "--trajectory", ADT / "aria_trajectory.csv", "--skeleton", ADT / "Skeleton_T.json")
VIDEO_ONLY = (AEA / "recording.vrs",)

pytestmark = [
    pytest.mark.ros,
    needs_shared("data/aria/aria_digital_twin_test_data"),
]


def egotwin(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a command of the command line as a user does."""
    line = [sys.executable, "-m", "egotwin_model.cli", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=500, check=False)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("recording", "images"), [(WITH_BODY, 3), (VIDEO_ONLY, 8)], ids=["with body", "video only"])
def test_real_recording_is_imagined_on(recording, images, model_folder, tmp_path):
    bag, out = tmp_path / "real.mcap", tmp_path / "out"
    made = egotwin("data", "aria", *recording, "--out", bag)
    assert made.returncode == 0, made.stderr
    assert f"{images} images of 256x256" in made.stdout
    options = ("--model", model_folder, "--runtime", "torch", "--steps", 2, "--horizon", 2, "--seed", 3)
    done = egotwin("imagine", "--bag", bag, "--goal", "walk forward", "--out", out, *options)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["imagination.mcap", "imagination.mp4", "trajectory.png"]
    check_imagination(out / "imagination.mcap", bag)
    with av.open(str(out / "imagination.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) > 16 * 2
    assert frames[0].std() > 10
    assert cv2.imread(str(out / "trajectory.png")).std() > 10


def check_imagination(path: Path, source: Path) -> None:
    """Imagined from an image of the source (a busy node may not have its last one yet) and the wearer's body there."""
    with BagReader(source) as bag:
        bodies = {stamp: body for _, stamp, body in bag.messages(["/body_pose"])}
    with BagReader(path) as bag:
        ((_, _, imagined),) = bag.messages(["/imagine/imagination"])
        stamps = [at for _, at, _ in bag.messages(["/imagine/predicted/image"])]
    stamp = imagined.source_stamp.sec * 10**9 + imagined.source_stamp.nanosec
    body = bodies[stamp]
    assert imagined.header.frame_id == "map"
    assert stamps == [stamp + k * 125_000_000 for k in range(17)]
    first = imagined.body_trajectory.points[0].poses
    apart = [np.subtract((p.position.x, p.position.y, p.position.z), (q.position.x, q.position.y, q.position.z))
             for p, q in zip(first, body.poses, strict=True)]  # fmt: skip
    assert np.linalg.norm(apart[6]) < 0.05  # the head starts where it is
