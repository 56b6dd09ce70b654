"""Chooses what encodes a model's goals: the runtime's own text network where it has one, else transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from egotwin_model.runtimes.base import Runtime, RuntimeOptions
from egotwin_model.text.folders import encoder_folder
from egotwin_model.text.onnx_encoder import OnnxTextEncoder


class GoalEncoder(Protocol):
    """Goals in words to token states."""

    length: int
    """Number of token states."""

    def truncated(self, text: str) -> str:
        """The end of `text` that does not fit into `length` tokens; empty where all of it does."""
        ...

    def cached(self, text: str) -> Any:
        """States of one text, float32 (1, length, text_dim): a NumPy array, or a torch tensor on the CPU."""
        ...


def load_goal_encoder(folder: Path, name: str, length: int, options: RuntimeOptions, runtime: Runtime) -> GoalEncoder:
    """The encoder that a model folder's ``model_index.json`` names, for a loaded runtime.

    Args:
        name: a folder inside `folder`, or a Python package.
        length: number of token states.

    Raises:
        ModelError: the encoder is missing or damaged.
    """
    network = runtime.text_network(name, encoder_folder(folder, name))
    if network is not None:
        return OnnxTextEncoder(encoder_folder(folder, name), length, network)
    from egotwin_model.text.encoders import load_text_encoder

    return load_text_encoder(folder, name, length, options, getattr(runtime, "residence", None))
