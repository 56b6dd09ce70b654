"""A motion beside the true one of its clip: the questions that rules of actions are made of.

The true motion says how far a turn or a walk should go; every other threshold is written here. What the rules
recognise, and what they mistake for it, is printed by `python -m training.evaluation.metrics.obedience`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.actions.measures import MotionMeasures

TOLERANCE = 0.4  # of the true angle, and of the distance to where the true wearer stops
TOLD, TOLD_TURN_RAD, TOLD_M = 0.25, np.deg2rad(12.0), 0.2  # of an amount that the text tells, and least allowance
STILL_TURN_RAD, STILL_M, TURNING_STEP_M, STEP_M = np.deg2rad(20.0), 0.25, 0.7, 0.4
PACE = (0.7, 1.4)  # of the true wearer's top speed
WALK_M, STRAIGHT_RAD = 0.8, np.deg2rad(40.0)
STOP_SPEED = 0.25
LOOKS = ("left", "right", "up", "down")
LEAN_RAD, AT_HEAD_M = np.deg2rad(25.0), 0.3
TURN_FIRST = 0.27  # share of the clip between half the turn and half the way from which the turn comes first
REACH_M = 0.34  # ahead of the pelvis: hands that swing stay behind it
HEIGHT_M = 0.3  # largest difference to the height that the true hand reaches, which is the named thing's
HELD_M = (0.15, 0.45)  # ahead of the pelvis: where hands carry something
LOOK_RAD, LOWER_SHARE, SIT_SHARE, THIGH_LEVEL = np.deg2rad(15.0), 0.75, (0.40, 0.75), 0.45
SEAT_M = 0.22  # a sitter's pelvis is further behind the feet than a squatter's, who keeps the balance


def is_idle(motion: MotionMeasures) -> bool:
    """Whether a motion neither reaches out nor goes low."""
    return max(motion.reach) < REACH_M and motion.lowest > LOWER_SHARE


def is_still(motion: MotionMeasures) -> bool:
    """Whether a motion neither moves, turns, looks around, reaches out nor goes low."""
    quiet = motion.net < STILL_M and abs(motion.turn) < STILL_TURN_RAD and max(motion.look) < LOOK_RAD
    return quiet and is_idle(motion)


@dataclass(frozen=True)
class Comparison:
    """A motion and the true one.

    Attributes:
        found: the motion judged. truth: the true one, from the same start.
        hand: "left", "right" or "both" for what hands do; "" where either will do.
        left_open: what the text does not say: "side" (turns to either side count), "hand" (either hand), "target" (any
            place to walk to or reach), or "".
    """

    found: MotionMeasures
    truth: MotionMeasures
    hand: str = ""
    left_open: str = ""

    @property
    def turned(self) -> bool:
        """Turned as far as the true wearer, to the same side."""
        sides = (1.0, -1.0) if self.left_open == "side" else (1.0,)
        allowed = TOLERANCE * abs(self.truth.turn)
        return any(abs(side * self.found.turn - self.truth.turn) <= allowed for side in sides)

    @property
    def turned_as_told(self) -> bool:
        """Turned by about the true angle, to the same side: nearer than `turned` asks."""
        sides = (1.0, -1.0) if self.left_open == "side" else (1.0,)
        allowed = max(TOLD_TURN_RAD, TOLD * abs(self.truth.turn))
        return any(abs(side * self.found.turn - self.truth.turn) <= allowed for side in sides)

    @property
    def ends_as_told(self) -> bool:
        """Ends near the true end, as seen from the start: ahead, back or aside by about as much."""
        sides = (1.0, -1.0) if self.left_open == "side" else (1.0,)
        allowed = max(TOLD_M, TOLD * self.truth.net)
        return any(
            float(np.hypot(self.found.ahead - self.truth.ahead, side * self.found.aside - self.truth.aside)) <= allowed
            for side in sides
        )

    @property
    def in_place(self) -> bool:
        """Went hardly further than the true wearer."""
        return self.found.net < max(TURNING_STEP_M, self.truth.net + STEP_M)

    @property
    def straight(self) -> bool:
        return bool(abs(self.found.turn) < STRAIGHT_RAD)

    @property
    def went(self) -> bool:
        """Went somewhere, in whatever direction."""
        return self.found.net > min(WALK_M, 0.6 * self.truth.net) and self.found.net > STILL_M

    @property
    def walked_ahead(self) -> bool:
        return self.went and self.found.ahead > 0

    @property
    def as_fast(self) -> bool:
        """About as fast as the true wearer where both are fastest."""
        return PACE[0] * self.truth.top_speed < self.found.top_speed < PACE[1] * self.truth.top_speed

    def looked(self, way: str) -> bool:
        """Turned the head "left", "right", "up" or "down" at least half as far as the true wearer."""
        column = LOOKS.index(way)
        return self.found.look[column] > min(LOOK_RAD, 0.5 * self.truth.look[column])

    @property
    def looked_as_truly_aside(self) -> bool:
        """The same to the side to which the true wearer looks further."""
        left, right = self.truth.look[:2]
        ways = LOOKS[:2] if self.left_open == "side" else ("right" if right > left else "left",)
        return any(self.looked(way) for way in ways)

    @property
    def pelvis_stayed(self) -> bool:
        return abs(self.found.body_turn) < STRAIGHT_RAD

    @property
    def leaned(self) -> bool:
        """The trunk bends at least half as far forward as the true wearer's."""
        return self.found.lean > min(LEAN_RAD, 0.5 * self.truth.lean)

    @property
    def hand_up(self) -> bool:
        """The hand that was asked for rises nearly as high above the head as the true one."""
        return self._by_hand([top > max(self.truth.hand_top) - HEIGHT_M for top in self.found.hand_top])

    @property
    def hand_at_head(self) -> bool:
        return self._by_hand([distance < AT_HEAD_M for distance in self.found.hand_head])

    @property
    def arrived(self) -> bool:
        """Ends near the place where the true wearer ends."""
        away = np.hypot(*np.subtract(self.found.end, self.truth.end))
        return self.left_open == "target" or bool(away <= TOLERANCE * self.truth.net)

    @property
    def reached(self) -> bool:
        """The hand that was asked for reaches ahead, to the height of the named thing."""
        pairs = zip(self.found.reach, self._right_heights(), strict=True)
        return self._by_hand([ahead > REACH_M and right_height for ahead, right_height in pairs])

    @property
    def holds_at_end(self) -> bool:
        """The hand that was asked for ends where hands carry something."""
        return self._by_hand([HELD_M[0] < ahead < HELD_M[1] for ahead in self.found.held])

    @property
    def held_at_start(self) -> bool:
        """The hand that was asked for begins where hands carry something."""
        return self._by_hand([HELD_M[0] < ahead < HELD_M[1] for ahead in self.found.was_held])

    @property
    def _asked_hand(self) -> str:
        return "" if self.left_open == "hand" and self.hand != "both" else self.hand

    def _right_heights(self) -> list[bool]:
        """Whether the left and the right hand reach the true hand's height; where either hand will do, that of the hand
        that truly reaches furthest."""
        true = list(self.truth.reach_height)
        if self._asked_hand not in ("left", "right", "both"):
            true = [true[int(self.truth.reach[1] > self.truth.reach[0])]] * 2
        pairs = zip(self.found.reach_height, true, strict=True)
        return [self.left_open == "target" or abs(found - wanted) < HEIGHT_M for found, wanted in pairs]

    def _by_hand(self, answers: list[bool]) -> bool:
        """From answers for (left, right): the asked hand's, both hands', or either hand's."""
        left, right = answers
        return {"left": left, "right": right, "both": left and right}.get(self._asked_hand, left or right)
