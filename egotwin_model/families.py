"""The model families this library can run; a folder's ``model_index.json`` says with ``_class_name`` which it is.

A further family is a room beside `egotwin/` and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json


@dataclass(frozen=True)
class ModelFamily:
    """One family of models.

    Attributes:
        class_name: of its pipeline, as ``model_index.json`` names it.
        load: the pipeline of a model folder: (path, runtime, **options), see `EgoTwinPipeline.from_pretrained`.
    """

    class_name: str
    load: Callable[..., Any]


def _egotwin(path: Path, runtime: str, **options: Any) -> Any:
    from egotwin_model.egotwin.pipeline import EgoTwinPipeline  # takes seconds where torch is needed

    return EgoTwinPipeline.from_pretrained(path, runtime, **options)


FAMILIES: dict[str, ModelFamily] = {family.class_name: family for family in (ModelFamily("EgoTwinPipeline", _egotwin),)}


def load_pipeline(path: str | Path, runtime: str = "auto", **options: Any) -> Any:
    """The pipeline of the model folder at `path`, of the class that its ``model_index.json`` names.

    Args:
        path: model folder.
        runtime: a name of `runtimes.registry.runtime_names`.
        options: of the pipeline's `from_pretrained`: device, dtype, threads, offload, tiling, text_cache.

    Raises:
        ModelError: no such folder, an unknown class, or what the pipeline's `from_pretrained` refuses.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ModelError(f"model folder {folder} does not exist; give the path of a folder with model_index.json")
    index = read_json(folder / "model_index.json")
    name = index.get("_class_name") if isinstance(index, dict) else None
    if name not in FAMILIES:
        raise ModelError(
            f"{folder / 'model_index.json'} names the pipeline class {name!r}; known are {', '.join(FAMILIES)}"
        )
    return FAMILIES[name].load(folder, runtime, **options)
