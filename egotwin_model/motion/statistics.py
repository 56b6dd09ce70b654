"""Standardisation of motion features with the training set's statistics, kept beside the weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egotwin_model.errors import ModelError

_SMALLEST_STD = 1e-6  # a whole group that never moves is left as it is, not divided by nothing


@dataclass(frozen=True, eq=False)
class MotionStatistics:
    """Mean and standard deviation of D motion features, float32 (D,) each.

    The deviation is averaged inside each feature group (as HumanML3D does), so that a dimension which is constant in
    the training set does not explode.
    """

    mean: Tensor
    std: Tensor

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape:
            raise ModelError(
                f"motion statistics with mean {tuple(self.mean.shape)} and std {tuple(self.std.shape)}: "
                "wanted two vectors of the same length"
            )
        if not torch.isfinite(self.mean).all() or not (torch.isfinite(self.std) & (self.std > 0)).all():
            raise ModelError(
                "motion statistics hold NaN, infinity or a deviation that is not above zero: fit them again"
            )

    @property
    def dim(self) -> int:
        return self.mean.shape[0]

    @classmethod
    def fit(
        cls, features: Tensor | NDArray[np.floating] | Iterable[Any], slices: Mapping[str, slice]
    ) -> MotionStatistics:
        """From features (..., D), one array or several; `slices` names the groups (`HeadCentric().slices`)."""
        count, total, square = 0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        for batch in [features] if isinstance(features, Tensor | np.ndarray) else features:
            flat = torch.as_tensor(batch).flatten(0, -2)
            count += len(flat)
            for rows in flat.split(65536):
                wide = rows.double()
                total, square = total + wide.sum(0), square + wide.square().sum(0)
        if count == 0:
            raise ModelError("no motion features to take statistics of: the data set is empty")
        mean = total / count
        deviation = (square / count - mean.square()).clamp(min=0.0).sqrt()
        for part in slices.values():
            deviation[part] = deviation[part].mean()
        deviation = torch.where(deviation > _SMALLEST_STD, deviation, torch.ones_like(deviation))
        return cls(mean.float(), deviation.float())

    def normalise(self, features: Tensor) -> Tensor:
        """(..., D) features to zero mean and unit group deviation. Raises `ModelError` for another D."""
        mean, std = self._matching(features)
        return (features - mean) / std

    def denormalise(self, features: Tensor) -> Tensor:
        """Inverse of `normalise`."""
        mean, std = self._matching(features)
        return features * std + mean

    def _matching(self, features: Tensor) -> tuple[Tensor, Tensor]:
        if features.shape[-1] != self.dim:
            raise ModelError(
                f"motion features with D = {features.shape[-1]} and statistics with D = {self.dim}: use the "
                "statistics.safetensors of this model, made with the same representation and joints"
            )
        return self.mean.to(features), self.std.to(features)

    def to_tensors(self) -> dict[str, Tensor]:
        """Named tensors for `statistics.safetensors`."""
        return {"mean": self.mean.contiguous(), "std": self.std.contiguous()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> MotionStatistics:
        """Inverse of `to_tensors`. Raises `ModelError` where a tensor is missing or impossible."""
        missing = {"mean", "std"} - set(tensors)
        if missing:
            raise ModelError(f"motion statistics lack {', '.join(sorted(missing))}: the file is not a statistics file")
        return cls(tensors["mean"].float(), tensors["std"].float())
