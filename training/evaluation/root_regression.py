"""Appendix C's experiment: can a network predict the head pose from the common root-centric motion features?

``python -m training.evaluation.root_regression --data DIR --out DIR`` trains a GRU that reads a clip's features pose by
pose and predicts the head's pose in the frame of the first one (mean squared error): once from the root-centric
features and, as a control, once from the head-centric ones, which contain that pose. It writes both errors over the
training as a figure and as JSON. Where the first stays high, a video model that must follow the head should be given
its pose. The same command resumes a stopped run.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from egotwin_model.errors import EgoTwinError
from egotwin_model.io.files import write_atomically, write_json
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.root_centric import RootCentric
from egotwin_model.motion.rotation_6d import matrix_from_6d
from egotwin_model.motion.statistics import MotionStatistics
from training.datasets.clips.dataset import ClipSet, open_clips
from training.evaluation.metrics.head_motion import view_consistency
from training.stages.random_streams import RandomStreams
from training.stages.stage import Stage
from training.stages.train_config import TrainConfig
from training.stages.trainer import train
from training.workers.stopping import Stopped

REPRESENTATIONS: dict[str, HeadCentric | RootCentric] = {"root-centric": RootCentric(), "head-centric": HeadCentric()}
VALIDATION_CLIPS = 128
AT_ONCE = 256
METRICS = {"val_trans_err_m": "TransErr [m]", "val_rot_err_rad": "RotErr [rad]"}


@dataclass(frozen=True)
class RegressionConfig:
    """A GRU over poses: `layers` of `width`, one linear layer to the 6D rotation and the place of the head."""

    dim: int
    width: int = 256
    layers: int = 2


class HeadRegressor(nn.Module):
    """Standardised features (B, T, D) to standardised head poses (B, T, 9)."""

    def __init__(self, config: RegressionConfig) -> None:
        super().__init__()
        self.gru = nn.GRU(config.dim, config.width, config.layers, batch_first=True)
        self.out = nn.Linear(config.width, 9)

    def forward(self, features: Tensor) -> Tensor:
        return self.out(self.gru(features)[0])


class RegressionStage(Stage):
    """Mean squared error of the standardised head pose; TransErr and RotErr on the validation split, as in the paper's
    view consistency, of the predicted head poses."""

    name = "head-regression"

    def __init__(self, kind: str, clips: ClipSet, validation: ClipSet, config: TrainConfig, limit: int) -> None:
        representation = REPRESENTATIONS[kind]
        self.features, self.heads = _features(clips, representation, limit)
        self.validation, self.true_heads = _features(validation, representation, VALIDATION_CLIPS)
        self.statistics = MotionStatistics.fit(self.features, representation.slices)
        self.head_statistics = MotionStatistics.fit(self.heads, {"h_r": slice(0, 6), "h_p": slice(6, 9)})
        self.config = RegressionConfig(representation.dim)
        torch.manual_seed(config.seed)
        self.model: nn.Module = HeadRegressor(self.config)

    def __len__(self) -> int:
        return len(self.features)

    def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
        features = self.statistics.normalise(self.features[indices])
        return {"features": features, "heads": self.head_statistics.normalise(self.heads[indices])}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        return {"loss": F.mse_loss(model(batch["features"]).float(), batch["heads"])}

    def validate(self, model: nn.Module) -> dict[str, float]:
        predicted = self.head_statistics.denormalise(model(self.statistics.normalise(self.validation)).float())
        found = [
            view_consistency(*_pose(one), *_pose(true)) for one, true in zip(predicted, self.true_heads, strict=True)
        ]
        names = zip(METRICS, ("TransErr", "RotErr"), strict=True)
        return {name: float(np.mean([each[key] for each in found])) for name, key in names}

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "HeadRegressor", **asdict(self.config)}


def _pose(head: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (T, 3, 3) and positions (T, 3) of (T, 9)."""
    return matrix_from_6d(head[:, :6]).double().numpy(), head[:, 6:].double().numpy()


def _features(clips: ClipSet, representation: HeadCentric | RootCentric, limit: int) -> tuple[Tensor, Tensor]:
    """Features (N, T, D) and head poses (N, T, 9) in the first one's frame, of at most `limit` clips, evenly spread."""
    rows = np.unique(np.linspace(0, len(clips) - 1, min(limit, len(clips))).astype(int))
    head, features, heads = HeadCentric(), [], []
    for chosen in np.array_split(rows, max(1, len(rows) // AT_ONCE)):
        x, r = (np.stack([clips.tensor(name, row) for row in chosen]) for name in ("positions", "rotations"))
        poses = head.encode(x, r)
        heads.append(np.concatenate([poses[..., head.slices[name]] for name in ("h_r", "h_p")], axis=-1))
        features.append(representation.encode(x, r))
    return tuple(torch.from_numpy(np.concatenate(each).astype(np.float32)) for each in (features, heads))  # type: ignore[return-value]


def write_curves(out: Path) -> dict[str, dict[str, list[float]]]:
    """Write ``regression.png`` and ``regression.json`` of the trainings in `out`; returns the curves."""
    curves: dict[str, dict[str, list[float]]] = {}
    for kind in REPRESENTATIONS:
        records = {record["step"]: record for record in _curve(out / kind)}.values()
        curves[kind] = {name: [record[name] for record in records] for name in ("step", *METRICS)}
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, title) in zip(figure.subplots(1, len(METRICS)), METRICS.items(), strict=True):
        for kind, curve in curves.items():
            axes.plot(curve["step"], curve[name], marker=".", label=f"from {kind} features")
        axes.set(xlabel="step", ylabel=title, ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    write_atomically(out / "regression.png", lambda temporary: figure.savefig(temporary, dpi=110, format="png"))
    write_json(out / "regression.json", curves)
    return curves


def _curve(folder: Path) -> list[dict[str, float]]:
    """What a training has recorded, in order."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluation.root_regression", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/ clips")
    parser.add_argument("--out", type=Path, default=Path("out/regression"))
    parser.add_argument("--steps", type=int, default=3000, help="of either training (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=4000, help="training clips, evenly spread (default: %(default)s)")
    arguments = parser.parse_args(argv)
    often = max(1, arguments.steps // 20)
    config = TrainConfig(
        arguments.steps, 32, 1e-3, warmup=min(100, often), ema_decay=0.99, precision="no", validate_every=often,
        save_every=often, tracker="none",
    )  # fmt: skip
    try:
        clips, validation = open_clips(arguments.data / "train"), open_clips(arguments.data / "val")
        for kind in REPRESENTATIONS:
            stage = RegressionStage(kind, clips, validation, config, arguments.clips)
            notes = {"recipe.json": {"clips": len(stage), "train": asdict(config)}}
            train(stage, config, arguments.out / kind, notes)
        curves = write_curves(arguments.out)
    except EgoTwinError as error:
        print(f"{parser.prog}: {error}")
        return 1
    except Stopped as stopped:
        print(f"{parser.prog}: {stopped}")
        return 130
    for kind, curve in curves.items():
        best = ", ".join(f"{title} {min(curve[name]):.3f}" for name, title in METRICS.items())
        print(f"from {kind} features, least of {curve['step'][-1]} steps: {best}")
    print(arguments.out / "regression.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
