"""The language of a goal: text encoders such as MiniLM know English, and read other languages as noise."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

FEWEST_WORDS = 4
"""Shorter texts say too little of their language."""
_FOREIGN = 0.05  # in another language, English is less probable than this
_SURE = 0.5  # and that language more probable than this


def foreign_language(text: str) -> str:
    """ISO 639 code of a text's language if that is surely not English, else "".

    Texts of fewer than `FEWEST_WORDS` words are taken for English; in scripts without spaces each character is a word.
    """
    if _words(text) < FEWEST_WORDS:
        return ""
    ranking = _identifier().rank(text.lower())
    english = next(float(probability) for code, probability in ranking if code == "en")
    code, probability = ranking[0]
    return str(code) if english < _FOREIGN and probability > _SURE else ""


def _words(text: str) -> int:
    return len(text.split()) + sum(unicodedata.east_asian_width(character) == "W" for character in text)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """py3langid's, 80 MB; loaded when the first goal that nothing known resembles is to be explained."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
