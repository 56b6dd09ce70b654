"""Reads from the source which module of this repository imports which; `docs.architecture` draws it, tests judge it.

An import is seen wherever it stands: at module level, in a function, for type checking only, or as a string that names
a module (`importlib.import_module`, ``python -m`` in a subprocess, entry points). Docstrings name modules freely.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("egotwin_model", "egotwin_ros", "training")

How = Literal["module", "function", "type", "string"]


@dataclass(frozen=True, order=True)
class Import:
    """One import: who, whom, in which line, and whether at module level, in a function, for types or as a string."""

    importer: str
    imported: str
    line: int
    how: How


def module_name(path: Path, root: Path = ROOT) -> str:
    """Dotted name of a source file; a package for its ``__init__.py``."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def modules(root: Path = ROOT, packages: Collection[str] = PACKAGES) -> dict[str, Path]:
    """Every module of the packages, by name."""
    return {module_name(path, root): path for package in packages for path in sorted((root / package).rglob("*.py"))}


def room(module: str) -> str:
    """The room of a module: the first folder below its package, or the module itself where it stands in none."""
    return ".".join(module.split(".")[:2])


def imports(importer: str, source: str, known: Collection[str]) -> Iterator[Import]:
    """The imports of one module from the modules in `known`."""
    yield from _visit(ast.parse(source), importer, frozenset(known), "module")


def graph(root: Path = ROOT, packages: Collection[str] = PACKAGES) -> list[Import]:
    """All imports among the modules of the packages, in order."""
    known = modules(root, packages)
    found = {
        each
        for name, path in known.items()
        for each in imports(name, path.read_text(encoding="utf-8"), known)
        if each.imported != name
    }
    return sorted(found)


def packages_of(module: str) -> list[str]:
    """The packages a module is in, whose ``__init__.py`` run before it: a and a.b for a.b.c."""
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def circle(found: Collection[Import]) -> list[str]:
    """Modules that import each other in a circle; empty if there are none. Names in strings do not count."""
    needs: dict[str, set[str]] = {}
    for each in found:
        if each.how != "string":
            own = {each.importer, *packages_of(each.importer)}
            needs.setdefault(each.importer, set()).update({each.imported, *packages_of(each.imported)} - own)
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def entry_points(path: Path) -> dict[str, str]:
    """Module → group of every entry point and script that a pyproject.toml registers."""
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    groups = {**project.get("entry-points", {}), "scripts": project.get("scripts", {})}
    return {value.split(":")[0]: group for group, values in groups.items() for value in values.values()}


def _visit(node: ast.AST, importer: str, known: frozenset[str], how: How) -> Iterator[Import]:
    """Imports below a syntax node that stands at module level, in a function, or under TYPE_CHECKING."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        for name in _named(node, importer, known):
            yield Import(importer, name, node.lineno, how)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        for name in _in_text(node.value, known):
            yield Import(importer, name, node.lineno, "string")
    elif isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
        for child in node.body:
            yield from _visit(child, importer, known, "type")
        for child in node.orelse:
            yield from _visit(child, importer, known, how)
    elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):  # a docstring
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and how == "module":
            how = "function"
        for child in ast.iter_child_nodes(node):
            yield from _visit(child, importer, known, how)


def _named(node: ast.Import | ast.ImportFrom, importer: str, known: frozenset[str]) -> Iterator[str]:
    """Modules of `known` that an import statement loads: ``from a import b`` is a.b if that is a module, else a."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        base = node.module or ""
        if node.level:
            parent = importer.split(".")[: -node.level]
            base = ".".join([*parent, *([base] if base else [])])
        names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names]
    for name in names:
        if (found := _module(name, known)) is not None:
            yield found


def _in_text(text: str, known: frozenset[str]) -> Iterator[str]:
    """Modules of `known` whose dotted names stand in a text."""
    packages = "|".join(sorted({name.split(".")[0] for name in known}))
    for match in re.finditer(rf"(?<![\w./])(?:{packages})(?:\.\w+)+", text):
        if (found := _module(match[0], known)) is not None:
            yield found


def _module(name: str, known: frozenset[str]) -> str | None:
    """The longest leading part of a dotted name that is a module."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if (module := ".".join(parts[:length])) in known:
            return module
    return None
