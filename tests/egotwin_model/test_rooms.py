"""The rooms of egotwin_model: each imports only from itself and from rooms below it, and no module imports itself."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "egotwin_model"
ORDER = (
    {"errors"},
    {"latents"},
    {"geometry"},
    {"io"},
    {"motion", "video"},
    {"diffusion"},
    {"runtimes"},
    {"text"},
    {"egotwin"},
    {"families"},
    {"cli", ""},  # "" is egotwin_model/__init__.py
)
"""From the lowest room up; rooms of one level do not import each other."""


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {module_name(path): path for path in (ROOT / PACKAGE).rglob("*.py")}


def imports(source: str) -> set[str]:
    """Modules of this package that a module names in any import, in functions and for type checking included."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return {name for name in found if name.split(".")[0] == PACKAGE}


def level(module: str) -> int:
    room = module.removeprefix(PACKAGE).strip(".").split(".")[0]
    levels = [number for number, rooms in enumerate(ORDER) if room in rooms]
    assert levels, f"{module} is in no room of ORDER; say where it belongs"
    return levels[0]


def room_of(module: str) -> str:
    return module.removeprefix(PACKAGE).strip(".").split(".")[0]


def wrong_imports(module: str, source: str) -> list[str]:
    return [
        f"{module} imports {other}"
        for other in sorted(imports(source))
        if room_of(other) != room_of(module) and level(other) >= level(module)
    ]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_room_imports_from_lower_rooms_only(module: str) -> None:
    assert wrong_imports(module, MODULES[module].read_text(encoding="utf-8")) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: imports(path.read_text(encoding="utf-8")) - {name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(error.args[1])}")


def test_room_packages_hold_only_their_docstring() -> None:
    packages = [path for path in MODULES.values() if path.name == "__init__.py" and path.parent.name != PACKAGE]
    assert packages
    for path in packages:
        statements = ast.parse(path.read_text(encoding="utf-8")).body
        assert len(statements) == 1, path
        assert isinstance(statements[0], ast.Expr), path


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("egotwin_model.runtimes.base", "from egotwin_model.egotwin.config import EgoTwinConfig"),
        ("egotwin_model.motion.vae", "def f():\n    from egotwin_model.video.vae import VideoEncoder"),
        ("egotwin_model.io.files", "if TYPE_CHECKING:\n    from egotwin_model import cli"),
    ],
)
def test_an_upward_import_would_be_seen(module: str, source: str) -> None:
    assert wrong_imports(module, source)
