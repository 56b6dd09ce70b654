"""The names that `egotwin_model` itself offers: complete, lazy, and the same for a type checker."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import egotwin_model

SOURCE = ast.parse(Path(str(egotwin_model.__file__)).read_text(encoding="utf-8"))


def test_the_public_surface_is_there() -> None:
    wanted = {
        "XSENS_JOINTS", "XSENS_PARENTS", "reference_offsets", "forward_kinematics", "HeadCentric", "RootCentric",
        "BodyMotion", "BodyState", "interaction_mask", "attend", "EgoTwinTransformer", "EgoTwinConfig",
        "load_cogvideox", "MotionVAE", "EgoTwinPipeline", "load_pipeline", "Guidance", "Solver", "Pinhole", "Mount",
        "Imagination", "Prior", "ModelInfo", "SceneMemory", "DepthEstimator",
    }  # fmt: skip
    assert wanted <= set(egotwin_model.__all__)


@pytest.mark.parametrize("name", egotwin_model.__all__)
def test_a_name_is_the_one_of_its_module(name: str) -> None:
    module = importlib.import_module(f"egotwin_model.{egotwin_model._MODULES[name]}")
    assert getattr(egotwin_model, name) is getattr(module, name)


def test_lists_for_users_type_checkers_and_imports_agree() -> None:
    checked = next(node for node in SOURCE.body if isinstance(node, ast.If))
    typed = {
        alias.name: str(node.module).removeprefix("egotwin_model.")
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == egotwin_model._MODULES
    assert sorted(egotwin_model.__all__) == sorted(typed)
    assert set(egotwin_model.__all__) <= set(dir(egotwin_model))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'SceneDreamer'"):
        _ = egotwin_model.SceneDreamer
