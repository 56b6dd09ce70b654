"""The sampler against the spec's guidance formulas written out, an exact denoiser, and its count of evaluations."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from egotwin_model.errors import Cancelled, GoalError
from egotwin_model.sampler import PURE_NOISE, Conditions, Guidance, Sampler, Schedule, guidance_terms, timesteps

SHAPES = ((1, 3, 2, 2, 2), (1, 4, 5))


def conditions(**given: Tensor) -> Conditions:
    g = torch.Generator().manual_seed(3)
    text, empty = torch.ones(1, 2, 3), torch.zeros(1, 2, 3)
    return Conditions(text, empty, torch.randn(1, 2, 2, 2, generator=g), torch.randn(1, 4, generator=g), **given)


@dataclass
class LinearDenoiser:
    """v as a fixed linear function of everything it is given, and a record of every call."""

    calls: list[dict[str, Any]] = field(default_factory=list)

    def __call__(
        self, text: Tensor, video: Tensor, motion: Tensor, t_video: Tensor, t_motion: Tensor, image: Tensor,
        pose: Tensor, *, motion_only: bool,
    ) -> tuple[Tensor | None, Tensor]:  # fmt: skip
        self.calls.append({"text": float(text.mean()), "t": (int(t_video), int(t_motion)), "motion_only": motion_only})
        shared = text.mean() + 0.01 * t_video.float().mean() - 0.02 * t_motion.float().mean()
        v_motion = 0.3 * motion + 0.2 * shared + 0.1 * video.mean() + pose.mean()
        return (None if motion_only else 0.5 * video + 0.1 * shared + 0.2 * motion.mean()), v_motion


def test_schedule_is_diffusers_cogvideox() -> None:
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
    reference = diffusers.CogVideoXDDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, rescale_betas_zero_snr=True,
        snr_shift_scale=1.0, prediction_type="v_prediction", timestep_spacing="trailing",
    )  # fmt: skip
    levels = Schedule().signal_levels()
    assert (levels**2 - reference.alphas_cumprod.float()).abs().max() < 1e-5
    assert levels[PURE_NOISE] == 0.0


def test_any_number_of_steps_starts_at_pure_noise() -> None:
    for count, spacing in itertools.product((1, 3, 6, 7, 50, 999, 1000), (1.0, 1.5, 2.0, 3.0)):
        steps = timesteps(count, spacing)
        assert len(steps) == count
        assert steps[0] == PURE_NOISE
        assert steps[-1] >= 0
        assert steps == sorted(set(steps), reverse=True)
    assert timesteps(4) == [999, 749, 499, 249]
    assert timesteps(4, 2.0) == [999, 561, 249, 61]
    with pytest.raises(GoalError, match="num_steps is 0"):
        timesteps(0)


@pytest.mark.parametrize("count", [1, 4, 7])
def test_exact_velocity_recovers_the_clean_latent_in_any_number_of_steps(count: int) -> None:
    """A model that knows x₀ and ε must land on x₀: signal and noise levels are used consistently."""
    g = torch.Generator().manual_seed(0)
    clean, noise = ([torch.randn(shape, generator=g) for shape in SHAPES] for _ in range(2))
    schedule = Schedule()

    def exact(text: Any, video: Any, motion: Any, tv: Tensor, tm: Tensor, *rest: Any, motion_only: bool) -> Any:
        return schedule.velocity(clean[0], noise[0], tv), schedule.velocity(clean[1], noise[1], tm)

    video, motion = Sampler(exact, schedule).sample("joint", conditions(), *noise, count, Guidance(1, 1, 1))
    assert video is not None
    assert motion is not None
    assert (video - clean[0]).abs().max() < 1e-4
    assert (motion - clean[1]).abs().max() < 1e-4


@pytest.mark.parametrize("mode", ["joint", "motion", "video"])
def test_one_guided_step_is_the_papers_formula(mode: Any) -> None:
    """ε(∅, absent) + w_t[ε(c, absent) − ε(∅, absent)] + w_o[ε(c, other) − ε(c, absent)], written out; at T, x₀ = −v."""
    g = torch.Generator().manual_seed(5)
    noise_video, noise_motion = (torch.randn(shape, generator=g) for shape in SHAPES)
    given_video, given_motion = (torch.randn(shape, generator=g) for shape in SHAPES)
    given = {"motion": {"video": given_video}, "video": {"motion": given_motion}}.get(mode, {})
    c, guidance, model = conditions(**given), Guidance(6.0, 4.0, 3.0), LinearDenoiser()
    found = Sampler(model, Schedule()).sample(mode, c, noise_video, noise_motion, 1, guidance)

    def v(text: Tensor, other: str, output: int) -> Tensor:
        video, t_video, motion, t_motion = noise_video, PURE_NOISE, noise_motion, PURE_NOISE
        if other == "given" and mode == "motion":
            video, t_video = given_video, 0
        if other == "given" and mode == "video":
            motion, t_motion = given_motion, 0
        args = (text, video, motion, torch.tensor([t_video]), torch.tensor([t_motion]), c.image, c.pose)
        result = LinearDenoiser()(*args, motion_only=False)[output]
        assert result is not None
        return result

    for output, scale, name in ((0, guidance.motion, "video"), (1, guidance.video, "motion")):
        if mode not in ("joint", name):
            assert found[output] is None
            continue
        base, worded = v(c.empty, "absent", output), v(c.text, "absent", output)
        guided = base + guidance.text * (worded - base) + scale * (v(c.text, "given", output) - worded)
        assert (found[output] + guided).abs().max() < 1e-4


def test_a_joint_step_costs_three_full_and_two_half_evaluations() -> None:
    model = LinearDenoiser()
    noise = [torch.zeros(shape) for shape in SHAPES]
    Sampler(model, Schedule()).sample("joint", conditions(), *noise, 2, Guidance(6, 4, 4))
    assert [call["motion_only"] for call in model.calls] == [False, False, False, True, True] * 2
    video_absent = [call["t"] for call in model.calls if call["motion_only"]]
    assert all(t_video == PURE_NOISE for t_video, _ in video_absent)


def test_evaluations_of_weight_zero_are_left_out() -> None:
    assert len(guidance_terms(1.0, 1.0)) == 1
    assert len(guidance_terms(1.5, 1.5)) == 2
    assert len(guidance_terms(6.0, 4.0)) == 3
    assert all(sum(t.weight for t in guidance_terms(a, b)) == pytest.approx(1.0) for a, b in ((6, 4), (1, 1), (2, 0)))


def test_motion_alone_never_runs_the_upper_half() -> None:
    model = LinearDenoiser()
    noise = [torch.zeros(shape) for shape in SHAPES]
    video, motion = Sampler(model, Schedule()).sample("motion", conditions(), *noise, 3, Guidance(2, 4, 4))
    assert video is None
    assert motion is not None
    assert all(call["motion_only"] and call["t"][0] == PURE_NOISE for call in model.calls)


def test_progress_can_stop_between_steps() -> None:
    model, seen = LinearDenoiser(), []

    def progress(step: int, steps: int) -> None:
        seen.append((step, steps))
        if step == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        Sampler(model, Schedule()).sample(
            "joint", conditions(), *(torch.zeros(s) for s in SHAPES), 5, Guidance(1, 1, 1), progress
        )
    assert seen == [(0, 5), (1, 5), (2, 5)]
    assert len(model.calls) == 2
