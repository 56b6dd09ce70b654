"""Going ahead at a told pace: strolling, hurrying, jogging, running."""

from __future__ import annotations

from training.actions.action import Action
from training.actions.motion_comparison import Comparison


def _went_at_pace(motion: Comparison) -> bool:
    return motion.walked_ahead and motion.straight and motion.as_fast


STROLL = Action(
    name="stroll",
    train=(
        "stroll<| ahead| forward| along| on>", "<walk|go|move> slowly<| forward| ahead| on>",
        "<walk|go|move> <forward|ahead|on> <slowly|at a slow pace|leisurely|without hurry>", "amble<| ahead| along>",
        "take a <slow|leisurely> walk<| ahead>", "saunter<| along| forward>", "wander <ahead|forward|along>",
        "slowly <walk|go|move> <ahead|forward|straight on>", "take it slow, walk <ahead|on>", "creep <ahead|forward>",
    ),
    test=(
        "proceed at an easy pace", "tread forward slowly", "dawdle along",
    ),
    label="pace",
    rule=_went_at_pace,
    clips={"stroll": 0.45},
    long_share=0.15,
)  # fmt: skip

HURRY = Action(
    name="hurry",
    train=(
        "hurry<| ahead| forward| on| up and walk ahead>", "walk <fast|quickly|briskly>",
        "<go|move> ahead <fast|quickly>",
        "walk <forward|ahead|on> <fast|quickly|briskly|at a brisk pace>", "<rush|hasten|scurry> <ahead|forward>",
        "quickly <walk|go|move> <ahead|forward|straight on>", "speed up and <walk|go> <ahead|on>", "stride <ahead|out>",
        "be quick, go <ahead|forward>", "go as fast as you can without running", "power walk<| ahead>",
    ),
    test=(
        "go ahead in a hurry", "march on swiftly",
    ),
    label="pace",
    rule=_went_at_pace,
    clips={"hurry": 0.35},
    long_share=0.1,
)  # fmt: skip

JOG = Action(
    name="jog",
    train=(
        "jog<| ahead| along| on| straight ahead>", "<start|begin> to jog", "go jogging", "trot <ahead|forward|along>",
        "run <slowly|at an easy pace|gently><| ahead>", "run <ahead|forward> <slowly|at a jog>",
        "go <ahead|forward> at a jog", "jog a few metres", "slow run<| ahead>", "do a light run<| ahead>",
    ),
    test=(
        "move on at a jog", "have a little jog",
    ),
    label="pace",
    rule=_went_at_pace,
    clips={"jog": 0.3},
)  # fmt: skip

RUN = Action(
    name="run",
    train=(
        "run", "run <ahead|forward|on|straight ahead>", "start running<| ahead>", "move at a run",
        "sprint<| ahead| forward>",
        "dash <ahead|forward|off>", "run as fast as you can", "run <quickly|fast>", "race <ahead|forward>",
        "break into a run", "go running",
    ),
    test=(
        "keep running", "go ahead at a run", "bolt forward",
    ),
    label="pace",
    rule=_went_at_pace,
    in_capture=lambda frame: frame.running,
    clips={"run": 0.35},
)  # fmt: skip

ACTIONS = (STROLL, HURRY, JOG, RUN)
