"""The rooms' walls: imports go one way (egotwin_ros → egotwin_model ← training), and nothing is unpickled."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROS = {
    "rclpy",
    "egotwin_ros",
    "launch",
    "launch_ros",
    "sensor_msgs",
    "geometry_msgs",
    "nav_msgs",
    "std_msgs",
    "tf2_ros",
}
FORBIDDEN = {
    "egotwin_model": ROS | {"training"},
    "training": ROS,
    "egotwin_ros": {"training"},
}
PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FOLDERS = ("egotwin_model", "egotwin_ros", "training", "launch", "tests", "benchmarks", "examples")


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_packages(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Top-level package and line of every absolute import, wherever it stands, importlib's with a literal included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0], node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"importlib.import_module", "__import__"}:
            yield from ((str(a.value).split(".")[0], node.lineno) for a in node.args[:1] if isinstance(a, ast.Constant))


def unpickling(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Calls that can unpickle (torch.load, allow_pickle) or hand a line to a shell."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        tensors_only = any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)
        if ast.unparse(node.func) in {"torch.load", "torch.save"} and not tensors_only:
            yield ast.unparse(node.func), node.lineno
        for keyword in node.keywords:
            on = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg in {"allow_pickle", "shell"} and not on:
                yield f"{keyword.arg}={ast.unparse(keyword.value)}", node.lineno


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_go_one_way(room: str) -> None:
    paths = modules(room)
    assert paths, f"no modules in {room}/"
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {package}"
        for path in paths
        for package, line in imported_packages(parse(path))
        if package in FORBIDDEN[room]
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_is_pickled_or_run_by_a_shell() -> None:
    wrong = []
    for path in modules(*FOLDERS):
        tree = parse(path)
        wrong += [
            f"{path.relative_to(ROOT)}:{line} imports {p}" for p, line in imported_packages(tree) if p in PICKLERS
        ]
        wrong += [f"{path.relative_to(ROOT)}:{line} {what}" for what, line in unpickling(tree)]
    assert not wrong, "\n".join(wrong)


def test_launch_is_no_package() -> None:
    """An __init__.py would hide ROS's own `launch` from everything run in the source tree."""
    assert not (ROOT / "launch" / "__init__.py").exists()


@pytest.mark.parametrize(
    ("source", "finder", "found"),
    [
        ("def f():\n    import rclpy.node", imported_packages, "rclpy"),
        ("from egotwin_ros.msg import BodyPose", imported_packages, "egotwin_ros"),
        ("import importlib\nimportlib.import_module('training.data')", imported_packages, "training"),
        ("torch.load(path)", unpickling, "torch.load"),
        ("torch.load(path, weights_only=False)", unpickling, "torch.load"),
        ("np.load(path, allow_pickle=True)", unpickling, "allow_pickle=True"),
        ("subprocess.run(line, shell=True)", unpickling, "shell=True"),
    ],
)
def test_the_walls_would_be_seen_broken(source: str, finder, found: str) -> None:
    assert found in [name for name, _ in finder(ast.parse(source))]
