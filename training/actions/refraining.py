"""Not doing something: waiting, and what is told not to be done."""

from __future__ import annotations

from training.actions.action import Action
from training.actions.standing import stood_still

WAIT = Action(
    name="wait",
    train=(
        "wait", "wait <a moment|a second|a little|a bit|a while|for a moment|for a second|for two seconds|a sec>",
        "<hold on|hang on> <|a moment|a second>", "<pause|halt> <|for a moment|briefly>", "stand by",
        "<stay|stand> here <for a moment|a second>", "give it a moment", "do nothing for a <moment|second>",
        "take a break", "stop <and wait|for a moment>",
    ),
    test=(
        "wait briefly", "hold it for a moment", "remain there a moment",
    ),
    label="stand still",
    rule=stood_still,
    needs=(),
    clips={"wait": 0.15},
    long_share=0.1,
)  # fmt: skip

_MOVES = "move|walk|go|step|take a step|run|walk forward|go ahead|leave|come closer|sit down|crouch|stir|budge"
DO_NOT_MOVE = Action(
    name="do_not_move",
    train=(
        f"<do not|don't|never|you must not|please don't> <{_MOVES}>",
        f"<do not|don't> <{_MOVES}|turn>, <stay|stand|remain> <where you are|there|still>",
        f"<do not|don't> <{_MOVES}>; <keep standing|just stand there|stand still|wait>",
        "no <steps|step|movement|walking|moving>", "<not|no> one step", "<do not|don't> <turn|look around|turn around>",
        "stop moving", "stop <walking|turning>", "without moving, <wait|stand there|stay there>",
        "<don't|do not> <turn|rotate> and <don't|do not> walk", "neither walk nor turn",
        "instead of walking, stand still",
        "freeze <right there|where you are|in place>",
    ),
    test=(
        "you should not <move|walk|go anywhere>", "refrain from <moving|walking|turning>", "make no move",
    ),
    label="do not",
    rule=stood_still,
    needs=(),
    clips={"do_not_move": 0.4},
    long_share=0.05,
)  # fmt: skip

DO_NOT_TURN = Action(
    name="do_not_turn",
    variants="do_not_turn_{side}",
    train=(
        "<do not|don't|never> <turn|rotate|pivot|go|look|step|walk> <|to the |to your >{side}",
        "<do not|don't> <turn|rotate|go|step> {side}, <stay as you are|stay where you are|stand still|wait>",
        "<do not|don't> <turn|rotate|walk> to the {side}; <just stand there|stand still|stay|remain standing>",
        "no <turning|turn> <to the |>{side}", "<stand still|stay> and <do not|don't> turn {side}",
        "<stay where you are|keep standing>, <don't|do not> turn <to the |>{side}",
        "stand there, no turn to the {side}",
        "anything but a turn to the {side}: stand still",
    ),
    test=(
        "you must not turn {side}", "refrain from turning {side}, stay there",
    ),
    label="do not",
    rule=stood_still,
    needs=(),
    clips={"do_not_turn_left": 0.2, "do_not_turn_right": 0.2},
)  # fmt: skip

ACTIONS = (WAIT, DO_NOT_MOVE, DO_NOT_TURN)
