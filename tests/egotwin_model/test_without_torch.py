"""What runs on a robot without torch: single modules, the public names that need none, and a whole imagination."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import egotwin_model

ROOT = Path(__file__).parents[2]
HEAVY = "{'torch', 'transformers', 'diffusers', 'safetensors.torch'}"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for part in (
        "geometry/*.py", "depth/[efghs]*.py", "depth/network_*.py",
        "latents/timing.py", "io/files.py", "io/store.py", "io/weights.py", "io/bags.py",
        "motion/head_*.py", "motion/r*.py", "motion/statistics.py", "diffusion/[mns]*.py", "runtimes/base.py",
        "runtimes/registry.py", "runtimes/*_runtime.py", "text/[fglor]*.py", "egotwin/clip_codec.py",
        "egotwin/config.py", "egotwin/generation.py", "egotwin/imagination.py", "egotwin/networks.py",
        "egotwin/pipeline.py", "egotwin/rolling.py", "egotwin/variants.py", "egotwin/flops.py", "families.py",
        "errors.py",
    )
    for path in (ROOT / "egotwin_model").glob(part)
    if path.name != "__init__.py"
)  # fmt: skip
NEED_TORCH = {
    "CausalVideoVAE", "EgoTwinTransformer", "MotionVAE", "MotionVAEConfig", "VideoVAEConfig", "attend",
    "interaction_mask", "load_cogvideox",
}  # fmt: skip


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    script = f"import sys\n{code}\nprint('loaded:', *sorted({HEAVY} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=240)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_modules_of_the_onnx_path_import_no_torch() -> None:
    """Each by itself: what one imports must not hide behind what another has imported."""
    assert len(MODULES) > 35
    code = (
        "import importlib\n"
        f"for name in {MODULES}:\n"
        "    for loaded in [m for m in sys.modules if m.startswith('egotwin_model')]:\n"
        "        del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
        f"    assert not {HEAVY} & sys.modules.keys(), name\n"
    )
    assert run(code).split() == ["loaded:"]


def test_public_names_that_compute_without_torch_import_without_it() -> None:
    assert set(egotwin_model.__all__) >= NEED_TORCH
    light = sorted(set(egotwin_model.__all__) - NEED_TORCH)
    code = f"import egotwin_model\nfor name in {light}:\n    getattr(egotwin_model, name)"
    assert run(code).split() == ["loaded:"]


@pytest.mark.parametrize("torch_is_installed", [True, False])
def test_the_shipped_model_imagines_without_torch(torch_is_installed: bool) -> None:
    """From the shipped recording; also where torch and transformers cannot be imported at all."""
    code = (
        """
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'transformers', 'diffusers'):
            raise ModuleNotFoundError(name=name)
"""
        + ("" if torch_is_installed else "sys.meta_path.insert(0, Absent())\n")
        + """
import numpy as np
from egotwin_model import BodyMotion, BodyState, forward_kinematics, load_pipeline, reference_offsets
rotations = np.tile(np.eye(3), (23, 1, 1))
pose = BodyState(forward_kinematics(np.array([0.0, 0.0, 0.93]), rotations, reference_offsets()), rotations)
pipeline = load_pipeline('models/egotwin-mini', 'onnxruntime')
image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
joint = pipeline('turn left', image, pose, num_steps=2, seed=1)
assert joint.frames.shape == (1, 41, 64, 64, 3) and joint.motion.positions.shape == (1, 81, 23, 3)
assert joint.frames.dtype == np.uint8 and joint.motion.positions.dtype == np.float32
body = pipeline('turn left', image, pose, mode='motion', num_steps=2, seed=1)
given = BodyMotion(*(part[0] for part in vars(body.motion).values()))
pipeline('turn left', image, pose, mode='video', motion=given, num_steps=1)
pipeline('turn left', image, pose, mode='motion', video=joint.frames[0], num_steps=1)
rolled = pipeline.roll('turn left', image, pose, horizon_s=7.0, num_steps=1, seed=1)
assert rolled.frames.shape[1] == 57
"""
    )
    assert run(code).split() == ["loaded:"]
