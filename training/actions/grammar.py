"""Wordings as a small grammar: alternatives in angle brackets, and quantities in words.

"<turn|rotate> <on the spot|>" stands for four texts; alternatives may contain others. A quantity is a placeholder such
as {degrees}, {oclock}, {steps} or {metres}.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

_INNERMOST = re.compile(r"<([^<>]*)>")
_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
          "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_METRES = {
    0.5: ("half a metre", "half a meter", "0.5 m", "50 cm", "50 centimetres", "half a meter or so"),
    1.0: ("one metre", "a metre", "1 m", "a meter", "1 meter", "about a metre"),
    1.5: ("one and a half metres", "1.5 m", "1.5 metres", "a metre and a half", "1.5 meters"),
    2.0: ("two metres", "2 m", "2 meters", "a couple of metres", "2 metres"),
    3.0: ("three metres", "3 m", "3 meters", "about three metres"),
}


def choose_alternatives(rng: np.random.Generator, wording: str) -> str:
    """One text of a wording, each alternative as likely as another beside it."""
    while found := _INNERMOST.search(wording):
        options = found[1].split("|")
        wording = wording[: found.start()] + options[int(rng.integers(len(options)))] + wording[found.end() :]
    return wording


def expand(wording: str) -> set[str]:
    """All texts of a wording, with one space between words."""
    found = _INNERMOST.search(wording)
    if not found:
        return {tidy(wording)}
    before, after = wording[: found.start()], wording[found.end() :]
    return {text for option in found[1].split("|") for text in expand(before + option + after)}


def tidy(text: str) -> str:
    """One space between words, none at the ends and before a comma."""
    return re.sub(r"\s+([,;])", r"\1", " ".join(text.split()))


def in_words(number: int) -> str:
    """A whole number from 0 to 999 in English."""
    if number < 20:
        return _UNITS[number]
    if number < 100:
        return _TENS[number // 10] + (f"-{_UNITS[number % 10]}" if number % 10 else "")
    rest = f" and {in_words(number % 100)}" if number % 100 else ""
    return f"{_UNITS[number // 100]} hundred{rest}"


def _degrees(amount: float) -> tuple[str, ...]:
    number = round(amount)
    common = f"{number} degrees", f"{number}°", f"{number} deg", f"{in_words(number)} degrees"
    return common + ((f"{number} degrees",) if number % 10 else ())


def _oclock(amount: float) -> tuple[str, ...]:
    hour = round(amount)
    return f"{hour} o'clock", f"{in_words(hour)} o'clock", f"{hour} o’clock", f"your {hour} o'clock"


def _steps(amount: float) -> tuple[str, ...]:
    number = round(amount)
    return ("a step", "one step", "1 step", "a single step") if number == 1 else (
        f"{in_words(number)} steps", f"{number} steps", f"{in_words(number)} paces"
    )  # fmt: skip


def _metres(amount: float) -> tuple[str, ...]:
    return _METRES.get(amount) or (f"{amount:g} m", f"{amount:g} metres")


QUANTITIES: dict[str, Callable[[float], tuple[str, ...]]] = {
    "degrees": _degrees, "oclock": _oclock, "steps": _steps, "metres": _metres,
}  # fmt: skip
"""Ways to say an amount, by placeholder."""
METRES = tuple(_METRES)
"""Distances that have words, metres."""


def say_quantities(rng: np.random.Generator, text: str, amount: float) -> str:
    """Puts an amount in words where a text has a placeholder for it."""
    for name, options in QUANTITIES.items():
        if f"{{{name}}}" in text:
            said = options(amount)
            text = text.replace(f"{{{name}}}", said[int(rng.integers(len(said)))])
    return text
