"""The registry of runtimes: what can be named, what "auto" takes, and what a loaded runtime says of itself."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from egotwin_model.egotwin.networks import NETWORKS
from egotwin_model.errors import ModelError
from egotwin_model.runtimes import registry
from egotwin_model.runtimes.base import Networks, Runtime, RuntimeEntry, RuntimeOptions
from egotwin_model.runtimes.registry import describe_runtimes, load_runtime, resolve_runtime, runtime_names

MINI = Path(__file__).parents[3] / "models" / "egotwin-mini"


def test_names_and_descriptions_come_from_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(_folder: Path, _options: RuntimeOptions) -> str:
        return "this machine has no abacus"

    def load(_folder: Path, _options: RuntimeOptions, _networks: Networks) -> Runtime:
        raise AssertionError("never asked to load")

    assert runtime_names() == ("auto", "onnxruntime", "torch")
    with pytest.raises(ModelError, match="runtime 'abacus' is not one of auto, onnxruntime, torch"):
        resolve_runtime(MINI, "abacus")
    entry = RuntimeEntry("abacus", "wooden beads", unavailable, load)
    monkeypatch.setitem(registry.RUNTIMES, "abacus", entry)
    assert runtime_names()[-1] == "abacus"
    assert "abacus: wooden beads" in describe_runtimes()
    with pytest.raises(ModelError, match=r"runtime 'abacus' cannot run .*: this machine has no abacus"):
        load_runtime(MINI, "abacus", networks=NETWORKS)


@pytest.mark.parametrize("name", ["openvino", "tensorrt"])
def test_runtimes_that_are_not_there_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=f"runtime '{name}' is not one of {', '.join(runtime_names())}"):
        resolve_runtime(MINI, name)


def test_auto_becomes_a_named_runtime(tmp_path: Path) -> None:
    assert resolve_runtime(MINI).name == "onnxruntime"
    assert resolve_runtime(MINI, "auto", RuntimeOptions(dtype="bfloat16")).name == "torch"
    assert resolve_runtime(tmp_path).name == "torch", "a folder without graphs"
    with pytest.raises(ModelError, match=r"onnxruntime.*torch.*device 'abacus'"):
        resolve_runtime(MINI, "auto", RuntimeOptions(device="abacus"))


def test_a_loaded_runtime_describes_itself_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "egotwin_model"):
        graphs = load_runtime(MINI, "auto", RuntimeOptions(threads=1), networks=NETWORKS)
        modules = load_runtime(MINI, "torch", RuntimeOptions(dtype="bfloat16"), networks=NETWORKS)
    assert graphs.name == "onnxruntime"
    assert graphs.description.startswith("onnxruntime ")
    assert graphs.description.endswith(", cpu, float32, 1 threads")
    assert modules.name == "torch"
    assert modules.description == f"torch {torch.__version__}, cpu, bfloat16, {torch.get_num_threads()} threads"
    assert graphs.description in caplog.text
    assert modules.description in caplog.text


def test_threads_are_those_asked_for() -> None:
    cores = len(os.sched_getaffinity(0))
    for asked, wanted in ((1, 1), (0, cores), (None, cores)):
        runtime = load_runtime(MINI, "onnxruntime", RuntimeOptions(threads=asked), networks=NETWORKS)
        assert runtime._make_session("pose_encoder").get_session_options().intra_op_num_threads == wanted  # type: ignore[attr-defined]
    before = torch.get_num_threads()
    try:
        load_runtime(MINI, "torch", RuntimeOptions(threads=before + 1), networks=NETWORKS)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_results_are_of_the_kind_of_their_input() -> None:
    features = np.random.default_rng(0).standard_normal((2, 1, 288), dtype=np.float32)
    for name in ("onnxruntime", "torch"):
        runtime = load_runtime(MINI, name, networks=NETWORKS)
        found, tensor = runtime.encode_motion(features), runtime.encode_motion(torch.from_numpy(features))
        assert isinstance(found, np.ndarray)
        assert isinstance(tensor, torch.Tensor)
        assert np.array_equal(found, tensor.numpy())


def test_the_registry_imports_no_runtime() -> None:
    code = (
        "import sys; from egotwin_model.runtimes.registry import describe_runtimes; describe_runtimes()\n"
        "print(*sorted({'torch', 'onnxruntime'} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.split() == []
