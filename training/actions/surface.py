"""The surface of typed texts: politeness, capitals, punctuation, slips of the keyboard. What is said stays the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SURFACE_SHARE = 0.25  # of the texts to learn from
_BEFORE = ("could you ", "can you ", "would you please ", "kindly ", "I want you to ", "you should ", "go on and ",
           "okay, ", "ok ", "hey, ", "alright, ", "please ", "I'd like you to ", "next, ")  # fmt: skip
_AFTER = (" please", ", please", " now", " for me", ", ok?", ", would you?", " then", ", thanks", " pls")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {
    key: [row[place] for place in (at - 1, at + 1) if 0 <= place < len(row)]
    for row in _ROWS
    for at, key in enumerate(row)
}
_LONG = 24  # letters from which a text may have two slips


def with_surface(rng: np.random.Generator, text: str, share: float = SURFACE_SHARE) -> str:
    """A text as somebody might type it: for a share of texts with one or two changes, for the others as it is."""
    if rng.random() >= share:
        return text
    changes = rng.choice(len(_CHANGES), size=1 + int(rng.random() < 0.4), replace=False, p=_SHARES)
    for index in sorted(changes.tolist()):
        text = _CHANGES[index](rng, text)
    return text


def _politely(rng: np.random.Generator, text: str) -> str:
    if text.startswith(("please", "now ")) or rng.random() < 0.4:
        return text + _AFTER[int(rng.integers(len(_AFTER)))]
    return _BEFORE[int(rng.integers(len(_BEFORE)))] + text


def _capitals(rng: np.random.Generator, text: str) -> str:
    return (text.upper(), text.capitalize(), text.title())[int(rng.choice(3, p=(0.35, 0.5, 0.15)))]


def _slips(rng: np.random.Generator, text: str) -> str:
    """One or two slips inside words: two letters exchanged, one left out, doubled, or replaced by its neighbour."""
    for _ in range(1 + (len(text) > _LONG and rng.random() < 0.4)):
        inside = [at for at in range(1, len(text) - 1) if text[at - 1 : at + 2].isalpha()]
        if not inside:
            return text
        at = inside[int(rng.integers(len(inside)))]
        before, key, after = text[:at], text[at], text[at + 1 :]
        near = _NEIGHBOURS.get(key.lower(), [key])
        text = (
            before + after[0] + key + after[1:],
            before + after,
            before + key + key + after,
            before + near[int(rng.integers(len(near)))] + after,
        )[int(rng.choice(4, p=(0.4, 0.25, 0.15, 0.2)))]
    return text


def _punctuation(rng: np.random.Generator, text: str) -> str:
    if "'" in text and rng.random() < 0.5:
        return text.replace("'", "")
    bare = text.replace(",", "").replace(";", "")
    return (text + ".", text + "!", text + "!!", bare, text + " ...")[int(rng.choice(5, p=(0.35, 0.3, 0.1, 0.2, 0.05)))]


_CHANGES: tuple[Callable[[np.random.Generator, str], str], ...] = (_politely, _slips, _capitals, _punctuation)
_SHARES = (0.3, 0.3, 0.2, 0.2)
