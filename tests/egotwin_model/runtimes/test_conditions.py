"""The transformer's conditions beyond the paper in both runtimes: equal, by name, and unknown where left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnxscript", reason="onnxscript is not installed")

from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.networks import NETWORKS
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.egotwin.variants import GEOMETRY
from egotwin_model.errors import ModelError
from egotwin_model.io.files import write_json
from egotwin_model.io.store import WEIGHTS, save_component
from egotwin_model.runtimes.onnx_runtime import GRAPHS, OnnxRuntime
from egotwin_model.runtimes.torch_runtime import TorchRuntime
from training.export.graphs import export_graph, transformer_graphs

CONFIG = replace(EgoTwinConfig.smoke(), **GEOMETRY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    model = EgoTwinTransformer(CONFIG).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    save_component(folder / "transformer", model)
    (folder / "onnx").mkdir()
    graphs = {
        graph: export_graph(folder / "onnx" / f"{graph}.onnx", model, f"transformer/{WEIGHTS}", function, inputs)
        for graph, _, function, inputs in transformer_graphs(CONFIG)
    }
    write_json(folder / GRAPHS, graphs)
    return folder


def step(samples: int = 3) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """The seven inputs of an evaluation, and all conditions."""
    (_, _, _, inputs), _ = transformer_graphs(CONFIG)
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(size=(samples, *value.shape[1:])).astype(np.float32)
        for name, value in inputs.items()
        if not name.startswith("t_")
    }
    times = {"t_video": np.array([700, 20, 999]), "t_motion": np.array([0, 30, 500])}
    arrays["visibility"] = rng.random((samples, *inputs["visibility"].shape[1:])).astype(np.float32)
    arrays |= {name: time[:samples] for name, time in times.items()}
    return [arrays[name] for name in list(inputs)[:7]], {name: arrays[name] for name in list(inputs)[7:]}


@pytest.mark.parametrize(
    "left_out", [(), ("prior", "visibility"), ("depth",), ("prior", "visibility", "depth")], ids=str
)
def test_both_runtimes_compute_the_same_with_what_is_known(folder: Path, left_out: tuple[str, ...]) -> None:
    inputs, conditions = step()
    known = {name: value for name, value in conditions.items() if name not in left_out}
    ours, theirs = TorchRuntime(folder, NETWORKS), OnnxRuntime(folder)
    shuffled = dict(reversed(known.items()))  # by name, not by place
    for motion_only in (False, True):
        found = theirs.denoise(*inputs, motion_only=motion_only, **shuffled)
        wanted = ours.denoise(*inputs, motion_only=motion_only, **known)
        for a, b in zip(found, wanted, strict=True):
            assert (a is None) == (b is None)
            assert a is None or np.abs(a - b).max() < 1e-4 * np.abs(b).max()


def test_every_condition_reaches_the_graph(folder: Path) -> None:
    runtime, (inputs, conditions) = OnnxRuntime(folder), step()
    wanted = runtime.denoise(*inputs, motion_only=False, **conditions)
    for name, value in conditions.items():
        found = runtime.denoise(*inputs, motion_only=False, **{**conditions, name: 0 * value})
        assert max(np.abs(a - b).max() for a, b in zip(found, wanted, strict=True)) > 1e-4, name


def test_other_conditions_are_refused_by_name(folder: Path) -> None:
    runtime, (inputs, conditions) = OnnxRuntime(folder), step()
    wrong: Any = {**conditions, "camera": inputs[1]}
    with pytest.raises(ModelError, match="as further conditions prior, visibility, gravity, depth"):
        runtime.denoise(*inputs, motion_only=False, **wrong)
    for either in (runtime, TorchRuntime(folder, NETWORKS)):
        with pytest.raises(ModelError, match="pass gravity too"):
            either.denoise(*inputs, motion_only=True, depth=conditions["depth"])
