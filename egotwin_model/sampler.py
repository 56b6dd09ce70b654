"""Noise schedule and sampler for two modalities with their own timesteps and guidance (Sections 3.3 and 3.4).

The model predicts v; with signal level a and noise level s of a timestep, x = a·x₀ + s·ε and v = a·ε − s·x₀, so
x₀ = a·x − s·v and ε = s·x + a·v. ε is affine in v at fixed x with the same coefficients for every evaluation, and the
guidance weights sum to one: guiding v is guiding ε.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from egotwin_model.errors import GoalError

Mode = Literal["joint", "motion", "video"]
NUM_TRAIN_TIMESTEPS = 1000
PURE_NOISE = NUM_TRAIN_TIMESTEPS - 1


@dataclass(frozen=True)
class Schedule:
    """CogVideoX's schedule: scaled-linear betas, SNR shift, rescaled to zero terminal SNR.

    Attributes:
        snr_shift_scale: 1 leaves the signal-to-noise ratio as it is (CogVideoX-5b); above 1 adds noise.
        spacing: how a sampler's steps are spread, see `timesteps`.
    """

    beta_start: float = 0.00085
    beta_end: float = 0.0120
    snr_shift_scale: float = 1.0
    spacing: float = 1.0

    def signal_levels(self) -> Tensor:
        """a for every timestep, (1000,) float32; a at 999 is exactly zero."""
        betas = torch.linspace(self.beta_start**0.5, self.beta_end**0.5, NUM_TRAIN_TIMESTEPS, dtype=torch.float64) ** 2
        power = (1 - betas).cumprod(0)
        power = power / (self.snr_shift_scale + (1 - self.snr_shift_scale) * power)
        root = power.sqrt()
        root = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
        return root.float()

    def levels(self, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """Signal and noise level of integer timesteps (B,) → two (B,)."""
        a = self.signal_levels().to(timestep.device)[timestep]
        return a, (1 - a**2).sqrt()

    def add_noise(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """Noisy latents at (B,) timesteps."""
        a, s = (level.view(-1, *[1] * (clean.ndim - 1)) for level in self.levels(timestep))
        return a * clean + s * noise

    def velocity(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """The training target v."""
        a, s = (level.view(-1, *[1] * (clean.ndim - 1)) for level in self.levels(timestep))
        return a * noise - s * clean


@dataclass(frozen=True)
class Guidance:
    """Guidance scales (Section 3.4): text, video (guides motion) and motion (guides video). 1 means none."""

    text: float = 6.0
    video: float = 4.0
    motion: float = 4.0


class Denoiser(Protocol):
    """What the sampler needs of a model, whichever runtime runs it; arguments as `EgoTwinTransformer.forward`."""

    def __call__(
        self,
        text: Tensor,
        video: Tensor,
        motion: Tensor,
        t_video: Tensor,
        t_motion: Tensor,
        image: Tensor,
        pose: Tensor,
        *,
        motion_only: bool,
    ) -> tuple[Tensor | None, Tensor | None]: ...


@dataclass(frozen=True)
class Conditions:
    """What a generation is conditioned on; leading dimension S, the number of samples.

    Attributes:
        text, empty: (S, L, text_dim) text states of the goal and of the empty goal.
        image: (S, C, h, w) clean latent of I⁰. pose: (S, C_m) clean latent of P⁰.
        video, motion: clean latents of the given modality in mode "motion" / "video", else None.
    """

    text: Tensor
    empty: Tensor
    image: Tensor
    pose: Tensor
    video: Tensor | None = None
    motion: Tensor | None = None


@dataclass(frozen=True)
class _Evaluation:
    """One model evaluation: its text, whether the other modality is absent, and its weight in the guided sum."""

    weight: float
    with_text: bool
    other_absent: bool


def guidance_terms(text: float, other: float) -> list[_Evaluation]:
    """The guided sum ε(∅, absent) + w_t[ε(c, absent) − ε(∅, absent)] + w_o[ε(c, other) − ε(c, absent)] by evaluation.

    Evaluations of weight zero are left out: with no guidance at all one is left, with equal scales two.
    """
    terms = [
        _Evaluation(other, with_text=True, other_absent=False),
        _Evaluation(text - other, with_text=True, other_absent=True),
        _Evaluation(1.0 - text, with_text=False, other_absent=True),
    ]
    return [term for term in terms if term.weight != 0.0]


def timesteps(num_steps: int, spacing: float = 1.0) -> list[int]:
    """`num_steps` timesteps from 999 down, for any number (not only divisors of 1000).

    Args:
        spacing: 1 spaces them evenly; above 1 takes larger steps at high noise and smaller ones near the end.
    """
    if not 1 <= num_steps <= NUM_TRAIN_TIMESTEPS:
        raise GoalError(f"num_steps is {num_steps}; it must be between 1 and {NUM_TRAIN_TIMESTEPS}")
    shares = [(num_steps - index) / num_steps for index in range(num_steps)]
    ideal = [round(NUM_TRAIN_TIMESTEPS * share**spacing) - 1 for share in shares]
    return [max(t, num_steps - 1 - index) for index, t in enumerate(ideal)]  # never the same twice


class Sampler:
    """Deterministic (DDIM) sampling of video and motion latents in any mode.

    Mode "joint" denoises both; "motion" denoises motion with the video given or, without one, absent; "video" denoises
    video with the motion given. Absent means pure noise at the last timestep. Evaluations that only serve motion run
    the lower half of the model.
    """

    def __init__(self, denoiser: Denoiser, schedule: Schedule) -> None:
        self.denoiser = denoiser
        self.schedule = schedule

    def sample(
        self,
        mode: Mode,
        conditions: Conditions,
        noise_video: Tensor,
        noise_motion: Tensor,
        num_steps: int,
        guidance: Guidance,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Clean video latents (S, F, C, h, w) and motion latents (S, C_m, N); None for what was not generated."""
        state = _State(conditions, noise_video, noise_motion)
        if mode == "motion" and conditions.video is None:
            guidance = Guidance(text=guidance.text, video=0.0, motion=guidance.motion)
        steps = timesteps(num_steps, self.schedule.spacing)
        for index, t in enumerate(steps):
            if progress is not None:
                progress(index, num_steps)
            following = steps[index + 1] if index + 1 < num_steps else None
            v_video, v_motion = self._guided(mode, state, t, guidance)
            if v_video is not None:
                state.video = self._advance(state.video, v_video, t, following)
            if v_motion is not None:
                state.motion = self._advance(state.motion, v_motion, t, following)
        if progress is not None:
            progress(num_steps, num_steps)
        return (None if mode == "motion" else state.video), (None if mode == "video" else state.motion)

    def _guided(self, mode: Mode, state: _State, t: int, guidance: Guidance) -> tuple[Tensor | None, Tensor | None]:
        """Guided v of the modalities being generated; the evaluation with everything present serves both."""
        video: Tensor | None = None
        motion: Tensor | None = None
        video_terms = guidance_terms(guidance.text, guidance.motion) if mode != "motion" else []
        motion_terms = guidance_terms(guidance.text, guidance.video) if mode != "video" else []
        shared = mode == "joint" and all(terms and not terms[0].other_absent for terms in (video_terms, motion_terms))
        if shared:
            v_video, v_motion = self._evaluate(mode, state, t, video_terms[0], for_motion=False)
            video, motion = _add(None, video_terms[0], v_video), _add(None, motion_terms[0], v_motion)
            video_terms, motion_terms = video_terms[1:], motion_terms[1:]
        for term in video_terms:
            video = _add(video, term, self._evaluate(mode, state, t, term, for_motion=False)[0])
        for term in motion_terms:
            motion = _add(motion, term, self._evaluate(mode, state, t, term, for_motion=True)[1])
        return video, motion

    def _evaluate(
        self, mode: Mode, state: _State, t: int, term: _Evaluation, *, for_motion: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """One evaluation for the video's guided sum, or for the motion's: those run the lower half of the model."""
        video, t_video, motion, t_motion = state.video, t, state.motion, t
        if term.other_absent and for_motion:
            video, t_video = state.noise_video, PURE_NOISE
        elif term.other_absent:
            motion, t_motion = state.noise_motion, PURE_NOISE
        if mode == "motion" and not term.other_absent:
            t_video = 0
        if mode == "video" and not term.other_absent:
            t_motion = 0
        c = state.conditions
        size = (video.shape[0],)
        return self.denoiser(
            c.text if term.with_text else c.empty,
            video,
            motion,
            torch.full(size, t_video, dtype=torch.long),
            torch.full(size, t_motion, dtype=torch.long),
            c.image,
            c.pose,
            motion_only=for_motion,
        )

    def _advance(self, x: Tensor, v: Tensor, t: int, following: int | None) -> Tensor:
        """DDIM from timestep `t` to the `following` one, or to the clean latent."""
        a, s = (float(level) for level in self.schedule.levels(torch.tensor(t)))
        clean = a * x - s * v
        if following is None:
            return clean
        a_next, s_next = (float(level) for level in self.schedule.levels(torch.tensor(following)))
        return a_next * clean + s_next * (s * x + a * v)


def _add(total: Tensor | None, term: _Evaluation, v: Tensor | None) -> Tensor:
    assert v is not None
    return term.weight * v if total is None else total + term.weight * v


class _State:
    """Latents as they are denoised, beside the pure noise that stands for an absent modality."""

    def __init__(self, conditions: Conditions, noise_video: Tensor, noise_motion: Tensor) -> None:
        self.conditions = conditions
        self.noise_video = noise_video
        self.noise_motion = noise_motion
        self.video = noise_video if conditions.video is None else conditions.video
        self.motion = noise_motion if conditions.motion is None else conditions.motion
