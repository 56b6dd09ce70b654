"""The rooms' walls: who may import whom, no circles, one meaning for a name, tests that mirror the tree, no pickle."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from docs.imports import PACKAGES, Import, circle, entry_points, graph, imports, modules, room

ROOT = Path(__file__).resolve().parents[1]
ROS = {
    "rclpy", "egotwin_ros", "launch", "launch_ros", "action_msgs", "ament_index_python", "builtin_interfaces",
    "cv_bridge", "diagnostic_msgs", "geometry_msgs", "lifecycle_msgs", "nav_msgs", "rcl_interfaces", "rosgraph_msgs",
    "sensor_msgs", "std_msgs", "std_srvs", "tf2_ros", "trajectory_msgs", "unique_identifier_msgs", "visualization_msgs",
}  # fmt: skip
BESIDE = {"benchmarks", "docs", "examples", "tests"}
FORBIDDEN = {
    "egotwin_model": ROS | BESIDE | {"training"},
    "training": ROS | BESIDE,
    "egotwin_ros": BESIDE | {"training"},
}
PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FOLDERS = (*PACKAGES, "launch", "tests", "benchmarks", "docs", "examples")

# From the lowest to the highest: a room imports from rooms of lower levels, and from itself.
MODEL_ORDER = (
    {"errors"},
    {"latents"},
    {"geometry"},
    {"io", "drawing"},
    {"motion", "video"},
    {"diffusion"},
    {"runtimes"},
    {"depth", "text"},
    {"egotwin"},
    {"families"},
    {"cli"},
)
# What a room of training may import of the others.
TRAINING = {
    "actions": set(),
    "workers": set(),
    "datasets": {"actions", "workers"},
    "simulator": {"actions", "datasets", "workers"},
    "stages": {"datasets", "workers"},
    "export": {"stages"},
    "evaluation": {"actions", "datasets", "export", "stages", "workers"},
}
# The ROS package's modules stand below its nodes, and the job starts the nodes.
ROS_ROOMS = {"nodes": {""}, "job": {"", "nodes"}}
# Modules that several rooms may have, because they are the same thing in each.
SHARED_NAMES = {
    "base": "the interface that the kinds of a registry share",
    "command": "the room's main command: options and main()",
    "commands": "the commands that the room registers",
    "errors": "the room's named errors",
    "depth": "the estimation of depth in the model, and the stage that trains its network",
    "diffusion": "the diffusion of the model, and the stage that trains it",
    "latents": "what a VAE encodes to: its distribution and timing, and a cache of it on disk",
    "motion": "motion as the model represents it, the simulator makes it and a stage trains on it",
    "vae": "a variational autoencoder, of motion or of video",
}


def allowed(importer: str, imported: str) -> bool:
    """Whether one module of ours may import, or name in a string, another one."""
    (package, *inner), (other, *outer) = importer.split("."), imported.split(".")
    if package != other:
        return other == "egotwin_model"
    if not inner or not outer or inner[0] == outer[0]:
        return True  # a package's own __init__.py offers the names of its modules; a room imports itself
    if package == "egotwin_model":
        return level(inner[0]) > level(outer[0])
    if package == "training":
        return outer[0] in TRAINING[inner[0]]
    return not outer[1:] or outer[0] in ROS_ROOMS.get(inner[0], set())


def level(name: str) -> int:
    levels = [number for number, rooms in enumerate(MODEL_ORDER) if name in rooms]
    assert levels, f"egotwin_model.{name} is in no room of MODEL_ORDER; say where it belongs"
    return levels[0]


def started(each: Import) -> bool:
    """A name in a string that starts another process or command, which its own room lists."""
    names = {"egotwin_ros.commands", "egotwin_ros.bringup"}
    return each.how == "string" and each.importer in names and each.imported.startswith("egotwin_ros.")


def broken_walls(found: Iterable[Import]) -> list[str]:
    return [
        f"{each.importer}:{each.line} imports {each.imported} ({each.how})"
        for each in found
        if not allowed(each.importer, each.imported) and not started(each)
    ]


def unlike(names: Collection[str]) -> list[str]:
    """Modules and rooms of one last name in different places, without those that SHARED_NAMES explains."""
    places: dict[str, list[str]] = {}
    for name in names:
        if "." in name:
            places.setdefault(name.rsplit(".", 1)[1], []).append(name)
    return [
        f"{last}: {', '.join(where)}" for last, where in places.items() if len(where) > 1 and last not in SHARED_NAMES
    ]


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imported_packages(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Top-level package and line of every absolute import, wherever it stands, importlib's with a literal included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0], node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "importlib.import_module",
            "import_module",
            "__import__",
        }:
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


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_go_one_way(package: str) -> None:
    paths = files(package)
    assert paths, f"no modules in {package}/"
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for name, line in imported_packages(parse(path))
        if name in FORBIDDEN[package]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module")
def found() -> list[Import]:
    return graph()


def test_rooms_import_only_what_lies_below_them(found: list[Import]) -> None:
    assert {each.how for each in found} == {"module", "function", "type", "string"}
    assert not (wrong := broken_walls(found)), "\n".join(wrong)


def test_the_order_of_the_rooms_has_no_circle_and_names_every_room() -> None:
    tuple(TopologicalSorter(TRAINING).static_order())
    for package, named in (("egotwin_model", set().union(*MODEL_ORDER)), ("training", set(TRAINING))):
        there = {name.split(".")[1] for name in modules(ROOT, [package]) if "." in name}
        assert named == there, package
    assert not any("evaluation" in below for below in TRAINING.values())


def test_no_modules_import_each_other_in_a_circle(found: list[Import]) -> None:
    assert not (names := circle(found)), " → ".join(names)


def test_a_name_means_one_thing() -> None:
    names = modules()
    assert not (wrong := unlike(names)), "\n".join(wrong)
    lasts = [name.rsplit(".", 1)[-1] for name in names]
    assert {name for name in SHARED_NAMES if lasts.count(name) < 2} == set(), "explained, but of one place only"


def test_each_room_registers_its_own_commands_and_the_command_line_names_none(found: list[Import]) -> None:
    registered = {
        module
        for path in ("pyproject.toml", "training/pyproject.toml")
        for module, group in entry_points(ROOT / path).items()
        if group == "egotwin.commands"
    }
    assert registered == {name for name in modules() if name.endswith(".commands")}
    for each in found:
        if each.importer in registered and each.how == "string":
            owner = each.importer.removesuffix(".commands")
            assert each.imported.startswith(f"{owner}."), f"{each.importer} registers {each.imported}"
        assert each.importer != "egotwin_model.cli" or each.imported == "egotwin_model.errors", each


def test_packages_of_the_model_hold_only_their_docstring() -> None:
    packages = [path for path in files("egotwin_model") if path.name == "__init__.py"]
    packages.remove(ROOT / "egotwin_model/__init__.py")
    assert packages
    for path in packages:
        statements = parse(path).body
        assert len(statements) == 1, path
        assert isinstance(statements[0], ast.Expr), path


def test_tests_mirror_the_tree() -> None:
    tests = [path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")]
    homes = {path.parent for path in tests} - {Path()}
    assert not {home for home in homes if not (ROOT / home / "__init__.py").is_file()}, "no such room"
    rooms = {Path(*room(name).split(".")) for name in modules() if len(name.split(".")) > 2}
    tested = {Path(*home.parts[:2]) for home in homes}
    assert not rooms - tested - UNTESTED, "rooms without a folder of tests"


# Rooms without a folder of tests: each is tested where it is used.
UNTESTED = {Path("training/export")}


def test_nothing_is_pickled_or_run_by_a_shell() -> None:
    wrong = []
    for path in files(*FOLDERS):
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


@pytest.mark.parametrize(
    ("importer", "source", "imported"),
    [
        ("egotwin_model.runtimes.base", "from egotwin_model.egotwin.config import EgoTwinConfig", "egotwin.config"),
        ("egotwin_model.motion.vae", "def f():\n    from egotwin_model.video import vae", "video.vae"),
        ("egotwin_model.io.files", "if TYPE_CHECKING:\n    from egotwin_model import cli", "cli"),
        ("egotwin_model.cli", "NAMES = {'train': 'training.stages.command'}", "stages.command"),
        ("egotwin_model.cli", "line = f'training.export.command:{name}'", "export.command"),
        ("egotwin_ros.job.command", "run([python, '-m', 'training.stages.command'])", "stages.command"),
        ("egotwin_ros.nodes.imagine_node", "from egotwin_ros.job.film import Film", "job.film"),
        ("egotwin_ros.outputs", "from egotwin_ros.nodes import imagine_node", "nodes.imagine_node"),
        ("training.stages.trainer", "import training.evaluation.quick", "evaluation.quick"),
        ("training.export.command", "from training.datasets.mocap import segments", "datasets.mocap.segments"),
        ("training.datasets.clips.card", "from ...simulator import show", "simulator.show"),
        ("training.stages.command", "from training.simulator import show", "simulator.show"),
        ("training.actions.rules", "from training.workers.fanout import run", "workers.fanout"),
        ("training.simulator.generate", "run('python -m training.evaluation.tune --data x')", "evaluation.tune"),
    ],
)
def test_a_broken_wall_is_seen(importer: str, source: str, imported: str) -> None:
    known = {importer, "training", "egotwin_model", "egotwin_ros"}
    known |= {f"{package}.{imported}" for package in PACKAGES}
    found = [each for each in imports(importer, source, known) if each.imported.endswith(imported)]
    assert found
    assert len(broken_walls(found)) == len(found)


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("training.stages.trainer", '"""Docstrings name `training.evaluation.quick` freely."""'),
        ("training.evaluation.quick", "import training.stages.trainer"),
        ("egotwin_ros.bringup", "MODULE = 'egotwin_ros.nodes.imagine_node'"),
        ("egotwin_ros.job.film", "from egotwin_model.io.videos import write"),
        ("egotwin_model.egotwin.pipeline", "raise ModelError('use egotwin_model.families')"),
    ],
)
def test_what_is_allowed_is_not_seen_as_broken(importer: str, source: str) -> None:
    known = {importer, "training.evaluation.quick", "training.stages.trainer", "egotwin_ros.nodes.imagine_node"}
    assert not broken_walls(imports(importer, source, known | {"egotwin_model.io.videos"}))


@pytest.mark.parametrize(
    "sources",
    [
        {"a.py": "import egotwin_model.b", "b.py": "import egotwin_model.a"},
        {"a.py": "if TYPE_CHECKING:\n    import egotwin_model.b", "b.py": "from egotwin_model.a import A"},
        {"a.py": "def f():\n    from egotwin_model import b", "b.py": "from egotwin_model.a import A"},
        {"a.py": "import egotwin_model.r.c", "r/__init__.py": "from egotwin_model.a import A", "r/c.py": ""},
        {
            "r/__init__.py": "from egotwin_model.r.c import C",
            "r/c.py": "from egotwin_model.d import D",
            "d.py": "import egotwin_model.r",
        },
    ],
    ids=["plain", "types", "function", "through a package", "out of a package and back"],
)
def test_a_circle_is_seen(sources: dict[str, str], tmp_path: Path) -> None:
    package = tmp_path / "egotwin_model"
    for name, source in {"__init__.py": "", **sources}.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(source)
    assert circle(graph(tmp_path, ["egotwin_model"]))
    (package / "a.py").write_text("")
    (package / "d.py").write_text("")
    assert not circle(graph(tmp_path, ["egotwin_model"]))


def test_a_name_of_two_meanings_is_seen() -> None:
    assert unlike(["training.stages.store", "egotwin_model.io.store", "training.stages.errors"])
    assert unlike(["egotwin_model.geometry", "training.simulator.geometry"])
    assert not unlike(["training.stages.errors", "egotwin_model.errors", "training.stages.store"])


def test_entry_points_are_read() -> None:
    assert entry_points(ROOT / "pyproject.toml") == {
        "egotwin_model.cli": "scripts",
        "egotwin_ros.commands": "egotwin.commands",
    }
