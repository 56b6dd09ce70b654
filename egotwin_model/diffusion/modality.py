"""The state of one modality during a generation: its latent, its timesteps, what is known of it, its solver."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from egotwin_model.diffusion.schedule import CLEAN, PURE_NOISE, Array, Schedule, clean_from_velocity
from egotwin_model.diffusion.solvers import Integration


class ModalityState:
    """One modality in one generation.

    Args:
        noise: where it starts, and its value when it is absent; None where the model lacks this modality.
        given: its clean latent in a conditional mode.
        steps: its timesteps, before each step and after the last; None where it is not generated.
        context: clean latents of its known beginning along `token_axis`.
    """

    def __init__(
        self,
        noise: Array | None,
        given: Array | None,
        steps: tuple[int, ...] | None,
        integration: Integration,
        context: Array | None,
        token_axis: int,
        *,
        per_token: bool,
    ) -> None:
        self.noise, self.steps, self.integration = noise, steps, integration
        self.x = noise if given is None else given
        self.timestep = PURE_NOISE if given is None else CLEAN
        self.context, self.token_axis, self.per_token = context, token_axis, per_token
        self._estimate: Array | None = None

    @property
    def is_noise(self) -> bool:
        """Nothing is known of this modality yet: present and absent are the same."""
        return self.timestep == PURE_NOISE and self.context is None

    @property
    def known(self) -> int:
        """Tokens of the known beginning."""
        return 0 if self.context is None else self.context.shape[self.token_axis]

    @property
    def estimate(self) -> Array | None:
        """The clean latent as far as it is known: given, denoised, or x₀ of the last step; None before the first."""
        return self.x if self.timestep == CLEAN else self._estimate

    def moves(self, index: int) -> bool:
        """Whether step `index` denoises this modality."""
        return self.steps is not None and self.steps[index] != self.steps[index + 1]

    def advance(self, v: Array, index: int, schedule: Schedule) -> None:
        assert self.steps is not None
        assert self.x is not None
        now, then = self.steps[index], self.steps[index + 1]
        v = schedule.to_velocity(self.x, v, now)
        self._estimate = clean_from_velocity(self.x, v, schedule.level(now))
        self.x = self.integration.advance(self.x, v, schedule.level(now), schedule.level(then))
        self.timestep = then
        self.hold_context(schedule)

    def begin_with(
        self, known: Array, visibility: Array, index: int, steps: tuple[int, ...], schedule: Schedule
    ) -> None:
        """Starts at step `index` of other timesteps from what is known, noised to them, and pure noise elsewhere.

        Args:
            known: clean latents. visibility: in [0, 1], where they count; broadcasts over them.
            steps: from here on instead of those before; higher noise than `steps[index]` is skipped.
        """
        weight = schedule.level(steps[index]).signal * visibility
        self.x = weight * known + array_namespace(weight).sqrt(1.0 - weight**2) * self.noise
        self.steps, self.timestep = steps, steps[index]
        self.hold_context(schedule)

    def hold_context(self, schedule: Schedule) -> None:
        """Sets the known beginning to what it is at this timestep: clean, or as noisy as the rest."""
        if self.context is None or self.x is None or self.noise is None:
            return
        level = schedule.level(CLEAN if self.per_token else self.timestep)
        noise, rest = self._tokens(self.noise, slice(self.known)), self._tokens(self.x, slice(self.known, None))
        beginning = level.signal * self.context + level.noise * noise
        self.x = array_namespace(rest).concat([beginning, rest], axis=self.token_axis)

    def _tokens(self, x: Array, part: slice) -> Array:
        return x[(slice(None),) * self.token_axis + (part,)]

    def seen(self, samples: int, xp: Any, device: Any, *, absent: bool) -> tuple[Array | None, Array]:
        """Latent and timesteps as the model gets them: (S,), or (S, tokens) with a beginning held clean.

        Args:
            xp, device: array namespace and device of the timesteps.
        """
        t = PURE_NOISE if absent else max(self.timestep, 0)
        x = self.noise if absent else self.x
        if x is None or self.context is None or not self.per_token:
            return x, xp.full((samples,), t, dtype=xp.int64, device=device)
        times = xp.full((samples, x.shape[self.token_axis]), t, dtype=xp.int64, device=device)
        if not absent:
            times[:, : self.known] = 0
        return x, times
