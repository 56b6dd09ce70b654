"""The goal in words: what the wearer does, as an instruction, with paraphrases and true left and right.

Two disjoint sets of paraphrases: ``train`` is for learning, ``test`` holds wordings never seen in training.
"""

from __future__ import annotations

import numpy as np

_OPENINGS = ("", "", "", "please ", "now ")

_TRAIN: dict[str, tuple[str, ...]] = {
    "stand_still": (
        "stand still", "do not move", "stay where you are", "keep standing", "stand and wait", "remain in place",
        "wait here", "hold still",
    ),
    "turn": (
        "turn {side}", "turn to the {side}", "turn to your {side}", "rotate {side}", "rotate to your {side}",
        "turn {side} on the spot", "face {side}", "make a {side} turn in place",
    ),
    "turn_around": (
        "turn around to the {side}", "turn around over your {side} shoulder", "turn all the way around, {side}",
        "turn around, going {side}", "face the other way, turning {side}", "turn back around to your {side}",
    ),
    "walk_forward": (
        "walk forward", "walk straight ahead", "keep walking straight ahead", "go forward", "move forward",
        "walk ahead", "continue forward", "keep going straight",
    ),
    "walk_turn": (
        "walk forward, then turn {side}", "walk ahead and turn {side}", "walk forward and turn to the {side}",
        "go straight, then turn to your {side}", "keep walking and turn {side}", "walk in a curve to the {side}",
    ),
    "turn_walk": (
        "turn {side} and walk forward", "turn to the {side}, then walk ahead", "turn {side}, then go forward",
        "first turn to your {side} and then walk", "rotate {side} and walk straight ahead",
        "turn {side} and move forward",
    ),
    "walk_stop": (
        "walk forward and stop", "walk ahead, then stop", "go forward and come to a halt", "walk a bit and stop",
        "move forward, then stand still", "walk forward, then stop and wait",
    ),
    "reach": (
        "reach for the {name} on the {support} with your {side} hand", "reach for the {name} with your {side} hand",
        "use your {side} hand to reach the {name}", "touch the {name} with your {side} hand",
        "reach out to the {name} on the {support} with the {side} hand", "put your {side} hand on the {name}",
    ),
    "walk_reach": (
        "walk to the {support} and reach for the {name} with your {side} hand",
        "go to the {support} and reach for the {name} with the {side} hand",
        "walk up to the {name} and reach for it with your {side} hand",
        "walk to the {support}, then touch the {name} with your {side} hand",
        "approach the {support} and put your {side} hand on the {name}",
    ),
}  # fmt: skip

_TEST: dict[str, tuple[str, ...]] = {
    "stand_still": ("stay still", "stay in place and do not move", "just stand there"),
    "turn": ("turn towards your {side}", "rotate to the {side}", "turn your body {side}"),
    "turn_around": ("turn around towards the {side}", "do a turn to the {side} until you face backwards"),
    "walk_forward": ("walk straight on", "go straight ahead", "keep moving forward"),
    "walk_turn": ("walk straight, then make a {side} turn", "go forward and then turn {side}"),
    "turn_walk": ("make a {side} turn, then walk forward", "turn to your {side} and go straight ahead"),
    "walk_stop": ("go ahead and then stop", "walk straight ahead and come to a stop"),
    "reach": (
        "with your {side} hand, reach for the {name}", "stretch your {side} hand out to the {name} on the {support}",
    ),
    "walk_reach": (
        "go over to the {support} and touch the {name} with your {side} hand",
        "walk over to the {name} and reach for it with the {side} hand",
    ),
}  # fmt: skip


def kind_of(behaviour: str) -> tuple[str, str]:
    """A behaviour's name without its side, and the side: ``turn_left_walk`` gives ``("turn_walk", "left")``."""
    words = behaviour.split("_")
    side = next((word for word in words if word in ("left", "right")), "")
    return "_".join(word for word in words if word != side), side


def phrases(behaviour: str, split: str) -> tuple[str, ...]:
    """The templates of a behaviour in a split, "train" or "test"."""
    return {"train": _TRAIN, "test": _TEST}[split][kind_of(behaviour)[0]]


def narrate(
    rng: np.random.Generator,
    behaviour: str,
    *,
    hand: str = "",
    name: str = "",
    support: str = "",
    split: str = "train",
    plain: bool = False,
) -> str:
    """A goal text for a behaviour.

    Args:
        rng: draws the paraphrase.
        behaviour: as in ``behaviours.BEHAVIOURS``; a turn's side is in its name.
        hand: "left" or "right", for reaching. name: the object. support: what it stands on.
        split: "train" or "test". plain: without "please" or "now" before it.
    """
    templates = phrases(behaviour, split)
    text = templates[int(rng.integers(len(templates)))]
    filled = text.format(side=kind_of(behaviour)[1] or hand, name=name, support=support)
    return filled if plain else _OPENINGS[int(rng.integers(len(_OPENINGS)))] + filled
