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

from egotwin_model.diffusion.schedule import Array, Level, clean_from_velocity, noise_from_velocity
from egotwin_model.errors import ModelError

SolverName = Literal["ddim", "dpm++2m"]
NoiseLike = Callable[[Array], Array]
"""Standard normal noise in the shape, kind, dtype and place of a latent."""


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
    """Integrates one latent from noise to clean; remembers what the second-order solver needs of the step before.

    Args:
        fresh_noise: used where eta is above 0, and needed there.
    """

    def __init__(self, solver: Solver, fresh_noise: NoiseLike | None = None) -> None:
        self.solver = solver
        self.fresh_noise = fresh_noise
        self._previous: tuple[Array, float] | None = None  # x₀ estimated one step before, and that step's h

    def advance(self, x: Array, v: Array, now: Level, then: Level) -> Array:
        """The latent at the next, less noisy level from the latent and its v at this one."""
        return (self._ddim if self.solver.name == "ddim" else self._dpm)(x, v, now, then)

    def _ddim(self, x: Array, v: Array, now: Level, then: Level) -> Array:
        clean, noise = clean_from_velocity(x, v, now), noise_from_velocity(x, v, now)
        # what of the next level's noise is fresh: DDPM's posterior standard deviation times eta
        fresh = self.solver.eta * then.noise / now.noise * math.sqrt(max(0.0, 1.0 - (now.signal / then.signal) ** 2))
        kept = math.sqrt(max(0.0, then.noise**2 - fresh**2))
        return self._with_fresh(then.signal * clean + kept * noise, fresh)

    def _dpm(self, x: Array, v: Array, now: Level, then: Level) -> Array:
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

    def _with_fresh(self, x: Array, std: float) -> Array:
        if std == 0.0:
            return x
        if self.fresh_noise is None:
            raise ValueError(f"{self.solver} adds fresh noise; pass what generates it")
        return x + std * self.fresh_noise(x)
