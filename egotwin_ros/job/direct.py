"""Imagines from a recording in this process, without ROS: the node's own parts, fed with the recorded messages."""

from __future__ import annotations

import sys
from collections.abc import Callable

from egotwin_model.io.images import decode_image
from egotwin_ros.conversions import nanoseconds
from egotwin_ros.input_topics import topics_for
from egotwin_ros.inputs import InputBuffer
from egotwin_ros.job.answer import Answer, Task
from egotwin_ros.job.times import Times
from egotwin_ros.memory_thread import MemoryThread, remembering
from egotwin_ros.messages import BAG
from egotwin_ros.model_call import imagine, load, load_depth
from egotwin_ros.request import Progress, Report


def answer(task: Task, times: Times, report: Report, check: Callable[[], None]) -> Answer:
    """The imagined futures.

    Args:
        report: called with step, steps and seconds left.
        check: raises where the command was interrupted.

    Raises:
        EgoTwinError: bad input, by the class of its fault.
    """
    check()
    with times.measure("model"):
        pipeline = load(task.parameters)
    check()

    def stopped() -> bool:
        check()
        return False

    info = pipeline.info
    with times.measure("imagination"):
        request = task.request.checked(info, task.parameters)
        inputs = InputBuffer(task.parameters, decode_image)
        estimate = load_depth(task.parameters, pipeline.runtime.name)
        with remembering(task.parameters, inputs, info, estimate, _warn) as memory:
            _fill(inputs, memory, task)
            observation = inputs.observe(task.moment_ns, info.camera, info.mount, request.not_before_ns)
            known = memory.feed.known_at(observation.stamp_ns, observation.frame_id) if memory is not None else None
        outcome = imagine(pipeline, request, observation, known, task.parameters, Progress(stopped, report))
        result = Answer(BAG.imaginations(outcome, request, observation, info))
        for image, camera_info in BAG.video(outcome, observation, info, task.parameters.camera_frame_id):
            stamp_ns = nanoseconds(image.header.stamp)
            result.images[stamp_ns], result.camera_infos[stamp_ns] = image, camera_info
    return result


def _warn(text: str) -> None:
    print(text, file=sys.stderr)


def _fill(inputs: InputBuffer, memory: MemoryThread | None, task: Task) -> None:
    """Brings what the node would have received from a replay up to the moment, without losing an image."""
    recording = task.recording
    topics = [topic for topic in topics_for(task.parameters.depth_source) if topic.name in recording.topics]
    names = {recording.topics[topic.name]: topic.name for topic in topics}
    for topic in topics:
        if topic.may_be_sent_once:
            inputs.add(topic.name, recording.latest(recording.topics[topic.name], task.moment_ns))
    for recorded, _, message in recording.bag.messages(list(names), task.begin_ns, task.moment_ns + 1):
        inputs.add(names[recorded], message)
        if memory is not None:
            memory.receive(names[recorded], message)
            memory.finish()
