"""The shared folder is found in a source tree, in a wheel and in an ament prefix; else it is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from egotwin_model.errors import InstallationError
from egotwin_model.io import share

ROOT = Path(__file__).parents[3]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site-packages folder that this module believes to be installed in, with no shared files anywhere."""
    packages = tmp_path / "prefix/lib/python3/site-packages"
    monkeypatch.setattr(share, "__file__", str(packages / "egotwin_model/io/share.py"))
    monkeypatch.setattr(share.sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    return packages


def _filled(folder: Path) -> Path:
    (folder / "msg").mkdir(parents=True)
    (folder / "msg/Imagination.msg").write_text("")
    return folder


def test_the_source_tree_is_found() -> None:
    assert share.share_folder() == ROOT
    for name in (
        "models/egotwin-mini/model_index.json",
        "msg/BodyPose.msg",
        "config/imagine.yaml",
        "launch",
        "examples",
    ):
        assert (share.share_folder() / name).exists()


def test_a_wheels_folder_is_found(installed: Path) -> None:
    folder = _filled(installed / "egotwin_model/share")
    assert share.share_folder() == folder


def test_an_ament_prefix_is_found(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _filled(tmp_path / "workspace/install/share/egotwin_ros")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/opt/ros/none:{tmp_path / 'workspace/install'}:")
    assert share.share_folder() == folder


def test_the_environments_own_prefix_is_found(installed: Path, tmp_path: Path) -> None:
    folder = _filled(tmp_path / "prefix/share/egotwin_ros")
    assert share.share_folder() == folder


def test_a_missing_folder_is_refused_with_the_places_tried(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/none")
    with pytest.raises(InstallationError, match=r"/opt/ros/none/share/egotwin_ros.*source its workspace"):
        share.share_folder()
