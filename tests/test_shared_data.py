"""A skipped test says what it lacks and how to get it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from .shared_data import EXTRAS, missing_extra, needs_gpu, needs_shared, rendered_clips

TESTS = Path(__file__).parent
SUITE = [path for path in sorted(TESTS.rglob("*.py")) if path.name not in ("shared_data.py", Path(__file__).name)]


def test_a_missing_recording_is_named_with_the_variable_to_set(tmp_path: Path) -> None:
    mark = needs_shared("data/cmu/02_01.amc", tmp_path)
    assert mark.args == (True,)
    assert str(tmp_path / "data/cmu/02_01.amc") in mark.kwargs["reason"]
    assert "set EGOTWIN_SHARED to the folder that holds data/cmu/02_01.amc" in mark.kwargs["reason"]
    (tmp_path / "data/cmu").mkdir(parents=True)
    (tmp_path / "data/cmu/02_01.amc").touch()
    assert needs_shared("data/cmu/02_01.amc", tmp_path).args == (False,)


def test_a_missing_extra_is_named_with_its_distribution() -> None:
    assert "pip install -e './training[world]'" in missing_extra("world")
    assert "pip install -e '.[ros]'" in missing_extra("ros")


def test_missing_clips_are_named_with_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match=r"egotwin data world --split val .*EGOTWIN_DATA"):
        rendered_clips("val", tmp_path)
    (tmp_path / "world/val").mkdir(parents=True)
    (tmp_path / "world/val/manifest.json").touch()
    assert rendered_clips("val", tmp_path) == tmp_path / "world/val"


def test_gpu_tests_can_be_chosen_by_their_mark() -> None:
    @needs_gpu
    def on_a_gpu() -> None: ...

    marks = {mark.name: mark for mark in on_a_gpu.pytestmark}  # type: ignore[attr-defined]
    assert set(marks) == {"gpu", "skipif"}
    assert "pytest -m gpu" in marks["skipif"].kwargs["reason"]


def test_every_skip_gives_its_reason_from_one_place() -> None:
    """No test looks for the shared folders itself, and every `importorskip` has a reason."""
    wrong = []
    for path in SUITE:
        text = path.read_text(encoding="utf-8")
        wrong += [f"{path} reads {name}" for name in ("EGOTWIN_SHARED", "EGOTWIN_DATA") if name in text]
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            what = ast.unparse(node.func)
            if what == "pytest.importorskip":
                reasons = [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "reason"]
                if not reasons:
                    wrong.append(f"{path}:{node.lineno} skips without a reason")
                elif "extra" in reasons[0] and not reasons[0].startswith(missing_extra.__name__):
                    wrong.append(f"{path}:{node.lineno} does not tell how to get the extra: use missing_extra()")
            if what == missing_extra.__name__ and ast.literal_eval(node.args[0]) not in EXTRAS:
                wrong.append(f"{path}:{node.lineno} names an extra that no pyproject.toml has")
    assert not wrong, "\n".join(wrong)
