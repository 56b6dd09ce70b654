"""The wheels: built from the source tree, installed where nothing else of ours is, they imagine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Ours, and what makes a ROS environment: left out of the fresh environment.
HIDDEN = re.compile(
    r"egotwin|__editable__|distutils-precedence|rclpy|rosidl|.*_msgs\b|launch|ros_|ament", re.IGNORECASE
)

IMAGINE = """
import pathlib
import sys
import numpy as np
import egotwin_model
from egotwin_model import EgoTwinPipeline, SceneMemory
from egotwin_model.egotwin.pipeline import BodyState
from egotwin_model.geometry.rotations import matrix_from_quaternion
from egotwin_model.io.bags import BagReader, Topics
from egotwin_model.io.share import share_folder

assert egotwin_model.__file__.startswith(sys.prefix), egotwin_model.__file__
assert str(share_folder()).startswith(sys.prefix), share_folder()
pipeline = EgoTwinPipeline.from_pretrained(share_folder() / "models/egotwin-mini")
with BagReader(share_folder() / "examples/bags/living_room.mcap") as bag:
    _, _, body = next(iter(bag.messages([Topics.body_pose])))
positions = np.array([[p.position.x, p.position.y, p.position.z] for p in body.poses])
quaternions = np.array([[p.orientation.x, p.orientation.y, p.orientation.z, p.orientation.w] for p in body.poses])
pose = BodyState(positions, matrix_from_quaternion(quaternions))
camera = pipeline.info.camera
image = np.full((camera.height, camera.width, 3), 127, np.uint8)
memory = SceneMemory()
memory.add(image, np.ones(image.shape[:2], np.float32), camera, np.eye(4))
assert (memory.render(camera, np.eye(4)[None]).visibility == 1.0).all()
assert not list(pathlib.Path.home().glob(".cache/egotwin/*")), "the scene memory's kernel came with the wheel"
motion = pipeline("turn left", image, pose, mode="motion", num_steps=2, seed=0).motion
assert np.isfinite(motion.positions).all()
np.testing.assert_allclose(motion.positions[0, 0], positions, atol=0.2)
print(*motion.positions.shape)
"""


def _source(folder: Path) -> Path:
    """A copy of what git would check out, without what earlier builds left in the tree."""
    ignore = shutil.ignore_patterns("__pycache__", ".*", "build", "install", "log", "out", "runs", "data", "*.egg-info")
    return shutil.copytree(ROOT, folder / "source", ignore=ignore)


def _run(folder: Path, *line: str | Path) -> subprocess.CompletedProcess[str]:
    """A process that sees nothing of this one's environment."""
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
    return subprocess.run(line, cwd=folder, env=clean, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both wheels, built without network."""
    folder = tmp_path_factory.mktemp("wheels")
    source = _source(folder)
    line = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", folder]
    done = _run(folder, *line, source, source / "training")
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.name.split("-")[0]: path for path in folder.glob("*.whl")}


@pytest.fixture(scope="module")
def fresh(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the robots' wheel, our third-party packages and no ROS."""
    folder = tmp_path_factory.mktemp("fresh")
    third_party = folder / "third_party"
    third_party.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not HIDDEN.match(path.name) and path.suffix != ".pth":
            (third_party / path.name).symlink_to(path)
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin/python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps"]
    done = _run(folder, *install, wheels["egotwin"])
    assert done.returncode == 0, done.stdout + done.stderr
    packages = next(environment.glob("lib/python3*/site-packages"))
    (packages / "third_party.pth").write_text(f"{third_party}\n")
    return python


@pytest.mark.slow
def test_the_robots_wheel_has_the_shared_files_and_no_training(wheels: dict[str, Path]) -> None:
    names = zipfile.ZipFile(wheels["egotwin"]).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"egotwin_model", "egotwin_ros"}
    for folder in ("models/egotwin-mini", "msg", "action", "config", "launch", "examples/bags"):
        files = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()}
        files = {path for path in files if "__pycache__" not in path.parts}
        assert files
        assert {f"egotwin_model/share/{path.as_posix()}" for path in files} <= set(names)
    assert not [name for name in names if "evaluators" in name or name.endswith(".pyc")]
    assert any(re.fullmatch(r"egotwin_model/geometry/_scene_memory\..*so", name) for name in names), "compiled part"
    for package in ("egotwin_model", "egotwin_ros"):
        assert {path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py")} <= set(names)


@pytest.mark.slow
def test_the_training_wheel_has_training_alone(wheels: dict[str, Path]) -> None:
    names = [name for name in zipfile.ZipFile(wheels["egotwin_training"]).namelist() if ".dist-info/" not in name]
    files = [path for path in (ROOT / "training").rglob("*") if path.is_file() and path.name != "pyproject.toml"]
    kept = {path.relative_to(ROOT).as_posix() for path in files if not {"__pycache__", "build"} & set(path.parts)}
    assert set(names) == kept


@pytest.mark.slow
def test_the_robots_wheel_imagines_in_python(fresh: Path, tmp_path: Path) -> None:
    done = _run(tmp_path, fresh, "-c", IMAGINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "81", "23", "3"]


@pytest.mark.slow
def test_the_robots_wheel_has_the_commands_of_ros_alone(fresh: Path, tmp_path: Path) -> None:
    done = _run(tmp_path, fresh.with_name("egotwin"), "--help")
    assert done.returncode == 0, done.stderr
    assert "egotwin imagine" in done.stdout
    done = _run(tmp_path, fresh.with_name("egotwin"), "train", "joint")
    assert done.returncode == 2
    assert "egotwin-training" in done.stderr


@pytest.mark.slow
def test_the_robots_wheel_imagines_from_the_command_line_without_ros(fresh: Path, tmp_path: Path) -> None:
    """The embedded recording and model: the three files, as the node's command writes them."""
    options = ["--goal", "turn left", "--steps", "2", "--seed", "0", "--out", str(tmp_path / "out")]
    done = _run(tmp_path, fresh.with_name("egotwin"), "imagine", *options)
    assert done.returncode == 0, done.stderr
    assert "without ROS (rclpy is not installed)" in done.stderr
    files = {path.name: path.stat().st_size for path in (tmp_path / "out").iterdir()}
    assert files.keys() == {"imagination.mcap", "imagination.mp4", "trajectory.png"}
    assert min(files.values()) > 1000
