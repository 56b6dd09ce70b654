"""Noise schedule of both modalities, the timesteps a sampler visits, and what a model may predict (Section 3.3).

A noisy latent is x = a·x₀ + s·ε with signal level a, noise level s and a² + s² = 1. The core prediction is
v = a·ε − s·x₀; x₀ = a·x − s·v and ε = s·x + a·v are views of it, finite at every level, pure noise (a = 0) included.
The way back from ε divides by a, so ε cannot be what a model predicts where the schedule ends in pure noise.

Latents are NumPy arrays or torch tensors; results are of the same kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from array_api_compat import array_namespace, is_torch_array
from numpy.typing import NDArray

from egotwin_model.errors import GoalError, ModelError

if TYPE_CHECKING:
    import torch

NUM_TRAIN_TIMESTEPS = 1000
PURE_NOISE = NUM_TRAIN_TIMESTEPS - 1
CLEAN = -1  # below every timestep a model was trained on: no noise at all

Prediction = Literal["v", "epsilon"]
Array = Any  # a NumPy array or a torch tensor


class Level(NamedTuple):
    """Signal level a and noise level s of one timestep."""

    signal: float
    noise: float


def clean_from_velocity(x: Array, v: Array, level: Level) -> Array:
    """x₀ of a noisy latent and its v."""
    return level.signal * x - level.noise * v


def noise_from_velocity(x: Array, v: Array, level: Level) -> Array:
    """ε of a noisy latent and its v."""
    return level.noise * x + level.signal * v


def velocity_from_noise(x: Array, noise: Array, level: Level) -> Array:
    """v of a noisy latent and its ε; refused at pure noise (a = 0), where ε says nothing of v."""
    if level.signal == 0.0:
        raise ModelError(
            "v does not follow from ε at zero signal (timestep 999 of a schedule with zero terminal SNR); predict v, "
            "or set Schedule(zero_terminal_snr=False)"
        )
    return (noise - level.noise * x) / level.signal


@dataclass(frozen=True)
class Schedule:
    """CogVideoX's schedule: scaled-linear betas, SNR shift, rescaled to zero terminal SNR.

    Attributes:
        snr_shift_scale: 1 leaves the signal-to-noise ratio as it is (CogVideoX-5b); above 1 adds noise.
        spacing: how a sampler's steps are spread, see `timesteps`.
        zero_terminal_snr: timestep 999 is pure noise. False leaves the betas as they are (Stable Diffusion's).
        prediction: what the model predicts of both modalities, "v" or "epsilon" (the paper's loss written literally);
            "epsilon" needs zero_terminal_snr=False.
    """

    beta_start: float = 0.00085
    beta_end: float = 0.0120
    snr_shift_scale: float = 1.0
    spacing: float = 1.0
    zero_terminal_snr: bool = True
    prediction: Prediction = "v"

    def __post_init__(self) -> None:
        if self.prediction not in get_args(Prediction):
            raise ModelError(f"prediction {self.prediction!r} is not one of {', '.join(get_args(Prediction))}")
        if self.prediction == "epsilon" and self.zero_terminal_snr:
            raise ModelError(
                "prediction='epsilon' is not finite where the schedule ends in pure noise (zero terminal SNR); "
                "use prediction='v', or set zero_terminal_snr=False"
            )

    def signal_levels(self) -> NDArray[np.float32]:
        """a for every timestep, (1000,) float32; with zero terminal SNR, a at 999 is exactly zero."""
        return self._table().astype(np.float32)

    def level(self, timestep: int) -> Level:
        """Levels of one timestep in double precision; `CLEAN` is (1, 0)."""
        if timestep == CLEAN:
            return Level(1.0, 0.0)
        a = float(self._table()[timestep])
        return Level(a, (1.0 - a * a) ** 0.5)

    def levels(self, timestep: Array) -> tuple[Array, Array]:
        """Signal and noise level of integer timesteps of any shape → two float32 arrays of that shape."""
        table = (
            _torch_table(self._table_settings, timestep.device) if is_torch_array(timestep) else self.signal_levels()
        )
        a = table[timestep]
        return a, array_namespace(a).sqrt(1 - a**2)

    def add_noise(self, clean: Array, noise: Array, timestep: Array, *, token_axis: int = 1) -> Array:
        """Noisy latents at timesteps (B,), or (B, N) with one for each of the N slices along `token_axis`."""
        a, s = (_spread(level, clean.ndim, token_axis) for level in self.levels(timestep))
        return a * clean + s * noise

    def velocity(self, clean: Array, noise: Array, timestep: Array, *, token_axis: int = 1) -> Array:
        """v at timesteps as in `add_noise`."""
        a, s = (_spread(level, clean.ndim, token_axis) for level in self.levels(timestep))
        return a * noise - s * clean

    def target(self, clean: Array, noise: Array, timestep: Array, *, token_axis: int = 1) -> Array:
        """What the model is trained to predict: v, or ε where `prediction` says so."""
        if self.prediction == "epsilon":
            return noise
        return self.velocity(clean, noise, timestep, token_axis=token_axis)

    def to_velocity(self, x: Array, predicted: Array, timestep: int) -> Array:
        """v from what the model predicted for `x` at `timestep`."""
        return predicted if self.prediction == "v" else velocity_from_noise(x, predicted, self.level(timestep))

    @property
    def _table_settings(self) -> tuple[float, float, float, bool]:
        return self.beta_start, self.beta_end, self.snr_shift_scale, self.zero_terminal_snr

    def _table(self) -> NDArray[np.float64]:
        return _signal_table(*self._table_settings)


@lru_cache(maxsize=64)
def _signal_table(
    beta_start: float, beta_end: float, snr_shift_scale: float, zero_terminal_snr: bool
) -> NDArray[np.float64]:
    """a for every timestep, (1000,), computed once and read-only."""
    betas = np.linspace(beta_start**0.5, beta_end**0.5, NUM_TRAIN_TIMESTEPS, dtype=np.float64) ** 2
    power = np.cumprod(1 - betas)
    power = power / (snr_shift_scale + (1 - snr_shift_scale) * power)
    root = np.sqrt(power)
    table = (root - root[-1]) * (root[0] / (root[0] - root[-1])) if zero_terminal_snr else root
    table.setflags(write=False)
    return table


@lru_cache(maxsize=64)
def _torch_table(settings: tuple[float, float, float, bool], device: torch.device) -> torch.Tensor:
    """The same as a float32 tensor on a device, copied there once."""
    import torch

    with torch.inference_mode(False):  # a table made during inference must serve training too
        return torch.from_numpy(_signal_table(*settings).astype(np.float32)).to(device)


def _spread(level: Array, ndim: int, token_axis: int) -> Array:
    """Levels (B,) or (B, N) shaped to multiply a latent of `ndim` dimensions."""
    shape = [level.shape[0]] + [1] * (ndim - 1)
    if level.ndim == 2:
        shape[token_axis] = level.shape[1]
    return array_namespace(level).reshape(level, tuple(shape))


def timesteps(num_steps: int, spacing: float = 1.0, start: float = 1.0) -> list[int]:
    """`num_steps` timesteps from 999 down, for any number (not only divisors of 1000).

    Args:
        spacing: 1 spaces them evenly; above 1 takes larger steps at high noise and smaller ones near the end.
        start: share of all timesteps that they cover: 0.8 begins at 799.
    """
    if not 1 <= num_steps <= NUM_TRAIN_TIMESTEPS:
        raise GoalError(f"num_steps is {num_steps}; it must be between 1 and {NUM_TRAIN_TIMESTEPS}")
    shares = [(num_steps - index) / num_steps for index in range(num_steps)]
    ideal = [round(NUM_TRAIN_TIMESTEPS * start * share**spacing) - 1 for share in shares]
    return [max(t, num_steps - 1 - index) for index, t in enumerate(ideal)]  # never the same twice


@dataclass(frozen=True)
class Pace:
    """When, within a generation's steps, one modality is denoised; lets the two have timestep lists of their own.

    Attributes:
        begin, end: shares of the steps. Before `begin` the modality stays pure noise, from `end` on it is clean and
            given to the other, as in the conditional modes.
        spacing: of its steps, see `timesteps`; None takes the schedule's.
    """

    begin: float = 0.0
    end: float = 1.0
    spacing: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.begin < self.end <= 1.0:
            raise ModelError(f"pace from {self.begin} to {self.end}: wanted shares of the steps, 0 ≤ begin < end ≤ 1")

    def timesteps(self, num_steps: int, schedule: Schedule, start: float = 1.0) -> tuple[int, ...]:
        """num_steps + 1 timesteps: before each step, and `CLEAN` after the last; `start` as in `timesteps`."""
        first, last = round(self.begin * num_steps), round(self.end * num_steps)
        last = max(last, first + 1) if first < num_steps else num_steps
        first = min(first, last - 1)
        spacing = schedule.spacing if self.spacing is None else self.spacing
        active = timesteps(last - first, spacing, start)
        return (*[PURE_NOISE] * first, *active, *[CLEAN] * (num_steps - last + 1))
