"""What the code imports is what the distributions declare, in ranges, with the tested versions locked."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTIONS = {
    project["name"]: project
    for project in (
        tomllib.loads((ROOT / path).read_text())["project"] for path in ("pyproject.toml", "training/pyproject.toml")
    )
}
OURS = {"egotwin_model", "egotwin_ros", "training"}
# Room → its distribution and the extras that its modules may need.
ROOMS = {
    "egotwin_model": ("egotwin", {"paper", "tensorrt"}),
    "egotwin_ros": ("egotwin", {"ros"}),
    "training/actions": ("egotwin-training", set()),
    "training/simulator": ("egotwin-training", {"world", "photographs"}),
    "training/datasets": ("egotwin-training", {"world", "train", "aria"}),
    "training/stages": ("egotwin-training", {"train"}),
    "training/evaluation": ("egotwin-training", {"train"}),
    "training/export": ("egotwin-training", {"train"}),
    "training/workers": ("egotwin-training", {"ray"}),
}
# Import name → distribution, for what is not installed everywhere.
NOT_INSTALLED = {
    "tensorrt": "tensorrt",
    "ray": "ray",
    "projectaria_tools": "projectaria-tools",
    "openvino": "openvino",
    "OpenEXR": "OpenEXR",
}


def third_party(source: str) -> Iterator[str]:
    """Top-level packages that a module imports, ours and Python's own left out."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"importlib.import_module", "import_module"}:
            names = [a.value for a in node.args[:1] if isinstance(a, ast.Constant)]
        packages = {name.split(".")[0] for name in names}
        yield from packages - OURS - sys.stdlib_module_names


def undeclared(imports: set[str], requirements: list[str], *, ros: set[str] = frozenset()) -> set[str]:
    """Imported packages that no requirement, and no ROS package of package.xml, brings."""
    declared = {canonicalize_name(Requirement(line).name) for line in requirements}
    # What ROS's wheels bring (messages of one package in the wheel of another) is declared in package.xml as well.
    installed = packages_distributions()
    missing = set()
    for name in imports - ros:
        homes = {canonicalize_name(home) for home in installed.get(name, [NOT_INSTALLED.get(name, name)])}
        if not homes & declared:
            missing.add(name)
    return missing


def ros_packages() -> set[str]:
    package = ET.parse(ROOT / "package.xml").getroot()
    return {str(tag.text) for kind in ("depend", "exec_depend") for tag in package.iter(kind)}


@pytest.mark.parametrize("room", ROOMS)
def test_every_third_party_import_is_declared(room: str) -> None:
    name, extras = ROOMS[room]
    project = DISTRIBUTIONS[name]
    requirements = [*project["dependencies"], *chain(*(project["optional-dependencies"][extra] for extra in extras))]
    imports = {found for path in (ROOT / room).rglob("*.py") for found in third_party(path.read_text())}
    assert imports or room == "training/workers"
    ros = ros_packages() if room == "egotwin_ros" else set()
    assert not undeclared(imports, requirements, ros=ros), f"declare them in the pyproject.toml of {name}"


def test_every_room_is_checked() -> None:
    rooms = {path.parent.name for path in (ROOT / "training").glob("*/__init__.py")}
    assert {room.removeprefix("training/") for room in ROOMS if room.startswith("training/")} == rooms


def test_an_undeclared_import_is_seen() -> None:
    source = "import os\nfrom PIL import Image\ndef f():\n    import cv2.aruco\n    import_module('torch.fx')\n"
    assert set(third_party(source)) == {"PIL", "cv2", "torch"}
    assert undeclared({"PIL", "cv2", "torch"}, ["opencv-python-headless>=4", "torch"]) == {"PIL"}
    assert undeclared({"rclpy"}, [], ros={"rclpy"}) == set()


@pytest.mark.parametrize("project", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
def test_dependencies_are_bounded_ranges_and_locked_within_them(project: dict) -> None:
    lock = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
    lock = {canonicalize_name(name): version for name, version in lock.items()}
    for line in chain(project["dependencies"], *project["optional-dependencies"].values()):
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators & {">=", "=="}, f"{line} has no lower bound"
        if name in DISTRIBUTIONS:
            assert requirement.specifier.contains(DISTRIBUTIONS[name]["version"])
        elif name not in ("tensorrt", "openexr"):  # for GPUs, and to remake photographs; not installed by make
            assert name in lock, f"{name} is not locked; make lock"
            assert requirement.specifier.contains(lock[name]), f"{name}: pyproject and lock differ; make lock"


def test_one_requirement_has_one_range() -> None:
    """A package that several extras or both distributions need is asked for in the same versions."""
    ranges: dict[str, set[str]] = {}
    for project in DISTRIBUTIONS.values():
        for line in chain(project["dependencies"], *project["optional-dependencies"].values()):
            ranges.setdefault(canonicalize_name(Requirement(line).name), set()).add(line)
    assert not {name: lines for name, lines in ranges.items() if len(lines) > 1}


def test_the_two_distributions_agree() -> None:
    first, second = DISTRIBUTIONS.values()
    for field in ("version", "license", "requires-python"):
        assert first[field] == second[field]


def test_the_lock_pins_exactly() -> None:
    lines = (ROOT / "requirements.lock").read_text().split()
    assert lines
    assert not [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!+]+", line)]
