"""The parts of a configured node: parameters, the loaded model, inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egotwin_ros.inputs import InputBuffer, Observation
from egotwin_ros.messages import ROS
from egotwin_ros.model_call import imagine
from egotwin_ros.msg import Imagination
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
        outcome = imagine(self.pipeline, request, observation, self.parameters, progress)
        messages = ROS.imaginations(outcome, request, observation, self.info)
        return messages, lambda: self.outputs.publish(messages, outcome, observation, self.info)
