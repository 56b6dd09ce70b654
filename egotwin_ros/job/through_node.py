"""Imagines from a recording through ROS: starts the node, replays to it up to the moment, and sends it a goal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions

from egotwin_model.io.bags import typestore
from egotwin_ros import bringup
from egotwin_ros.action import Imagine
from egotwin_ros.input_topics import topics_for
from egotwin_ros.job.answer import Answer, Task
from egotwin_ros.job.client import ImagineClient
from egotwin_ros.job.process import NodeProcess, enter_domain
from egotwin_ros.job.times import Times
from egotwin_ros.messages import ROS
from egotwin_ros.msg import BodyTrajectory
from egotwin_ros.nodes.replay_node import Player
from egotwin_ros.parameters import ImagineParameters
from egotwin_ros.request import MODE_NUMBERS, Report, Request

START_TIMEOUT_S, TIMEOUT_S = 300.0, 3600.0


def answer(task: Task, times: Times, report: Report, check: Callable[[], None]) -> Answer:
    """The imagined futures; arguments as in `direct.answer`.

    Raises:
        EgoTwinError: bad input, by the class of its fault.
        RuntimeError, TimeoutError: the node died or does not answer.
    """
    enter_domain()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        with NodeProcess(bringup.IMAGINE, *_node_settings(task)) as child:
            return _converse(task, child, times, report, check)
    finally:
        rclpy.try_shutdown()


def _node_settings(task: Task) -> tuple[dict[str, object], list[str]]:
    """The node's arguments and further parameters (``name:=value``)."""
    default, own = ImagineParameters(), {argument.name for argument in bringup.IMAGINE.arguments}
    changed = {
        name: value for name, value in dataclasses.asdict(task.parameters).items() if value != getattr(default, name)
    }
    values = {"use_sim_time": True, **{name: changed.pop(name) for name in own & set(changed)}}
    # A lost message would change the moment that is imagined from; by default the node subscribes with best effort.
    extra = [f"qos_overrides.{name}.subscription.reliability:=reliable" for name in task.topics.values()]
    return values, [*extra, *(f"{name}:={json.dumps(value)}" for name, value in changed.items())]


def _converse(task: Task, child: NodeProcess, times: Times, report: Report, check: Callable[[], None]) -> Answer:
    node = Node("egotwin_imagine")

    def alive() -> None:
        check()
        child.check()

    client = ImagineClient(node, alive)
    player = Player(node, task.recording.bag, task.rate, task.topics)
    with times.measure("start and model"):
        client.wait_active(START_TIMEOUT_S)
        client.wait(player.subscribed, 30.0, "the node's subscriptions")
    with times.measure("replay"):
        for topic in topics_for(task.parameters.depth_source):
            if topic.may_be_sent_once and topic.name in task.recording.topics:
                player.publish_latest(task.recording.topics[topic.name], task.begin_ns)
        player.play(task.begin_ns, task.moment_ns)
    with times.measure("imagination"):  # the node waits for the goal's image
        try:
            result = client.imagine(action_goal(task.request), report, TIMEOUT_S)
        except RuntimeError as error:  # a defect: the node's log has its traceback
            raise RuntimeError(f"{error}\nthe node's log ends with:\n{child.log()[-3000:]}") from error
    node.destroy_node()
    return result


def action_goal(request: Request) -> Any:
    """The request as a goal of action/Imagine.action."""
    goal = Imagine.Goal(
        goal=request.goal,
        not_before=ROS.time(request.not_before_ns),
        horizon_s=request.horizon_s,
        num_samples=request.num_samples,
        seed=request.seed,
        mode=MODE_NUMBERS[request.mode],
    )
    if request.motion is not None:
        cdr = typestore().serialize_cdr(request.motion, request.motion.__msgtype__)
        goal.motion = deserialize_message(bytes(cdr), BodyTrajectory)
    return goal
