"""The parts of a configured node: parameters, the loaded model, inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egotwin_ros.inputs import InputBuffer
from egotwin_ros.memory_thread import MemoryThread
from egotwin_ros.messages import ROS
from egotwin_ros.model_call import imagine
from egotwin_ros.msg import Imagination
from egotwin_ros.observation import Observation
from egotwin_ros.outputs import Outputs
from egotwin_ros.parameters import ImagineParameters
from egotwin_ros.request import Request

if TYPE_CHECKING:
    from egotwin_model.egotwin.pipeline import EgoTwinPipeline, ModelInfo


@dataclass(frozen=True)
class Session:
    """A configured node's parts."""

    parameters: ImagineParameters
    pipeline: EgoTwinPipeline
    inputs: InputBuffer
    outputs: Outputs
    memory: MemoryThread | None = None
    """None where nothing is remembered."""

    def receive(self, name: str, message: Any) -> None:
        """Takes a message of the input topic of this name."""
        self.inputs.add(name, message)
        if self.memory is not None:
            self.memory.receive(name, message)

    def remember(self) -> None:
        """Remembers what comes from now on."""
        if self.memory is not None:
            self.memory.resume()

    def forget(self, because: str, *, pause: bool = False) -> None:
        """Forgets what is remembered; with ``pause``, remembers nothing until `remember`."""
        if self.memory is not None:
            (self.memory.pause if pause else self.memory.clear)(because)

    def show_memory(self, now_ns: int) -> None:
        """Publishes what is remembered, for those who subscribe."""
        if self.memory is not None:
            self.outputs.publish_memory(self.memory.feed, now_ns)

    def memory_values(self) -> dict[str, object]:
        """What is remembered, for diagnostics."""
        return {} if self.memory is None else self.memory.values()

    def close(self) -> None:
        """Ends the memory's thread and removes the publishers."""
        if self.memory is not None:
            self.memory.stop(self.parameters.stop_timeout_s)
        self.outputs.destroy()

    @property
    def info(self) -> ModelInfo:
        """Of the loaded model."""
        return self.pipeline.info

    def observe(self, request: Request, now: Callable[[], int], stopped: Callable[[], bool]) -> Observation:
        """The instant from which the request starts; waits for its image where that is still to come.

        Args:
            request: checked.
            now: reads the node's clock [ns].
            stopped: whether to cancel; asked while waiting.

        Raises:
            Cancelled, and the errors of `InputBuffer.wait` and `InputBuffer.observe`.
        """
        if request.not_before_ns:
            self.inputs.wait(request.not_before_ns, stopped)
        return self.inputs.observe(now(), self.info.camera, self.info.mount, request.not_before_ns)

    def imagine(
        self, request: Request, observation: Observation, progress: Callable[[int, int], None]
    ) -> tuple[list[Imagination], Callable[[], None]]:
        """Runs the model; the messages, and a call that publishes them."""
        known = None
        if self.memory is not None:
            known = self.memory.feed.known_at(observation.stamp_ns, observation.frame_id)
        outcome = imagine(self.pipeline, request, observation, known, self.parameters, progress)
        messages = ROS.imaginations(outcome, request, observation, self.info)
        return messages, lambda: self.outputs.publish(messages, outcome, observation, self.info)
