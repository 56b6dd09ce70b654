"""The package as a whole: interfaces, pins, command line, install layout, repaired wheels."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import xml.etree.ElementTree as ET
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from egotwin_model import cli

ROOT = Path(__file__).resolve().parents[1]
INTERFACES = sorted([*ROOT.glob("msg/*.msg"), *ROOT.glob("action/*.action")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

try:
    from egotwin_ros import action, msg
except ImportError:
    action = msg = None

needs_interfaces = pytest.mark.skipif(msg is None, reason="the ROS interfaces are not built: make setup")


@pytest.mark.parametrize("path", INTERFACES, ids=lambda path: path.name)
def test_every_field_is_commented(path: Path) -> None:
    """A field or constant has a comment right above it, or belongs to a block of fields under one comment."""
    commented = False
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line == "---":
            commented = False
        elif line.startswith("#"):
            commented = True
        else:
            assert commented, f"{path.name}:{number}: no comment on {line!r}"


@needs_interfaces
def test_a_body_has_the_joints_of_the_skeleton() -> None:
    from egotwin_model.geometry.skeleton import NUM_JOINTS, XSENS_JOINTS

    assert len(msg.BodyPose().poses) == len(msg.BodyPose().tracked) == len(msg.BodyPoses().poses) == NUM_JOINTS
    documented = re.findall(r"(\d+) ([A-Z]\w+)", (ROOT / "msg/BodyPose.msg").read_text().split("# stamp")[0])
    assert [(int(index), name) for index, name in documented[:NUM_JOINTS]] == list(enumerate(XSENS_JOINTS))


@needs_interfaces
def test_error_codes_are_numbered_without_gaps() -> None:
    text = (ROOT / "action/Imagine.action").read_text().split("---")[1]
    codes = {name: int(number) for name, number in re.findall(r"^uint16 (\w+) = (\d+)$", text, re.MULTILINE)}
    assert sorted(codes.values()) == list(range(len(codes)))
    assert {name: getattr(action.Imagine.Result, name) for name in codes} == codes


def test_dependencies_are_pinned_and_locked_to_the_same_versions() -> None:
    lock = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
    lock = {name.lower().replace("_", "-"): version for name, version in lock.items()}
    requirements = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    for requirement in requirements:
        name, separator, version = requirement.partition("==")
        assert separator, f"{requirement} is not pinned"
        if name != "tensorrt":  # for GPUs; not installed by make
            assert lock.get(name.lower().replace("_", "-")) == version, f"{name}: pyproject and lock differ; make lock"


def test_package_xml_agrees_with_pyproject() -> None:
    package = ET.parse(ROOT / "package.xml").getroot()
    assert package.findtext("name") == "egotwin_ros"
    assert package.findtext("version") == PROJECT["version"]
    assert package.findtext("license") == PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_a_module_that_exists(name: str) -> None:
    assert importlib.util.find_spec(cli.COMMANDS[name].module) is not None
    assert cli.COMMANDS[name].extra in PROJECT["optional-dependencies"]


def test_command_line_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dream"]) == 2
    message = capsys.readouterr().err
    assert "'dream'" in message
    assert all(name in message for name in cli.COMMANDS)
    assert cli.main(["--help"]) == 0
    assert cli.main([]) == 2


def test_two_word_commands_win_over_one_word_ones() -> None:
    assert cli.find(["data", "world", "--out", "x"]) == ("data world", ["--out", "x"])
    assert cli.find(["imagine", "--goal", "x"]) == ("imagine", ["--goal", "x"])
    assert cli.find(["data"]) is None


def test_missing_library_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "needs_more.py").write_text("import a_library_nobody_has\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(cli.COMMANDS, "more", cli.Command("needs_more", "needs more", "world"))
    assert cli.main(["more"]) == 3
    assert "a_library_nobody_has" in (message := capsys.readouterr().err)
    assert "egotwin[world]" in message


def test_bad_input_of_a_command_is_an_exit_status_not_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "refuses.py").write_text(
        "from egotwin_model.errors import GoalError\ndef main(argv):\n    raise GoalError(f'goal {argv[0]!r}')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(cli.COMMANDS, "refuse", cli.Command("refuses", "refuses", "ros"))
    assert cli.main(["refuse", "fly"]) == 2
    assert "GoalError: goal 'fly'" in capsys.readouterr().err


def test_wheel_repair_points_at_this_python(tmp_path: Path) -> None:
    from egotwin_ros.wheels import repair

    export = tmp_path / "share/some_msgs/cmake/export_some_msgs__rosidl_generator_pyExport.cmake"
    export.parent.mkdir(parents=True)
    python = "/opt/python/cp311-cp311"
    headers = f"{python}/include/python3.11;{python}/lib/python3.11/site-packages/numpy/_core/include"
    export.write_text(f'  INTERFACE_INCLUDE_DIRECTORIES "{headers}"\n')
    assert repair(tmp_path) == [export]
    assert export.read_text() == (
        f'  INTERFACE_INCLUDE_DIRECTORIES "{sysconfig.get_path("include")};{np.get_include()}"\n'
    )
    assert repair(tmp_path) == []
    assert list(export.parent.iterdir()) == [export]


def _cmake() -> str | None:
    beside = Path(sys.executable).with_name("cmake")
    return str(beside) if beside.exists() else shutil.which("cmake")


@pytest.mark.slow
@pytest.mark.skipif(
    msg is None or not (Path(sys.prefix) / "share/ament_cmake").is_dir() or _cmake() is None,
    reason="needs the ROS build tools of `make setup` in this environment",
)
def test_stock_install_has_everything(tmp_path: Path) -> None:
    """`cmake --install`, as colcon calls it, into an empty prefix: modules, executables, launch files, config."""
    source, prefix, build = tmp_path / "source", tmp_path / "prefix", tmp_path / "build"
    # From a copy: CMake refuses to export header paths below the source folder, and .venv may lie there.
    ignore = shutil.ignore_patterns("__pycache__", ".*", "build", "install", "log", "out", "runs", "data", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=ignore)
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "AMENT_PREFIX_PATH": sys.prefix}

    def run(*arguments: str) -> None:
        done = subprocess.run([_cmake(), *arguments], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run(
        "-S", str(source), "-B", str(build), "-G", "Ninja", f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DBUILD_TESTING=OFF",
        f"-DCMAKE_PREFIX_PATH={sys.prefix}", f"-DPython3_EXECUTABLE={sys.executable}",
    )  # fmt: skip
    run("--build", str(build))
    run("--install", str(build))
    share, library = prefix / "share/egotwin_ros", prefix / "lib/egotwin_ros"
    assert {path.name for path in library.iterdir()} == {"imagine", "replay"}
    assert {path.name for path in (share / "launch").iterdir()} == {path.name for path in ROOT.glob("launch/*.py")}
    for folder in ("config", "models", "examples"):
        wanted = {path.relative_to(source) for path in (source / folder).rglob("*") if path.is_file()}
        assert not {path for path in wanted if not (share / path).is_file()}
    modules = next(prefix.glob("l*/python3*/site-packages"))
    for package in ("egotwin_ros", "egotwin_model", "training"):
        for module in (source / package).rglob("*.py"):
            assert (modules / module.relative_to(source)).is_file()
    assert "extend_path" in (modules / "egotwin_ros/__init__.py").read_text()
    assert (modules / "egotwin_ros/msg/_body_pose.py").is_file()
    for interface in INTERFACES:
        assert (share / interface.relative_to(ROOT)).is_file()
