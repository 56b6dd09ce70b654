"""Standardisation of motion features with the training set's statistics, kept beside the weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace, device, is_array_api_obj

from egotwin_model.errors import ModelError

_SMALLEST_STD = 1e-6  # a group of constant features is not scaled
_ROWS_AT_ONCE = 65536

Array = Any  # a NumPy array or a torch tensor


@dataclass(frozen=True, eq=False)
class MotionStatistics:
    """Mean and standard deviation of D motion features, float32 (D,) each; NumPy arrays or torch tensors.

    The standard deviation is averaged inside each feature group (as HumanML3D does), so that a dimension which is
    constant in the training set does not explode. Both kinds of array are standardised by either kind of statistics.
    """

    mean: Array
    std: Array

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape:
            raise ModelError(
                f"motion statistics with mean {tuple(self.mean.shape)} and std {tuple(self.std.shape)}: "
                "wanted two vectors of the same length"
            )
        xp = array_namespace(self.mean, self.std)
        if not xp.all(xp.isfinite(self.mean)) or not xp.all(xp.isfinite(self.std) & (self.std > 0)):
            raise ModelError(
                "motion statistics hold NaN, infinity or a standard deviation that is not above zero: fit them again"
            )

    @property
    def dim(self) -> int:
        return self.mean.shape[0]

    @classmethod
    def fit(cls, features: Array | Iterable[Array], slices: Mapping[str, slice]) -> MotionStatistics:
        """From features (..., D), one array or several; `slices` names the groups (`HeadCentric().slices`)."""
        count, total, square, xp = 0, 0.0, 0.0, None
        batches: Any = [features] if is_array_api_obj(features) else features
        for batch in batches:
            xp = array_namespace(batch)
            flat = xp.reshape(batch, (-1, batch.shape[-1]))
            count += len(flat)
            for start in range(0, len(flat), _ROWS_AT_ONCE):
                wide = xp.astype(flat[start : start + _ROWS_AT_ONCE], xp.float64)
                total, square = total + xp.sum(wide, axis=0), square + xp.sum(wide * wide, axis=0)
        if count == 0 or xp is None:
            raise ModelError("no motion features to take statistics of: the data set is empty")
        mean = total / count
        variance = square / count - mean * mean
        std = xp.sqrt(xp.where(variance > 0.0, variance, xp.zeros_like(variance)))
        for part in slices.values():
            std[part] = xp.mean(std[part])
        std = xp.where(std > _SMALLEST_STD, std, xp.ones_like(std))
        return cls(xp.astype(mean, xp.float32), xp.astype(std, xp.float32))

    def normalise(self, features: Array) -> Array:
        """(..., D) features to mean 0 and standard deviation 1 in each group. Raises `ModelError` for another D."""
        mean, std = self._matching(features)
        return (features - mean) / std

    def denormalise(self, features: Array) -> Array:
        """Inverse of `normalise`."""
        mean, std = self._matching(features)
        return features * std + mean

    def _matching(self, features: Array) -> tuple[Array, Array]:
        """Mean and standard deviation in the kind, dtype and place of `features`."""
        if features.shape[-1] != self.dim:
            raise ModelError(
                f"motion features with D = {features.shape[-1]} and statistics with D = {self.dim}: use the "
                "statistics.safetensors of this model, made with the same representation and joints"
            )
        xp = array_namespace(features)
        like = {"dtype": features.dtype, "device": device(features)}
        return xp.asarray(self.mean, **like), xp.asarray(self.std, **like)

    def to_tensors(self) -> dict[str, Array]:
        """Named tensors for `statistics.safetensors`."""
        return {"mean": self.mean, "std": self.std}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Array]) -> MotionStatistics:
        """Inverse of `to_tensors`. Raises `ModelError` where a tensor is missing or impossible."""
        missing = {"mean", "std"} - set(tensors)
        if missing:
            raise ModelError(f"motion statistics lack {', '.join(sorted(missing))}: the file is not a statistics file")
        xp = array_namespace(tensors["mean"])
        return cls(*(xp.astype(tensors[name], xp.float32) for name in ("mean", "std")))
