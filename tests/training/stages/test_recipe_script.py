"""The script that makes a model from nothing, at the smallest size. Alone in its file: it takes one process long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ...shared_data import missing_extra

pytest.importorskip("mujoco", reason=missing_extra("world"))
pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from training.stages.recipes import STAGES

ROOT = Path(__file__).parents[3]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_whole_recipe_is_one_command(tmp_path: Path) -> None:
    """examples/train_mini.sh at the smallest size: clips, stages, a model folder."""
    settings = {
        "CONFIG": "smoke", "CLIPS": "4 1 1", "PROCESSES": "1", "EXPORT": "--no-graphs", "DATA": str(tmp_path / "data"),
        "RUNS": str(tmp_path / "runs"), "OUT": str(tmp_path / "model"), "PYTHON": sys.executable,
        "EGOTWIN": str(Path(sys.executable).with_name("egotwin")), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    done = subprocess.run(
        [ROOT / "examples/train_mini.sh"], env={**os.environ, **settings}, cwd=ROOT, capture_output=True, text=True,
        timeout=850,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    manifest = json.loads((tmp_path / "model/manifest.json").read_text())
    assert list(manifest["stages"]) == list(STAGES)
    assert manifest["clips"]["finished"] == 4
    EgoTwinPipeline.from_pretrained(tmp_path / "model", runtime="torch")
