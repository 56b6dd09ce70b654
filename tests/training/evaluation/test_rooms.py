"""How the parts of the evaluation hang together: which code voids kept measurements, and who may import whom."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from training.evaluation.benchmark.measuring_code import MEASURING, ROOT, measuring_digest, measuring_sources

EVALUATION = ROOT / "training" / "evaluation"
ORDER = (
    "metrics", "extractors", "benchmark", "quick tune tune_goals root_regression", "outside", "command ablations",
)  # fmt: skip
UNRELATED = (
    "training/stages/trainer.py", "training/simulator/generate.py", "training/evaluation/benchmark/report.py",
    "training/evaluation/tune.py", "egotwin_model/egotwin/transformer.py", "egotwin_ros/__init__.py",
)  # fmt: skip


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sources")
    for package in ("egotwin_model", "training", "egotwin_ros"):
        for path in (ROOT / package).rglob("*.py"):
            target = root / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return root


def test_every_source_that_measures_voids_kept_measurements(copied: Path) -> None:
    before = measuring_digest(copied)
    assert before == measuring_digest()
    sources = measuring_sources(copied)
    for path in sources:
        text = path.read_bytes()
        path.write_bytes(text + b"\n# changed\n")
        assert measuring_digest(copied) != before, path
        path.write_bytes(text)
    for name in UNRELATED:
        path = copied / name
        path.write_bytes(path.read_bytes() + b"\n# changed\n")
    assert measuring_digest(copied) == before


def test_what_is_imported_at_run_time_is_among_the_sources() -> None:
    """The interpreter's own account: packages' `__init__` files aside, which hold no code that measures."""
    ask = (
        f"import json, sys, {MEASURING}; print(json.dumps([getattr(m, '__file__', '') for m in sys.modules.values()]))"
    )
    files = json.loads(subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, check=True).stdout)
    ours = {Path(file) for file in files if file and Path(file).is_relative_to(ROOT)}
    loaded = {path for path in ours if path.relative_to(ROOT).parts[0] in ("egotwin_model", "training")}
    loaded = {path for path in loaded if path.name != "__init__.py"}
    assert len(loaded) > 30
    assert loaded <= set(measuring_sources())


def test_a_new_import_is_followed(copied: Path) -> None:
    before, added = measuring_digest(copied), copied / "training/evaluation/metrics/added.py"
    added.write_text("VALUE = 1\n")
    assert measuring_digest(copied) == before
    views = copied / "training/evaluation/metrics/view_shift.py"
    views.write_text(views.read_text() + "\n\ndef late():\n    from training.evaluation.metrics import added\n")
    assert added in measuring_sources(copied)


def level(module: str) -> int:
    """Place of a module of training.evaluation in `ORDER`; -1 for what all may import."""
    part = module.split(".")[2]
    return next((index for index, parts in enumerate(ORDER) if part in parts.split()), -1)


def test_parts_import_only_what_comes_before_them() -> None:
    wrong = []
    for path in EVALUATION.rglob("*.py"):
        if path.name == "__init__.py":
            continue
        own = level(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            wrong += [
                f"{path.relative_to(ROOT)} imports {name}"
                for name in names
                if name.startswith("training.evaluation.") and level(name) > own
            ]
    assert not wrong, "\n".join(wrong)
