"""The surface of typed texts: some are changed, and what they say stays readable."""

from __future__ import annotations

import difflib

import numpy as np

from training.actions.surface import SURFACE_SHARE, with_surface

TEXTS = ("turn left", "walk to the red chair, then sit on it", "don't move", "take 3 steps back")


def test_a_share_of_texts_changes_a_little() -> None:
    rng = np.random.default_rng(0)
    made = [(text, with_surface(rng, text)) for _ in range(500) for text in TEXTS]
    changed = [(text, typed) for text, typed in made if typed != text]
    assert abs(len(changed) / len(made) - SURFACE_SHARE) < 0.03
    for text, typed in changed:
        kept = sum(block.size for block in difflib.SequenceMatcher(None, text, typed.lower()).get_matching_blocks())
        assert kept > 0.7 * len(text), (text, typed)
        assert ("3" in text) == ("3" in typed)
        assert typed.strip() == typed
    typed = {typed for _, typed in changed}
    assert len(typed) > 150
    assert any(text.isupper() for text in typed)
    assert {"TURN LEFT", "turn left please", "trun left", "dont move"} <= {
        with_surface(rng, text, 1.0) for _ in range(1500) for text in TEXTS
    }


def test_the_same_draws_give_the_same_text() -> None:
    one, two = (with_surface(np.random.default_rng(5), "walk forward", 1.0) for _ in range(2))
    assert one == two
    assert with_surface(np.random.default_rng(5), "walk forward", 0.0) == "walk forward"
