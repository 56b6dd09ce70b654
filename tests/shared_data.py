"""What some tests need beyond a checkout, and how to get it: recordings, rendered clips, a GPU, OpenGL, extras.

| variable       | folder                                                         | default   |
|----------------|----------------------------------------------------------------|-----------|
| EGOTWIN_SHARED | real recordings: ``data/aria``, ``data/cmu``                   | ../shared |
| EGOTWIN_DATA   | rendered clips: ``world/train``, ``world/val``, ``world/test`` | data      |
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("EGOTWIN_SHARED") or ROOT.parent / "shared")
DATA = Path(os.environ.get("EGOTWIN_DATA") or ROOT / "data")
CMU, ARIA = SHARED / "data/cmu", SHARED / "data/aria"

# Extra → folder of the distribution that has it.
EXTRAS = {
    extra: folder
    for folder in (".", "./training")
    for extra in tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]["optional-dependencies"]
}

Test = TypeVar("Test", bound=Callable[..., object])


def needs_shared(path: str, folder: Path = SHARED) -> pytest.MarkDecorator:
    """Skips a test where the shared folder does not hold `path`, for instance ``data/cmu/02_01.amc``."""
    wanted = folder / path
    reason = f"{wanted} is missing: set EGOTWIN_SHARED to the folder that holds {path}"
    return pytest.mark.skipif(not wanted.exists(), reason=reason)


def needs_gpu(test: Test) -> Test:
    """Marks a test `gpu` and skips it where torch sees no NVIDIA GPU."""
    import torch

    reason = "torch sees no NVIDIA GPU: run `pytest -m gpu` on a machine that has one"
    return pytest.mark.gpu(pytest.mark.skipif(not torch.cuda.is_available(), reason=reason)(test))


def missing_extra(extra: str) -> str:
    """The reason to skip a test whose package comes with an extra of one of the distributions."""
    return f"the extra `{extra}` is not installed: pip install -e '{EXTRAS[extra]}[{extra}]'"


def rendered_clips(split: str, folder: Path = DATA) -> Path:
    """The folder of one split of rendered clips; skips the test where there is none."""
    clips = folder / "world" / split
    if not (clips / "manifest.json").is_file():
        pytest.skip(
            f"no rendered clips in {clips}: make some by `egotwin data world --split {split} --out {clips.parent}`, or "
            "set EGOTWIN_DATA to the folder that holds world/"
        )
    return clips


def require_opengl() -> None:
    """Skips the test, or from a fixture all its tests, where the simulator cannot render."""
    from training.simulator.render.canvas import gl_context

    try:
        gl_context()
    except Exception as error:
        pytest.skip(f"no OpenGL without a screen ({error}): apt-get install libegl1 libgl1-mesa-dri libosmesa6")
