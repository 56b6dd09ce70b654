"""Sampler for two modalities with their own timesteps, guidance and solver state (Sections 3.3 and 3.4).

The model predicts v (see `schedule`). ε is affine in v at fixed x with the same coefficients for every evaluation, and
the guidance weights sum to one: guiding v is guiding ε.

Latents and conditions are NumPy arrays or torch tensors, all of one kind; results are of that kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, Protocol

from array_api_compat import array_namespace, device

from egotwin_model.diffusion.modality import ModalityState
from egotwin_model.diffusion.schedule import (
    CLEAN,
    NUM_TRAIN_TIMESTEPS,
    PURE_NOISE,
    Array,
    Pace,
    Schedule,
    timesteps,
)
from egotwin_model.diffusion.solvers import Integration, NoiseLike, Solver
from egotwin_model.errors import GoalError, ModelError

__all__ = [
    "CLEAN", "NUM_TRAIN_TIMESTEPS", "PURE_NOISE", "Conditions", "Context", "Denoiser", "Guidance", "KnownViews", "Mode",
    "Pace", "Sampler", "Schedule", "Solver", "guidance_terms", "timesteps",
]  # fmt: skip

Mode = Literal["joint", "motion", "video"]


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
        text: Array,
        video: Array | None,
        motion: Array | None,
        t_video: Array | None,
        t_motion: Array | None,
        image: Array | None,
        pose: Array | None,
        /,
        *,
        motion_only: bool,
        **conditions: Array,
    ) -> tuple[Array | None, Array | None]: ...


@dataclass(frozen=True)
class Context:
    """The beginning of a clip that is known already: clean latents which a rolling window continues.

    Attributes:
        video: (S, k, C, h, w). motion: (S, C_m, 2k − 1), the same time. None for a modality the model lacks.
        per_token: True gives these tokens timestep 0 while the others carry theirs (diffusion forcing; for models
            trained with per-token timesteps). False noises them to the others' timestep (any model; approximate).
    """

    video: Array | None
    motion: Array | None
    per_token: bool


@dataclass(frozen=True)
class Conditions:
    """What a generation is conditioned on; leading dimension S, the number of samples.

    Attributes:
        text, empty: (S, L, text_dim) text states of the goal and of the empty goal.
        image: (S, C, h, w) clean latent of I⁰, or what the model's image condition takes. pose: (S, C_m) clean latent
            of P⁰. None where the model lacks the modality.
        video, motion: clean latents of the given modality in mode "motion" / "video", else None.
        context: the known beginning of what is generated, or None.
        extra: further conditions by `forward`'s names, the same for every evaluation ("camera", "gravity", "depth").
        views: what is known of the views along the motion ("prior", "visibility"); left out of evaluations in which
            motion is absent, since it would tell of it.
    """

    text: Array
    empty: Array
    image: Array | None
    pose: Array | None
    video: Array | None = None
    motion: Array | None = None
    context: Context | None = None
    extra: Mapping[str, Array] = field(default_factory=dict)
    views: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class _Term:
    """One summand of a guided prediction: its weight, with the goal or without, the other modality absent or not."""

    weight: float
    with_text: bool
    other_absent: bool


def guidance_terms(text: float, other: float) -> list[_Term]:
    """The guided sum ε(∅, absent) + w_t[ε(c, absent) − ε(∅, absent)] + w_o[ε(c, other) − ε(c, absent)] by evaluation.

    Evaluations of weight zero are left out: with no guidance at all one is left, with equal scales two.
    """
    terms = [
        _Term(other, with_text=True, other_absent=False),
        _Term(text - other, with_text=True, other_absent=True),
        _Term(1.0 - text, with_text=False, other_absent=True),
    ]
    return [term for term in terms if term.weight != 0.0]


def plain_terms(text: float, _other: float = 1.0) -> list[_Term]:
    """Classifier-free guidance on the text alone, ε(∅) + w_t[ε(c) − ε(∅)], for models whose timesteps are tied."""
    terms = [_Term(text, with_text=True, other_absent=False), _Term(1.0 - text, with_text=False, other_absent=False)]
    return [term for term in terms if term.weight != 0.0]


class _Evaluation(NamedTuple):
    """What one evaluation of the model sees; equal ones are made once."""

    with_text: bool
    video_absent: bool
    motion_absent: bool


KnownViews = Callable[[Array | None], Mapping[str, Array]]
"""What is known of the views along a motion: its clean latent as far as it is known to `Conditions.views`."""


class Sampler:
    """Samples video and motion latents in any mode, from the settings of a schedule and a solver; holds no state.

    Mode "joint" denoises both; "motion" denoises motion with the video given or, without one, absent; "video" denoises
    video with the motion given or absent. Absent means pure noise at the last timestep. Evaluations that only serve
    motion run the lower half of the model, and evaluations that see the same are made once: a joint step with all
    guidance costs three whole and two half evaluations, the first one (all is noise) two whole ones.

    Args:
        asynchronous: False for a model that knows one timestep (tied, or of one modality): no modality is ever absent
            or given, guidance is on the text alone.
        video_pace, motion_pace: the modalities' own timestep lists in mode "joint".
        prior_start: share of the timesteps at which video begins where a prior is visible, noised to there; places
            that are not visible begin as pure noise. 1: all of it does.

    Where motion's pace runs ahead, evaluations before video moves run the lower half of the model, and the views along
    the motion can be known when video begins (`sample`, `known_views`).
    """

    def __init__(
        self,
        denoiser: Denoiser,
        schedule: Schedule,
        solver: Solver | None = None,
        *,
        asynchronous: bool = True,
        video_pace: Pace | None = None,
        motion_pace: Pace | None = None,
        prior_start: float = 1.0,
    ) -> None:
        self.denoiser, self.schedule, self.solver = denoiser, schedule, solver or Solver()
        self.asynchronous = asynchronous
        self.video_pace, self.motion_pace = video_pace or Pace(), motion_pace or Pace()
        self.prior_start = prior_start
        if not 0.0 < prior_start <= 1.0:
            raise ModelError(f"prior_start is {prior_start}; wanted a share of the timesteps above 0, up to 1")
        if not asynchronous and self.video_pace != self.motion_pace:
            raise ModelError(
                f"this model was trained with tied timesteps; video pace {self.video_pace} and motion pace "
                f"{self.motion_pace} must be the same"
            )

    def sample(
        self,
        mode: Mode,
        conditions: Conditions,
        noise_video: Array | None,
        noise_motion: Array | None,
        num_steps: int,
        guidance: Guidance,
        progress: Callable[[int, int], None] | None = None,
        fresh_video: NoiseLike | None = None,
        fresh_motion: NoiseLike | None = None,
        known_views: KnownViews | None = None,
    ) -> tuple[Array | None, Array | None]:
        """Clean video latents (S, F, C, h, w) and motion latents (S, C_m, N); None for what was not generated.

        Args:
            noise_video, noise_motion: where both start, and the value of an absent modality; None for one that the
                model does not have.
            progress: called with (step, steps) before every step and at the end; what it raises ends the generation.
            fresh_video, fresh_motion: generate the noise that a solver with eta above 0 adds; needed there.
            known_views: called once, when video first moves, with the motion's clean latent as far as it is known
                (None: nothing yet); its result joins `Conditions.views`.
        """
        if not self.asynchronous and mode != "joint" and noise_video is not None and noise_motion is not None:
            raise GoalError(f"mode {mode!r} needs a model with independent timesteps; this one generates jointly")
        solvers = Integration(self.solver, fresh_video), Integration(self.solver, fresh_motion)
        video, motion = self._states(mode, conditions, noise_video, noise_motion, num_steps, solvers)
        for index in range(num_steps):
            if progress is not None:
                progress(index, num_steps)
            if known_views is not None and video.moves(index):
                conditions = replace(conditions, views={**conditions.views, **known_views(motion.estimate)})
                known_views = None
                self._begin(video, conditions.views, mode, index, num_steps)
            v_video, v_motion = self._guided(conditions, video, motion, index, guidance)
            if v_video is not None:
                video.advance(v_video, index, self.schedule)
            if v_motion is not None:
                motion.advance(v_motion, index, self.schedule)
        if progress is not None:
            progress(num_steps, num_steps)
        return (None if video.steps is None else video.x), (None if motion.steps is None else motion.x)

    def _states(
        self, mode: Mode, c: Conditions, noise_video: Array | None, noise_motion: Array | None, num_steps: int,
        solvers: tuple[Integration, Integration],
    ) -> tuple[ModalityState, ModalityState]:  # fmt: skip
        paces = (self.video_pace, self.motion_pace) if mode == "joint" else (Pace(), Pace())
        video_steps, motion_steps = (pace.timesteps(num_steps, self.schedule) for pace in paces)
        known = (None, None) if c.context is None else (c.context.video, c.context.motion)
        per_token = c.context is not None and c.context.per_token
        video = ModalityState(
            noise_video, c.video, None if mode == "motion" else video_steps, solvers[0],
            None if mode == "motion" else known[0], 1, per_token=per_token,
        )  # fmt: skip
        motion = ModalityState(
            noise_motion, c.motion, None if mode == "video" else motion_steps, solvers[1],
            None if mode == "video" else known[1], 2, per_token=per_token,
        )  # fmt: skip
        for state in (video, motion):
            state.hold_context(self.schedule)
        return video, motion

    def _begin(self, video: ModalityState, views: Mapping[str, Array], mode: Mode, index: int, num_steps: int) -> None:
        """Lets video begin at step `index` from a prior, where there is one and the settings say so."""
        if self.prior_start < 1.0 and "prior" in views:
            pace = self.video_pace if mode == "joint" else Pace()
            steps = pace.timesteps(num_steps, self.schedule, self.prior_start)
            video.begin_with(views["prior"], views["visibility"], index, steps, self.schedule)

    def _guided(
        self, c: Conditions, video: ModalityState, motion: ModalityState, index: int, guidance: Guidance
    ) -> tuple[Array | None, Array | None]:
        """Guided v of the modalities that step `index` denoises, each evaluation made once."""
        terms = guidance_terms if self.asynchronous else plain_terms
        plan: dict[_Evaluation, list[float]] = {}
        if video.moves(index):
            for term in terms(guidance.text, guidance.motion):
                key = _Evaluation(term.with_text, video.is_noise, term.other_absent or motion.is_noise)
                plan.setdefault(key, [0.0, 0.0])[0] += term.weight
        if motion.moves(index):
            for term in terms(guidance.text, guidance.video):
                key = _Evaluation(term.with_text, term.other_absent or video.is_noise, motion.is_noise)
                plan.setdefault(key, [0.0, 0.0])[1] += term.weight
        sums: list[Array | None] = [None, None]
        for evaluation, weights in plan.items():
            if not any(weights):
                continue
            outputs = self._evaluate(c, video, motion, evaluation, motion_only=weights[0] == 0.0)
            for which, (weight, v) in enumerate(zip(weights, outputs, strict=True)):
                if weight != 0.0:
                    assert v is not None
                    total = sums[which]
                    sums[which] = weight * v if total is None else total + weight * v
        return sums[0], sums[1]

    def _evaluate(
        self, c: Conditions, video: ModalityState, motion: ModalityState, evaluation: _Evaluation, *, motion_only: bool
    ) -> tuple[Array | None, Array | None]:
        like = c.text.shape[0], array_namespace(c.text), device(c.text)
        seen = [
            video.seen(*like, absent=evaluation.video_absent),
            motion.seen(*like, absent=evaluation.motion_absent),
        ]
        # a model that knows one timestep gets none for a modality it lacks
        t_video, t_motion = (t if self.asynchronous or x is not None else None for x, t in seen)
        text = c.text if evaluation.with_text else c.empty
        views = {} if evaluation.motion_absent and motion.x is not None else c.views
        return self.denoiser(
            text, seen[0][0], seen[1][0], t_video, t_motion, c.image, c.pose, motion_only=motion_only,
            **c.extra, **views,
        )  # fmt: skip
