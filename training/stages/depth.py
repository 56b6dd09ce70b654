"""The depth network's stage: from views of a clip to depth; AbsRel on the validation split, with and without a past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from egotwin_model.depth.network import DepthNetwork
from egotwin_model.depth.network_inputs import HORIZONTAL, View, plane_sweep, view_channels
from egotwin_model.errors import ModelError
from training.datasets.clips.dataset import ClipSet
from training.datasets.clips.depth_views import DepthClips, DepthViews
from training.stages.depth_loss import depth_loss, depth_measures
from training.stages.depth_sheet import save_depth_sheet
from training.stages.random_streams import RandomStreams
from training.stages.recipes import DepthRecipe
from training.stages.stage import Stage

VALIDATION_CLIPS = 96
PASTS = (0, 1, 5)  # numbers of earlier views that are validated
SPACING_S = (0.4, 1.2)  # between the views of a past
VALIDATION_SPACING_S = 0.45  # keyframes have 1 to 2 Hz
SHEET_CLIPS = 6


class DepthStage(Stage):
    """Trains `DepthNetwork` on the clips' views with depth, with the clip's other views as its past or none."""

    name = "depth"

    def __init__(self, recipe: DepthRecipe, train: ClipSet, validation: ClipSet) -> None:
        self.recipe, self.clips = recipe, DepthClips(train)
        for clips in (train, validation):
            height, width = clips.tensor("frames", 0).shape[1:3]
            if (height, width) != (recipe.model.size, recipe.model.size):
                raise ModelError(
                    f"{clips.folder} has frames of {width}x{height}, this configuration's network takes "
                    f"{recipe.model.size}x{recipe.model.size}; use clips of that size, or set --model.size"
                )
        self.validation = self._validation(DepthClips(validation))
        torch.manual_seed(recipe.train.seed)
        self.model: nn.Module = DepthNetwork(recipe.model)

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, indices: Tensor, streams: RandomStreams) -> dict[str, Tensor]:
        chance, jitter = streams.uniform(8).numpy(), streams.uniform(6, 3).numpy()
        drawn = zip(indices.tolist(), chance, jitter, strict=True)
        return _stacked([self._sample(self.clips[clip], *numbers) for clip, *numbers in drawn])

    def _sample(
        self, views: DepthViews, chance: NDArray[Any], jitter: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """View, matches and depth of one clip, augmented."""
        recipe, rng = self.recipe, np.random.default_rng(int(chance[7] * 2**24))
        target = int(chance[0] * views.labelled)
        count = 0 if chance[1] < recipe.alone else 1 + int(chance[2] * recipe.model.past)
        spacing = SPACING_S[0] + float(chance[3]) * (SPACING_S[1] - SPACING_S[0])
        backwards = bool(chance[4] < 0.5)
        past = past_of(views, target, count, spacing, backwards=backwards)
        past = past or past_of(views, target, count, spacing, backwards=not backwards)
        images = [recoloured(views.images[number], jitter, recipe.recolour, rng) for number in (*past, target)]
        poses = [views.poses[number] for number in (*past, target)]
        if past:
            scale = float(chance[5])
            poses[:-1] = [
                shaken(pose, scale * recipe.past_error_m, scale * recipe.past_error_rad, rng) for pose in poses[:-1]
            ]
        view = View(images[-1], poses[-1])
        matches = plane_sweep(
            view, [View(*pair) for pair in zip(images[:-1], poses[:-1], strict=True)], views.camera, recipe.model
        )
        told = shaken(view.T_world_camera, recipe.height_error_m, recipe.gravity_error_rad, rng)
        channels, depth = view_channels(View(view.image, told), views.camera), views.depth(target)
        if chance[6] < 0.5:  # a mirrored room is a room
            channels, matches, depth = channels[..., ::-1], matches[..., ::-1], depth[..., ::-1]
            channels = channels.copy()
            channels[HORIZONTAL] *= -1.0
        return channels, matches, depth

    def loss(self, model: nn.Module, batch: dict[str, Tensor], streams: RandomStreams) -> dict[str, Tensor]:
        predicted = model(batch["view"], batch["matches"])
        return depth_loss(predicted, batch["depth"], self.recipe.model.limit_m, self.recipe.loss)

    def _validation(self, clips: DepthClips) -> dict[int, dict[str, Tensor]]:
        """Inputs and depth of the last view that has depth, by the number of earlier views that are used; only clips
        that have so many."""
        found: dict[int, list[tuple[NDArray[Any], ...]]] = {count: [] for count in PASTS}
        for clip in range(min(VALIDATION_CLIPS, len(clips))):
            views = clips[clip]
            target = views.labelled - 1
            view = View(views.images[target], views.poses[target])
            channels = view_channels(view, views.camera)
            for count, rows in found.items():
                past = past_of(views, target, count, VALIDATION_SPACING_S)
                if len(past) == count:
                    earlier = [View(views.images[number], views.poses[number]) for number in past]
                    matches = plane_sweep(view, earlier, views.camera, self.recipe.model)
                    rows.append((channels, matches, views.depth(target)))
        return {count: _stacked(rows) for count, rows in found.items() if rows}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """`val_abs_rel`, `val_delta_1` and `val_rmse_log` from one image; the same with `_past_1` and `_past_5`."""
        found: dict[str, float] = {}
        for count, rows in self.validation.items():
            depth = self._predicted(model, rows)[:, 0].exp()
            measures = depth_measures(depth, rows["depth"], self.recipe.model.limit_m)
            suffix = f"_past_{count}" if count else ""
            found[f"val_abs_rel{suffix}"] = float(measures["abs_rel"].nanmean())
            found[f"val_delta_1{suffix}"] = float(measures["delta_1"].nanmean())
            found[f"val_rmse_log{suffix}"] = float(measures["squared_log"].nanmean().sqrt())
        return found

    @staticmethod
    def _predicted(model: nn.Module, rows: dict[str, Tensor]) -> Tensor:
        """The network's output for validation rows, (N, 2, H, W) on the CPU."""
        device = next(model.parameters()).device
        parts = zip(rows["view"].split(8), rows["matches"].split(8), strict=True)
        return torch.cat([model(view.to(device), matches.to(device)).float().cpu() for view, matches in parts])

    def sheet(self, model: nn.Module, path: Path) -> None:
        """Validation views beside their true depth and the depth estimated with as long a past as there is."""
        rows = self.validation[max(self.validation)]
        every = max(1, len(rows["view"]) // SHEET_CLIPS)
        shown = {name: tensor[::every][:SHEET_CLIPS] for name, tensor in rows.items()}
        alone = self._predicted(model, {**shown, "matches": torch.zeros_like(shown["matches"])})
        with_past = self._predicted(model, shown)
        images = (255 * shown["view"][:, :3]).byte().permute(0, 2, 3, 1).numpy()
        save_depth_sheet(path, images, shown["depth"].numpy(), alone[:, 0].exp().numpy(), with_past.exp().numpy())

    def resolved(self) -> dict[str, Any]:
        return {"_class_name": "DepthNetwork", **asdict(self.recipe.model)}


def _stacked(rows: Sequence[tuple[NDArray[np.float32], ...]]) -> dict[str, Tensor]:
    """Rows of view, matches and depth as tensors, (rows, ...) each."""
    names = ("view", "matches", "depth")
    return {name: torch.from_numpy(np.stack(part)) for name, part in zip(names, zip(*rows, strict=True), strict=True)}


def past_of(views: DepthViews, target: int, count: int, spacing_s: float, *, backwards: bool = False) -> list[int]:
    """The last `count` views before the view `target` that are at least `spacing_s` apart, the oldest first.

    Args:
        backwards: take views after it instead, the farthest first: to a room that stands still, time has no direction.
    """
    step, chosen = (1 if backwards else -1), [target]
    for number in range(target + step, len(views.times) if backwards else -1, step):
        if len(chosen) <= count and abs(views.times[number] - views.times[chosen[-1]]) >= spacing_s - 1e-3:
            chosen.append(number)
    return chosen[:0:-1]


def shaken(pose: NDArray[Any], error_m: float, error_rad: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A pose with normal errors of its place and rotation, of these standard deviations along each axis."""
    found = np.array(pose, np.float64)
    found[:3, :3] = Rotation.from_rotvec(rng.normal(0.0, error_rad, 3)).as_matrix() @ found[:3, :3]
    found[:3, 3] += rng.normal(0.0, error_m, 3)
    return found


def recoloured(
    image: NDArray[np.uint8], jitter: NDArray[Any], strength: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """An image with other brightness, contrast, saturation and white balance.

    Args:
        jitter: (6, 3) in [0, 1), the same for all views of a sample. rng: small further changes of this view alone.
    """
    if strength == 0.0:
        return image
    gain = 1.0 + strength * (1.2 * (jitter[0, 0] - 0.5) + 0.6 * (jitter[1] - 0.5) + rng.normal(0.0, 0.03))
    saturation, gamma = 1.0 + strength * (jitter[2, 0] - 0.5), np.exp(0.6 * strength * (jitter[3, 0] - 0.5))
    mixed = cv2.transform(image, gain[:, None] * (saturation * np.eye(3) + (1.0 - saturation) / 3.0))
    curve = 255.0 * (np.arange(256) / 255.0) ** gamma + 0.5
    return np.asarray(cv2.LUT(mixed, curve.astype(np.uint8)), np.uint8)
