"""MiniLM and other masked text encoders without torch: the tokenizers library, and a network that a runtime runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json
from egotwin_model.runtimes.base import TextNetwork
from egotwin_model.text.recent import RecentStates

TOKENIZER = "tokenizer.json"


class OnnxTextEncoder:
    """Token states of texts as `encoders.TextEncoder` gives them for the same folder, as NumPy arrays.

    Args:
        folder: a Hugging Face model folder with ``tokenizer.json`` and ``tokenizer_config.json``.
        length: number of token states returned.
        network: the encoder's network.

    Raises:
        ModelError: a tokenizer file is missing or cannot be read.
    """

    def __init__(self, folder: Path, length: int, network: TextNetwork) -> None:
        self.folder, self.length, self.network = folder, length, network
        self._tokenizer = _load_tokenizer(folder)
        self._recent: RecentStates[NDArray[np.float32]] = RecentStates()

    def truncated(self, text: str) -> str:
        """The end of `text` that does not fit into `length` tokens; empty where all of it does."""
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        ids = self._tokenizer.encode(text).ids
        if len(ids) <= self.length:
            return ""
        return self._tokenizer.decode(ids[self.length - 1 : -1], skip_special_tokens=False)

    def __call__(self, texts: list[str]) -> NDArray[np.float32]:
        """Last hidden states (B, length, text_dim); zero after a text's end."""
        self._tokenizer.enable_truncation(self.length)
        self._tokenizer.enable_padding(length=self.length, **self._padding)
        encodings = self._tokenizer.encode_batch(texts)
        ids, mask = (
            np.array([getattr(encoding, part) for encoding in encodings], dtype=np.int64)
            for part in ("ids", "attention_mask")
        )
        return self.network(ids, mask) * mask[..., None].astype(np.float32)

    def cached(self, text: str) -> NDArray[np.float32]:
        """States of one text, (1, length, text_dim), from memory or computed."""
        return self._recent.get(text, lambda text: self([text]))

    @property
    def _padding(self) -> dict[str, Any]:
        token = read_json(self.folder / "tokenizer_config.json")["pad_token"]
        return {"pad_token": token, "pad_id": self._tokenizer.token_to_id(token)}


def _load_tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    path = folder / TOKENIZER
    if not path.is_file():
        raise ModelError(f"{path} is missing; reinstall the package that carries it")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no class of its own
        raise ModelError(f"the tokenizer {path} cannot be read: {error}") from error
