"""ROS's own ``launch`` for the tests: the installed one, or source checkouts where ROS comes from wheels.

| variable            | folder                                                                        |
|---------------------|-------------------------------------------------------------------------------|
| EGOTWIN_ROS_SOURCES | checkouts of the GitHub repositories `REPOSITORIES`, in folders of their names |

All of it is Python; nothing is built. What ROS implements in C++ (``tf2_ros``, ``cv_bridge``) cannot be had this way:
its tests run where it is installed, as in .github/workflows/stock-ros.yml.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from egotwin_ros import bringup

REPOSITORIES = ("ros2/launch", "ros2/launch_ros", "ros2/ros2cli", "osrf/osrf_pycommon", "ros2/rcl_interfaces")
_MODULES = ("launch", "launch_ros", "ros2launch", "ros2cli", "osrf_pycommon")
_SERVICES = ("LoadNode", "UnloadNode", "ListNodes")  # of composition_interfaces, which launch_ros imports

LAUNCH = """
import sys
from ros2launch.api import api

path, *arguments = sys.argv[1:]
if "--show-args" in arguments:
    sys.exit(api.print_arguments_of_launch_file(launch_file_path=path))
sys.exit(api.launch_a_launch_file(launch_file_path=path, launch_file_arguments=arguments, noninteractive=True))
"""
"""What ``ros2 launch FILE`` runs."""


def installed(*modules: str) -> bool:
    """Whether these are installed; a folder without ``__init__.py``, as our launch/ is, is no module."""
    specs = [importlib.util.find_spec(name) for name in modules]
    return all(spec is not None and spec.origin is not None for spec in specs)


def launch_environment(folder: Path) -> dict[str, str]:
    """Environment variables with which a Python process imports ``launch``, ``launch_ros`` and ``ros2launch``.

    Skips the test where they are neither installed nor in EGOTWIN_ROS_SOURCES.

    Args:
        folder: for generated modules.
    """
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "ROS_LOG_DIR": str(folder / "log")}
    environment.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    if installed(*_MODULES[:4]):
        return environment
    repositories = ", ".join(REPOSITORIES)
    if not (sources := os.environ.get("EGOTWIN_ROS_SOURCES")):
        pytest.skip(
            "ROS's launch, launch_ros and ros2cli are not installed: set EGOTWIN_ROS_SOURCES to a folder with "
            f"checkouts of {repositories}"
        )
    roots = [_root(Path(sources), name) for name in _MODULES]
    generated = folder / "generated"
    _generate(_root(Path(sources), "composition_interfaces", "package.xml"), generated)
    paths = [*map(str, roots), str(generated), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}


def _root(sources: Path, name: str, file: str = "__init__.py") -> Path:
    """The ROS package's folder, which holds its Python package of the same name."""
    found = [path for path in sorted(sources.rglob(f"{name}/{file}")) if (path.parent.parent / "setup.py").is_file()]
    if file == "package.xml":
        return next(path.parent for path in sources.rglob(f"{name}/{file}"))
    assert found, f"EGOTWIN_ROS_SOURCES={sources} has no package {name}; wanted checkouts of {', '.join(REPOSITORIES)}"
    return found[0].parent.parent


def _generate(package: Path, out: Path) -> None:
    """The Python modules of an interface package, by ROS's own generator; enough to import them."""
    from rosidl_generator_py.cli import GeneratePython

    target = out / package.name
    target.mkdir(parents=True)
    files = [f"{package}:srv/{name}.srv" for name in _SERVICES]
    share = Path(sys.prefix) / "share"
    GeneratePython("py").generate(package.name, files, [share], target)


def launch(path: Path, *arguments: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """``ros2 launch PATH ARGUMENTS`` in a session of its own, its output in one stream."""
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(path), *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def require_executables() -> None:
    """Skips the test where ament finds no executables of the package, as in a tree that was never installed."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", sys.prefix).split(os.pathsep)
    if not any((Path(prefix) / "lib" / bringup.PACKAGE / "imagine").is_file() for prefix in prefixes):
        pytest.skip(f"{bringup.PACKAGE} is not installed: make setup, or build and source its workspace")
