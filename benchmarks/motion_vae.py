"""How well a model's motion VAE keeps motion: simulated clips it has not seen, and real ones of a kind it never saw.

python -m benchmarks.motion_vae --model models/egotwin-mini --data data/world --mocap DIR

For comparison: the best linear codec of the same size, fitted on the train split: 64 numbers for four poses.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from egotwin_model.errors import EgoTwinError
from egotwin_model.io.store import load_tensors, verify
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.motion.vae import MotionVAE, MotionVAEConfig, initialise_linear_path, load_motion_vae
from training.datasets.clips.dataset import open_clips
from training.datasets.mocap.capture_folder import CaptureFolder
from training.simulator.synthetic_motion import RATE_HZ
from training.stages.motion import START_CLIPS, features_of

POSES = 81  # of a clip


def mocap_features(folder: Path) -> Tensor:
    """Features (N, 81, 288) of every 5 s, by halves, of the motion capture in a folder."""
    windows = []
    for motion in CaptureFolder.load(folder).motions:
        frames = np.arange(0, len(motion.pelvis), motion.rate_hz / RATE_HZ).round().astype(int)
        positions, rotations = motion.positions()[frames], motion.rotations[frames]
        for start in range(0, len(frames) - POSES + 1, POSES // 2):
            shown = slice(start, start + POSES)
            windows.append(HeadCentric().encode(positions[shown], rotations[shown]))
    return torch.from_numpy(np.stack(windows)).float()


@torch.no_grad()
def errors(vae: MotionVAE, statistics: MotionStatistics, features: Tensor) -> dict[str, float]:
    """Mean errors of clips (N, 81, 288) that went through the VAE."""
    decoded = torch.cat([vae.decode(vae.encode(part).mode()) for part in statistics.normalise(features).split(64)])
    truth, found = (HeadCentric().decode_in_clip_frame(x) for x in (features, statistics.denormalise(decoded)))
    cosine = ((truth.head_rotations * found.head_rotations).sum((-1, -2)) - 1) / 2
    steps = (truth.head_positions - found.head_positions).diff(dim=1)
    return {
        "joint cm": float((truth.positions - found.positions).norm(dim=-1).mean()) * 100,
        "head cm": float((truth.head_positions - found.head_positions).norm(dim=-1).mean()) * 100,
        "head deg": float(torch.rad2deg(cosine.clamp(-1, 1).arccos()).mean()),
        "head step cm": float(steps.norm(dim=-1).mean()) * 100,
    }


def linear_codec(statistics: MotionStatistics, features: Tensor, config: MotionVAEConfig) -> MotionVAE:
    """The linear path alone, as training starts from it."""
    vae = MotionVAE(config)
    initialise_linear_path(vae, statistics.normalise(features), HeadCentric().groups)
    return vae.eval()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/egotwin-mini"))
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and test/ clips")
    parser.add_argument("--mocap", type=Path, help="folder of .amc or .bvh motion capture")
    arguments = parser.parse_args()
    try:
        verify(arguments.model)
        vae = load_motion_vae(arguments.model / "motion_vae")
        tensors = load_tensors(arguments.model / "statistics.safetensors")
        statistics = MotionStatistics.from_tensors(tensors)
        linear = linear_codec(statistics, features_of(open_clips(arguments.data / "train"))[:START_CLIPS], vae.config)
        sets = {"test split": features_of(open_clips(arguments.data / "test"))}
        if arguments.mocap is not None:
            sets["motion capture"] = mocap_features(arguments.mocap)
    except EgoTwinError as error:
        print(f"{parser.prog}: {error}")
        return 1
    print(f"{'':16}{'codec':10}{'clips':>6}  {'joint cm':>9}{'head cm':>9}{'head deg':>10}{'head step cm':>14}")
    for name, features in sets.items():
        found = {"VAE": errors(vae, statistics, features), "linear": errors(linear, statistics, features)}
        for codec, e in found.items():
            print(f"{name:16}{codec:10}{len(features):6}  {e['joint cm']:9.2f}{e['head cm']:9.2f}"
                  f"{e['head deg']:10.2f}{e['head step cm']:14.2f}")  # fmt: skip
        ratio = found["linear"]["joint cm"] / found["VAE"]["joint cm"]
        print(f"{name:16}linear / VAE, joint error: {ratio:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
