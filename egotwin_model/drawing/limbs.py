"""Colours of a body's left and right side, the same in every drawing."""

from __future__ import annotations

Colour = tuple[int, int, int]

LEFT: Colour = (82, 168, 255)
RIGHT: Colour = (255, 140, 66)
MIDDLE: Colour = (236, 239, 244)
GHOST: Colour = (120, 128, 145)


def side_colour(joint: str) -> Colour:
    """RGB of a joint's side by its name: `LEFT` ("L_Hand", "left_wrist"), `RIGHT` or `MIDDLE`."""
    name = joint.lower()
    if name.startswith(("l_", "left")):
        return LEFT
    return RIGHT if name.startswith(("r_", "right")) else MIDDLE


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """``share`` of the first colour and the rest of the second."""
    r, g, b = (round(share * a + (1 - share) * c) for a, c in zip(colour, other, strict=True))
    return r, g, b
