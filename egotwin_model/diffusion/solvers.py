"""Solvers of the reverse process: DDIM and DPM-Solver++(2M), each from deterministic to fully ancestral.

Sources: Song et al. 2021 (DDIM, eq. 12 and 16); Lu et al. 2022 (DPM-Solver++, algorithm 2, and its SDE form). Both are
written with q = e^(−h), the ratio of noise-to-signal ratios, instead of the logarithmic step h: q is 0 where a step
starts in pure noise or ends clean, and every formula takes its limit there without a special case.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from egotwin_model.diffusion.schedule import Level, clean_from_velocity, noise_from_velocity
from egotwin_model.errors import ModelError

SolverName = Literal["ddim", "dpm++2m"]


@dataclass(frozen=True)
class Solver:
    """Which solver, and how much fresh noise.

    Attributes:
        name: "ddim" (first order) or "dpm++2m" (second order, one evaluation a step as well).
        eta: 0 is deterministic (the ODE), 1 fully ancestral (DDPM's variance; the SDE), between them a mixture.
    """

    name: SolverName = "ddim"
    eta: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in get_args(SolverName):
            raise ModelError(f"solver {self.name!r} is not one of {', '.join(get_args(SolverName))}")
        if not 0.0 <= self.eta <= 1.0:
            raise ModelError(f"eta is {self.eta}; wanted 0 (deterministic) to 1 (fully ancestral)")


class Integration:
    """One latent's way from noise to clean; remembers what the second-order solver needs of the step before.

    Args:
        draw: standard normal noise for a latent (of its shape, dtype and device); used where eta is above 0.
    """

    def __init__(self, solver: Solver, draw: Callable[[Tensor], Tensor]) -> None:
        self.solver = solver
        self.draw = draw
        self._previous: tuple[Tensor, float] | None = None  # x₀ estimated one step before, and that step's h

    def advance(self, x: Tensor, v: Tensor, now: Level, then: Level) -> Tensor:
        """The latent at the next, less noisy level from the latent and its v at this one."""
        return (self._ddim if self.solver.name == "ddim" else self._dpm)(x, v, now, then)

    def _ddim(self, x: Tensor, v: Tensor, now: Level, then: Level) -> Tensor:
        clean, noise = clean_from_velocity(x, v, now), noise_from_velocity(x, v, now)
        # what of the next level's noise is fresh: DDPM's posterior deviation times eta
        fresh = self.solver.eta * then.noise / now.noise * math.sqrt(max(0.0, 1.0 - (now.signal / then.signal) ** 2))
        kept = math.sqrt(max(0.0, then.noise**2 - fresh**2))
        return self._with_fresh(then.signal * clean + kept * noise, fresh)

    def _dpm(self, x: Tensor, v: Tensor, now: Level, then: Level) -> Tensor:
        clean, eta = clean_from_velocity(x, v, now), self.solver.eta
        q = now.signal * then.noise / (now.noise * then.signal)  # e^(−h)
        h = math.inf if q == 0.0 else -math.log(q)
        estimate = clean
        if self._previous is not None and math.isfinite(h):  # a step that ends clean is exact at first order
            older, h_before = self._previous
            estimate = clean + 0.5 * h / h_before * (clean - older)  # zero weight after a start in pure noise
        self._previous = (clean, h)
        x = then.noise / now.noise * q**eta * x + then.signal * (1.0 - q ** (1.0 + eta)) * estimate
        return self._with_fresh(x, then.noise * math.sqrt(1.0 - q ** (2.0 * eta)))

    def _with_fresh(self, x: Tensor, deviation: float) -> Tensor:
        return x if deviation == 0.0 else x + deviation * self.draw(x)


def noise_source(generator: torch.Generator | None) -> Callable[[Tensor], Tensor]:
    """Draws on the generator's device, so that a seed gives the same noise wherever the latents are."""

    def draw(like: Tensor) -> Tensor:
        device = like.device if generator is None else generator.device
        return torch.randn(like.shape, generator=generator, device=device, dtype=like.dtype).to(like.device)

    return draw
