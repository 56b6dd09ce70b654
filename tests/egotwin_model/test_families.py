"""The registry of model families: a folder's model_index.json chooses the pipeline's class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from egotwin_model import families
from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from egotwin_model.errors import ModelError
from egotwin_model.families import ModelFamily, load_pipeline
from egotwin_model.io.files import write_json

MINI = Path(__file__).parents[2] / "models" / "egotwin-mini"


def test_the_shipped_folder_is_an_egotwin() -> None:
    pipeline = load_pipeline(MINI, "onnxruntime", threads=1)
    assert type(pipeline) is EgoTwinPipeline
    assert pipeline.runtime.name == "onnxruntime"
    assert pipeline.runtime.options.threads == 1


@pytest.mark.parametrize("index", [{"_class_name": "DreamPipeline"}, {}, []])
def test_an_unknown_class_is_refused_with_the_known_ones(tmp_path: Path, index: object) -> None:
    write_json(tmp_path / "model_index.json", index)
    named = "'DreamPipeline'" if index == {"_class_name": "DreamPipeline"} else "None"
    with pytest.raises(ModelError, match=rf"model_index\.json.*{named}; known are EgoTwinPipeline"):
        load_pipeline(tmp_path)


def test_missing_folders_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        load_pipeline(tmp_path / "nothing")
    with pytest.raises(ModelError, match=r"model_index\.json is missing"):
        load_pipeline(tmp_path)
    write_json(tmp_path / "manifest.json", {"files": {}})
    write_json(tmp_path / "model_index.json", {"_class_name": "DreamPipeline"})
    with pytest.raises(ModelError, match=r"'DreamPipeline'.*load_pipeline"):
        EgoTwinPipeline.from_pretrained(tmp_path)


def test_a_second_family_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class DreamPipeline:
        def __init__(self, path: Path, runtime: str, **options: Any) -> None:
            self.loaded = path, runtime, options

    monkeypatch.setitem(families.FAMILIES, "DreamPipeline", ModelFamily("DreamPipeline", DreamPipeline))
    write_json(tmp_path / "model_index.json", {"_class_name": "DreamPipeline"})
    pipeline = load_pipeline(str(tmp_path), "torch", dtype="bfloat16")
    assert isinstance(pipeline, DreamPipeline)
    assert pipeline.loaded == (tmp_path, "torch", {"dtype": "bfloat16"})
