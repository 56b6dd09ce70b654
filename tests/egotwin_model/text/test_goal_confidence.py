"""Confidence in goals: similarity to known ones, calibrated; other languages are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from egotwin_model.errors import ModelError
from egotwin_model.text.goal_confidence import FILE, NEAREST, WARN_BELOW, GoalConfidence, doubt, embedding, nearness
from egotwin_model.text.language import foreign_language


def unit(rng: np.random.Generator, rows: int, dim: int = 16) -> np.ndarray:
    points = rng.normal(size=(rows, dim)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_padding_does_not_count() -> None:
    states = np.zeros((2, 6, 8), np.float32)
    states[0, :2] = np.random.default_rng(0).normal(size=(2, 8))
    states[1, :3] = states[0, [0, 1, 0]] * 7.0
    found = embedding(states)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-6)
    mean = states[0, :2].mean(axis=0)
    np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), atol=1e-6)
    assert np.isfinite(embedding(np.zeros((1, 4, 8)))).all()  # the empty goal


def test_similarity_is_the_mean_of_the_nearest() -> None:
    rng = np.random.default_rng(1)
    goals, known = unit(rng, 3), unit(rng, 40)
    wanted = [np.sort(known @ goal)[-NEAREST:].mean() for goal in goals]
    np.testing.assert_allclose(nearness(goals, known), wanted, atol=1e-6)


def test_confidence_rises_with_similarity_and_survives_the_folder(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    known = unit(rng, 64, 384)
    made = GoalConfidence(known, np.array([0.2, 0.6, 0.8], np.float32), np.array([0.0, 0.5, 0.9], np.float32))
    save_file(made.tensors(), tmp_path / FILE)
    confidence = GoalConfidence.load(tmp_path)
    assert confidence is not None
    states = np.repeat(known[:1, None], 3, axis=1)  # a goal that is known, five times nearest to itself at most
    alike = float(confidence.similar(states)[0])
    assert confidence(states) == pytest.approx(np.interp(alike, [0.2, 0.6, 0.8], [0.0, 0.5, 0.9]), abs=1e-3)
    assert confidence(-states) < 0.1
    assert GoalConfidence.load(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("broken", ["missing", "falling", "none"])
def test_a_damaged_file_is_refused(tmp_path: Path, broken: str) -> None:
    known = unit(np.random.default_rng(3), 0 if broken == "none" else 8)
    tensors = {"known": known, "similarity": np.array([0.1, 0.5]), "confidence": np.array([0.2, 0.9])}
    if broken == "missing":
        del tensors["confidence"]
    if broken == "falling":
        tensors["confidence"] = tensors["confidence"][::-1].copy()
    save_file(tensors, tmp_path / FILE)
    with pytest.raises(ModelError, match="egotwin tune goals"):
        GoalConfidence.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("gehe langsam zum Tisch", "de"),
        ("marche vers la porte et arrête-toi", "fr"),
        ("走到桌子旁边停下", "zh"),
        ("turn left and walk to the table", ""),
        ("TURN 45 DEG LEFT", ""),
        ("nach links drehen", ""),  # three words
        ("pick up the red mug, please", ""),
    ],
)
def test_other_languages_are_named_from_four_words_on(text: str, code: str) -> None:
    pytest.importorskip("py3langid", reason="py3langid is not installed")
    assert foreign_language(text) == code


def test_a_doubt_says_why() -> None:
    assert doubt("turn left", WARN_BELOW) == ""
    assert "English" in doubt("gehe langsam zum Tisch", 0.1)
    assert "unlike the goals" in doubt("paint the wall blue", 0.1)
