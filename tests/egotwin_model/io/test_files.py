from __future__ import annotations

from pathlib import Path

import pytest

from egotwin_model.io.files import whole_folder


def fill_a_full_disk(target: Path) -> None:
    with whole_folder(target) as temporary:
        (temporary / "b").write_text("half")
        raise OSError("the disk is full")


def test_a_folder_takes_its_name_only_when_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "model"
    with whole_folder(target) as temporary:
        (temporary / "a").write_text("old")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["model"]
    with pytest.raises(OSError, match="full"):
        fill_a_full_disk(target)
    assert [path.name for path in target.parent.iterdir()] == ["model"]
    assert [path.name for path in target.iterdir()] == ["a"]
    with whole_folder(target) as temporary:
        (temporary / "b").write_text("new")
    assert [path.name for path in target.iterdir()] == ["b"]
