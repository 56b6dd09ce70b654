"""The name that examples and users import."""

from __future__ import annotations

import pytest

import training.datasets
from training.datasets.clips import dataset


def test_open_clips_is_imported_from_the_package() -> None:
    assert training.datasets.open_clips is dataset.open_clips
    assert training.datasets.__all__ == ["open_clips"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        training.datasets.nothing  # noqa: B018
