"""What the node holds from configure to cleanup: parameters, the loaded model, inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egotwin_ros.inputs import InputBuffer, Observation
from egotwin_ros.msg import Imagination
from egotwin_ros.outputs import Outputs, imagination_messages
from egotwin_ros.parameters import ImagineParameters
from egotwin_ros.request import Request, imagine

if TYPE_CHECKING:
    from egotwin_model.egotwin.pipeline import EgoTwinPipeline, ModelInfo


def load_pipeline(parameters: ImagineParameters) -> EgoTwinPipeline:
    """The model of the parameters' folder, ready for a first goal; `ModelError` where it is missing or altered."""
    from egotwin_model.egotwin.pipeline import EgoTwinPipeline  # takes seconds

    pipeline = EgoTwinPipeline.from_pretrained(parameters.model_path, runtime=parameters.runtime)
    pipeline.runtime.prepare()
    return pipeline


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
        """What the request starts from; waits for it where the request asks for an image that is still to come.

        Args:
            request: checked.
            now: reads the node's clock [ns].
            stopped: asked while waiting.

        Raises:
            Cancelled, and the errors of `InputBuffer.wait` and `InputBuffer.observe`.
        """
        if request.not_before_ns:
            self.inputs.wait(request.not_before_ns, stopped)
        return self.inputs.observe(now(), self.info.camera, self.info.mount, request.not_before_ns)

    def imagine(
        self, request: Request, seen: Observation, progress: Callable[[int, int], None]
    ) -> tuple[list[Imagination], Callable[[], None]]:
        """Runs the model; the messages, and a call that publishes them."""
        outcome = imagine(self.pipeline, request, seen, self.parameters, progress)
        messages = imagination_messages(outcome, request, seen, self.info)
        return messages, lambda: self.outputs.publish(messages, outcome, self.info)
