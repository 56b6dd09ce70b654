"""The benchmark's inputs as plain files, for models outside this package (docs/evaluation.md).

```
DIR/tasks.json                 mode, rates, sizes, and for each clip its number, text, intrinsics and T_head_camera
DIR/clip-00012.safetensors     image uint8 (H, W, 3) · positions (K, 23, 3) m · rotations (K, 23, 3, 3), K known
                               TV2M also video uint8 (F, H, W, 3); TM2V all T poses
```
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tqdm import tqdm

from egotwin_model.geometry.skeleton import XSENS_JOINTS
from egotwin_model.io.files import write_atomically, write_json
from training.evaluation.benchmark.predictions import clip_name
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.metrics.predicted_clip import Mode


def write_tasks(benchmark: Benchmark, mode: Mode, folder: Path, known_poses: int = 1) -> None:
    """Write the inputs of every clip; tasks.json comes last, so a folder that has it is complete.

    Raises:
        PredictionError: `known_poses` is below 1 or more than a clip has.
    """
    first = benchmark.clip(benchmark.numbers[0])
    if not 1 <= known_poses <= len(first.positions):
        raise PredictionError(
            f"{known_poses} known poses; a clip has {len(first.positions)}, the first one is always given"
        )
    tasks = []
    for number in tqdm(benchmark.numbers, desc="tasks", leave=False):
        clip = benchmark.clip(number)
        camera = {"camera": asdict(clip.camera), "T_head_camera": clip.mount.matrix.tolist()}
        tasks.append({"clip": number, "text": clip.text, **camera})
        known = len(clip.positions) if mode == "TM2V" else known_poses
        arrays = {"image": clip.frames[0], "positions": clip.positions[:known], "rotations": clip.rotations[:known]}
        if mode == "TV2M":
            arrays["video"] = clip.frames
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        path = folder / f"{clip_name(number)}.safetensors"
        write_atomically(path, lambda temporary, a=whole: save_file(a, temporary))  # type: ignore[misc]
    write_json(
        folder / "tasks.json",
        {
            "mode": mode, "known_poses": known_poses, "frame_rate": benchmark.frame_rate,
            "pose_rate": benchmark.pose_rate, "frames": len(first.frames), "poses": len(first.positions),
            "joints": XSENS_JOINTS, "tasks": tasks,
        },
    )  # fmt: skip
