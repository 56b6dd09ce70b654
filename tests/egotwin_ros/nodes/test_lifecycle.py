"""Transitions of the node: nothing is imagined outside of "active", and a model that does not stop is reported."""

import threading
from collections.abc import Callable

import pytest
from lifecycle_msgs.srv import GetState
from std_msgs.msg import String

from egotwin_ros.action import Imagine
from egotwin_ros.error_codes import code_name

pytestmark = pytest.mark.ros
MOTION = Imagine.Goal.MODE_MOTION


class SlowStep:
    """Makes the model's evaluations wait until `released`; `begun` is set by the first."""

    def __init__(self, runtime) -> None:
        self.begun, self.released = threading.Event(), threading.Event()
        evaluate: Callable = runtime.denoise

        def denoise(*arguments, **options):
            self.begun.set()
            assert self.released.wait(60.0)
            return evaluate(*arguments, **options)

        runtime.denoise = denoise


def state(rig) -> str:
    return rig.call(rig.get_state.call_async(GetState.Request())).current_state.label


@pytest.fixture
def own_rig(make_rig, model_folder):
    """A node of this test alone, active, with an input to start from."""

    def make(**parameters):
        rig = make_rig(model_path=str(model_folder), runtime="torch", max_age_s=60.0, **parameters)
        rig.wait_active()
        rig.show_good()
        return rig

    return make


def test_a_goal_that_arrives_while_the_node_deactivates_is_not_imagined(own_rig):
    rig = own_rig(rate_hz=30.0)
    worker = rig.node._worker
    drain = worker.drain

    def drain_then_receive(timeout_s: float) -> bool:
        drained = drain(timeout_s)
        rig.node._latch_goal(String(data="walk"))  # as the other threads may at this moment
        return drained

    worker.drain = drain_then_receive
    rig.forget()
    assert rig.transition("deactivate")
    assert worker.idle
    assert state(rig) == "inactive"
    worker.drain = drain
    assert rig.transition("activate")  # the goal is still latched: it is imagined from now on
    rig.show_good()
    rig.wait(lambda: rig.received["imagination"])
    assert {message.goal for message in rig.received["imagination"]} == {"walk"}


def test_an_action_goal_that_runs_is_cancelled_by_deactivate(own_rig):
    rig = own_rig()
    slow = SlowStep(rig.node.session.pipeline.runtime)
    handle = rig.send(mode=MOTION)
    rig.wait(slow.begun.is_set)
    threading.Timer(0.2, slow.released.set).start()
    assert rig.transition("deactivate")
    result = rig.call(handle.get_result_async()).result
    assert code_name(result.error_code) == "CANCELLED"


def test_a_model_that_does_not_stop_fails_the_transition_and_is_named(own_rig, capfd):
    rig = own_rig(stop_timeout_s=0.2)
    slow = SlowStep(rig.node.session.pipeline.runtime)
    handle = rig.send(goal="turn around", mode=MOTION)
    rig.wait(slow.begun.is_set)
    assert not rig.transition("deactivate")
    assert state(rig) == "active"
    logged = capfd.readouterr().err
    assert "deactivate failed: the imagination of 'turn around' is still running 0.2 s after it was cancelled" in logged
    slow.released.set()
    assert code_name(rig.call(handle.get_result_async()).result.error_code) == "CANCELLED"
    assert rig.ask(mode=MOTION).error_msg == ""  # active: it accepts goals again
    assert rig.transition("deactivate")
    assert state(rig) == "inactive"


def test_an_empty_goal_stops_what_runs(own_rig):
    rig = own_rig()
    slow = SlowStep(rig.node.session.pipeline.runtime)
    rig.forget()
    rig.goal_topic.publish(String(data="walk"))
    rig.wait(slow.begun.is_set)
    rig.goal_topic.publish(String(data=""))
    rig.wait(lambda: rig.node.goal_text == "")
    slow.released.set()
    rig.wait(lambda: rig.node._worker.idle)
    assert rig.ask(goal="turn left", mode=MOTION).error_msg == ""
    rig.wait(lambda: rig.received["imagination"])
    assert {message.goal for message in rig.received["imagination"]} == {"turn left"}


def test_an_empty_goal_leaves_an_action_goal_alone(own_rig):
    rig = own_rig()
    slow = SlowStep(rig.node.session.pipeline.runtime)
    handle = rig.send(mode=MOTION)
    rig.wait(slow.begun.is_set)
    rig.node._latch_goal(String(data=""))
    slow.released.set()
    assert rig.call(handle.get_result_async()).result.error_msg == ""
