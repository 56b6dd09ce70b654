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
    from egotwin_model.pipeline import EgoTwinPipeline, ModelInfo


def load_pipeline(parameters: ImagineParameters) -> EgoTwinPipeline:
    """The model of the parameters' folder; `ModelError` where it is missing or altered."""
    from egotwin_model.pipeline import EgoTwinPipeline  # takes seconds

    return EgoTwinPipeline.from_pretrained(parameters.model_path, runtime=parameters.runtime)


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

    def prepare(self, request: Request, now_ns: int) -> tuple[Request, Observation]:
        """The request checked and filled in, and what it starts from; raises the errors of both."""
        checked = request.checked(self.info, self.parameters)
        return checked, self.inputs.observe(now_ns, self.info.camera, self.info.mount)

    def imagine(
        self, request: Request, seen: Observation, progress: Callable[[int, int], None]
    ) -> tuple[list[Imagination], Callable[[], None]]:
        """Runs the model; the messages, and a call that publishes them."""
        outcome = imagine(self.pipeline, request, seen, self.parameters, progress)
        messages = imagination_messages(outcome, request, seen, self.info)
        return messages, lambda: self.outputs.publish(messages, outcome, self.info)
