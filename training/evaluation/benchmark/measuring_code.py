"""The source files that decide what a measurement holds: `measurements` and everything of ours that it imports.

Imports are followed in the source text, so that a module which is imported inside a function counts as well.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("egotwin_model", "training")
MEASURING = "training.evaluation.benchmark.measurements"


def measuring_digest(root: Path = ROOT) -> str:
    """SHA-256 over `measuring_sources`, their names and contents: another one makes kept measurements void."""
    digest = hashlib.sha256()
    for path in measuring_sources(root):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def measuring_sources(root: Path = ROOT) -> list[Path]:
    """The files of `MEASURING` and of every module of `PACKAGES` that it imports, directly or not, sorted.

    Args:
        root: folder that holds the packages.
    """
    found: dict[str, Path] = {}
    waiting = [MEASURING]
    while waiting:
        module = waiting.pop()
        path = _file(root, module)
        if path is None or module in found:
            continue
        found[module] = path
        waiting += _imported(path.read_text(encoding="utf-8"))
    return sorted(found.values())


def _file(root: Path, module: str) -> Path | None:
    """The file of a module or package; None for a name that a module defines."""
    base = root.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@lru_cache(maxsize=1024)
def _imported(source: str) -> tuple[str, ...]:
    """Names that a source imports from `PACKAGES`; of ``from a import b`` both a and a.b, which may be a module too."""
    return tuple(name for name in _names(ast.parse(source)) if name.split(".")[0] in PACKAGES)


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
