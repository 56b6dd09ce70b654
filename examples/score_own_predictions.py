"""Your own model on the benchmark, from outside the package: NumPy and safetensors are all it needs.

The predictor here is the simplest there is, constant velocity from the first two poses; put yours in its place.

    egotwin evaluate --data data/world --clips 64 --mode T2M --known-poses 2 --tasks tasks
    python examples/score_own_predictions.py tasks mine
    egotwin evaluate --data data/world --clips 64 --no-model --predictions mine --report report
"""

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


def predict(text: str, task: dict[str, np.ndarray], poses: int, head: int) -> dict[str, np.ndarray]:
    """The body's first pose, carried on along a straight line; pose 0 is the given one, in the same frame."""
    positions, rotations = task["positions"], task["rotations"]  # (2, 23, 3) metres, (2, 23, 3, 3)
    step = positions[1, head] - positions[0, head]
    path = np.arange(poses)[:, None, None] * step
    return {
        "positions": (positions[0] + path).astype(np.float32),
        "rotations": np.repeat(rotations[:1], poses, axis=0).astype(np.float32),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", type=Path, help="folder written by `egotwin evaluate --tasks`")
    parser.add_argument("out", type=Path, help="folder for the predictions")
    options = parser.parse_args()

    asked = json.loads((options.tasks / "tasks.json").read_text(encoding="utf-8"))
    if asked["known_poses"] < 2:
        raise SystemExit("constant velocity needs two poses: write the tasks with --known-poses 2")
    options.out.mkdir(parents=True, exist_ok=True)
    about = {
        "format": "egotwin-predictions/1",
        "name": "constant velocity, from outside",
        "mode": "T2M",
        "frame_rate": asked["frame_rate"],
        "pose_rate": asked["pose_rate"],
        "told": "the second pose",
    }
    (options.out / "predictions.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
    for task in asked["tasks"]:
        name = f"clip-{task['clip']:05d}.safetensors"
        told = load_file(options.tasks / name)
        save_file(predict(task["text"], told, asked["poses"], asked["joints"].index("Head")), options.out / name)
    print(f"{len(asked['tasks'])} predictions in {options.out}")


if __name__ == "__main__":
    main()
