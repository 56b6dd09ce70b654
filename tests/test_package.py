"""The package as a whole: interfaces, command line, install layout, repaired wheels."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import xml.etree.ElementTree as ET
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from egotwin_model import cli

from .shared_data import missing_extra

ROOT = Path(__file__).resolve().parents[1]
INTERFACES = sorted([*ROOT.glob("msg/*.msg"), *ROOT.glob("action/*.action")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TRAINING = tomllib.loads((ROOT / "training/pyproject.toml").read_text())["project"]
DISTRIBUTIONS = {project["name"]: project for project in (PROJECT, TRAINING)}
COMMANDS, FAILURES = cli.commands()

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


def test_package_xml_agrees_with_pyproject() -> None:
    package = ET.parse(ROOT / "package.xml").getroot()
    assert package.findtext("name") == "egotwin_ros"
    assert package.findtext("version") == PROJECT["version"]
    assert package.findtext("license") == PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_every_room_that_registers_commands_is_installed() -> None:
    """What pip recorded at installation is what the pyproject files say; after a change of them: make setup."""
    declared = [project["entry-points"][cli.GROUP] for project in DISTRIBUTIONS.values()]
    assert {room.name: room.value for room in cli.rooms()} == {
        name: value for d in declared for name, value in d.items()
    }
    assert not FAILURES


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_module_that_exists(name: str) -> None:
    assert importlib.util.find_spec(COMMANDS[name].module) is not None
    requirement = Requirement(COMMANDS[name].requirement)
    assert requirement.extras
    assert requirement.extras <= DISTRIBUTIONS[requirement.name]["optional-dependencies"].keys()


def test_listing_commands_imports_none_of_their_libraries() -> None:
    code = "import sys; from egotwin_model import cli; cli.main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)
    assert not {"torch", "numpy", "rclpy", "mujoco", "cv2"} & set(done.stderr.split())


def _installed(folder: Path, name: str, entries: dict[str, str]) -> None:
    """Metadata of a distribution in a folder of the import path, as pip writes it."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{room} = {value}" for room, value in entries.items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{cli.GROUP}]", *lines, ""]))


def _room(folder: Path, name: str, *commands: cli.Command) -> None:
    (folder / f"{name}.py").write_text(f"from egotwin_model.cli import Command\nCOMMANDS = {commands!r}\n")


def test_a_room_adds_commands_by_being_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = cli.Command("juggle", "juggling", "juggle", "egotwin[ros]")
    _room(tmp_path, "room_of_jugglers", command)
    _installed(tmp_path, "jugglers", {"jugglers": "room_of_jugglers:COMMANDS"})
    assert "juggle" not in cli.commands()[0]
    monkeypatch.syspath_prepend(str(tmp_path))
    assert cli.commands()[0]["juggle"] == command
    assert cli.find(["juggle", "--balls", "3"]) == (command, ["--balls", "3"])


def test_a_registered_room_that_is_missing_is_named_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _installed(tmp_path, "half", {"half": "a_room_nobody_has.commands:COMMANDS"})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert cli.commands()[0] == COMMANDS
    assert cli.main(["half"]) == 2
    message = capsys.readouterr().err
    assert "'half'" in message
    assert "a_room_nobody_has" in message


def test_a_command_without_its_room_names_the_distribution(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = [room for room in cli.rooms() if room.name == "ros"]
    monkeypatch.setattr(cli, "rooms", lambda: ours)
    assert cli.main(["train", "joint"]) == 2
    assert "egotwin-training" in capsys.readouterr().err
    monkeypatch.setattr(cli, "rooms", list)
    assert cli.main(["imagine"]) == 2
    assert "no commands are registered" in capsys.readouterr().err


def test_two_rooms_cannot_register_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _room(tmp_path, "room_of_dreamers", cli.Command("imagine", "dreaming", "dream", "egotwin[ros]"))
    _installed(tmp_path, "dreamers", {"dreamers": "room_of_dreamers:COMMANDS"})
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="'imagine'"):
        cli.commands()


def test_a_room_installed_twice_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's and colcon's metadata may lie on one path."""
    _installed(tmp_path, "again", {room.name: room.value for room in cli.rooms()})
    before = cli.rooms()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [room.value for room in cli.rooms()] == [room.value for room in before]


def test_command_line_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dream"]) == 2
    message = capsys.readouterr().err
    assert "'dream'" in message
    assert all(name in message for name in COMMANDS)
    assert cli.main(["--help"]) == 0
    assert cli.main([]) == 2


def test_two_word_commands_win_over_one_word_ones() -> None:
    assert cli.find(["data", "world", "--out", "x"]) == (COMMANDS["data world"], ["--out", "x"])
    assert cli.find(["imagine", "--goal", "x"]) == (COMMANDS["imagine"], ["--goal", "x"])
    assert cli.find(["data"]) is None


def test_missing_library_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "needs_more.py").write_text("import a_library_nobody_has\n")
    _room(tmp_path, "more_room", cli.Command("more", "needs_more", "needs more", "egotwin-training[world]"))
    _installed(tmp_path, "more", {"more": "more_room:COMMANDS"})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert cli.main(["more"]) == 3
    assert "a_library_nobody_has" in (message := capsys.readouterr().err)
    assert "egotwin-training[world]" in message


def test_bad_input_of_a_command_is_an_exit_status_not_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "refuses.py").write_text(
        "from egotwin_model.errors import GoalError\ndef main(argv):\n    raise GoalError(f'goal {argv[0]!r}')\n"
    )
    _room(tmp_path, "refusing_room", cli.Command("refuse", "refuses", "refuses", "egotwin[ros]"))
    _installed(tmp_path, "refusing", {"refusing": "refusing_room:COMMANDS"})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert cli.main(["refuse", "fly"]) == 2
    assert "GoalError: goal 'fly'" in capsys.readouterr().err


def test_continuous_integration_runs_the_one_command() -> None:
    yaml = pytest.importorskip("yaml", reason=missing_extra("ros"))
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = workflow["jobs"]["tests"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    versions = [step["with"]["python-version"] for step in steps if "setup-python" in step.get("uses", "")]
    assert versions == ["3.11"]
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert "make test" in (ROOT / ".ci/run").read_text()


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
    listed = {
        (entry.name, entry.value)
        for found in distributions(path=[str(modules)])
        for entry in found.entry_points
        if entry.group == cli.GROUP
    }
    assert {room for room, _ in listed} == {room.name for room in cli.rooms()}
    assert (modules / "egotwin_model/geometry/_scene_memory.so").is_file(), "the scene memory's compiled part"
    assert "extend_path" in (modules / "egotwin_ros/__init__.py").read_text()
    assert (modules / "egotwin_ros/msg/_body_pose.py").is_file()
    for interface in INTERFACES:
        assert (share / interface.relative_to(ROOT)).is_file()
