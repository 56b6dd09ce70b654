"""Schedule and solvers against diffusers' schedulers and against Gaussian data, whose exact solution is known."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from egotwin_model.diffusion.schedule import (
    CLEAN,
    PURE_NOISE,
    Level,
    Pace,
    Schedule,
    clean_from_velocity,
    noise_from_velocity,
    timesteps,
    velocity_from_noise,
)
from egotwin_model.diffusion.solvers import Integration, Solver, SolverName
from egotwin_model.errors import ModelError

from ...shared_data import missing_extra

MEAN, STD = 0.7, 0.4  # of the Gaussian data


def exact_velocity(x: Tensor, level: Level) -> Tensor:
    """v of the best possible model of data N(MEAN, STD²), linear in x."""
    a, s = level
    clean = MEAN + a * STD**2 / ((a * STD) ** 2 + s**2) * (x - a * MEAN)
    return (a * x - clean) / s if s > 0 else a * x


def exact_flow(x: Tensor, now: Level, then: Level) -> Tensor:
    """Where the probability flow ODE takes x: the standardised value is kept."""
    spread = [math.hypot(level.signal * STD, level.noise) for level in (now, then)]
    return then.signal * MEAN + spread[1] / spread[0] * (x - now.signal * MEAN)


def run(solver: Solver, x: Tensor, levels: list[Level], generator: torch.Generator | None = None) -> Tensor:
    def fresh(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    integration = Integration(solver, fresh)
    for now, then in itertools.pairwise(levels):
        x = integration.advance(x, exact_velocity(x, now), now, then)
    return x


def levels_of(steps: list[int], schedule: Schedule) -> list[Level]:
    return [schedule.level(t) for t in steps]


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("zero_terminal_snr", [True, False])
def test_schedule_is_diffusers_cogvideox(shift: float, zero_terminal_snr: bool) -> None:
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    reference = diffusers.CogVideoXDDIMScheduler(
        beta_start=0.00085, beta_end=0.012, rescale_betas_zero_snr=zero_terminal_snr, snr_shift_scale=shift,
    )  # fmt: skip
    schedule = Schedule(snr_shift_scale=shift, zero_terminal_snr=zero_terminal_snr)
    levels = torch.from_numpy(schedule.signal_levels())
    assert levels.shape == (1000,)
    assert levels.dtype == torch.float32
    assert (levels**2 - reference.alphas_cumprod.float()).abs().max() < 1e-5
    assert (float(levels[PURE_NOISE]) == 0.0) == zero_terminal_snr
    assert schedule.level(CLEAN) == (1.0, 0.0)


def test_the_table_is_made_once_and_serves_training_after_inference() -> None:
    schedule = Schedule(beta_start=0.001)
    with torch.inference_mode():
        schedule.levels(torch.tensor([3]))
    assert schedule._table() is schedule._table()
    scale = torch.ones(4, requires_grad=True)
    schedule.add_noise(scale, torch.zeros(4), torch.tensor([1, 2, 3, 4])).sum().backward()
    assert scale.grad is not None
    levels = schedule.signal_levels()
    levels[:] = 0.0  # a caller's copy
    assert schedule.signal_levels()[0] > 0.9


def test_numpy_and_torch_latents_get_the_same_noise() -> None:
    schedule, rng = Schedule(), np.random.default_rng(0)
    clean, noise = rng.standard_normal((2, 2, 3, 4), dtype=np.float32)
    for t in (np.array([7, 999]), np.array([[0, 5, 999], [1, 2, 3]])):
        for function in (schedule.add_noise, schedule.velocity):
            found = function(clean, noise, t)
            wanted = function(torch.from_numpy(clean), torch.from_numpy(noise), torch.from_numpy(t))
            assert isinstance(found, np.ndarray)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, wanted.numpy(), atol=1e-6)


def test_fresh_noise_is_needed_where_a_solver_adds_it() -> None:
    levels = levels_of([999, 700], Schedule())
    with pytest.raises(ValueError, match="adds fresh noise"):
        Integration(Solver("ddim", 1.0)).advance(torch.zeros(2), torch.zeros(2), *levels)


def test_a_timestep_for_each_token_noises_each_token() -> None:
    g = torch.Generator().manual_seed(0)
    video, motion = torch.randn(2, 3, 2, 4, 4, generator=g), torch.randn(2, 4, 5, generator=g)
    schedule = Schedule()
    for clean, axis in ((video, 1), (motion, 2)):
        noise = torch.randn(clean.shape, generator=g)
        t = torch.randint(1000, (2, clean.shape[axis]), generator=g)
        for function in (schedule.add_noise, schedule.velocity):
            found = function(clean, noise, t, token_axis=axis)
            for token in range(clean.shape[axis]):
                one = function(clean.select(axis, token), noise.select(axis, token), t[:, token])
                assert torch.equal(found.select(axis, token), one)


def test_v_and_epsilon_are_views_of_each_other() -> None:
    g = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(50, generator=g, dtype=torch.float64), torch.randn(50, generator=g, dtype=torch.float64)
    schedule = Schedule()
    for t in (0, 1, 500, 998, 999):
        level = schedule.level(t)
        x, v = level.signal * clean + level.noise * noise, level.signal * noise - level.noise * clean
        assert (clean_from_velocity(x, v, level) - clean).abs().max() < 1e-12
        assert (noise_from_velocity(x, v, level) - noise).abs().max() < 1e-12
        if t < PURE_NOISE:
            assert (velocity_from_noise(x, noise, level) - v).abs().max() < 1e-9
    with pytest.raises(ModelError, match="zero terminal SNR"):
        velocity_from_noise(x, noise, schedule.level(PURE_NOISE))


def test_epsilon_prediction_is_refused_where_it_is_not_finite() -> None:
    with pytest.raises(ModelError, match=r"prediction='epsilon'.*zero terminal SNR"):
        Schedule(prediction="epsilon")
    with pytest.raises(ModelError, match="'x0' is not one of v, epsilon"):
        Schedule(prediction="x0")  # type: ignore[arg-type]
    literal = Schedule(prediction="epsilon", zero_terminal_snr=False)
    clean, noise, t = torch.randn(3), torch.randn(3), torch.tensor([0, 500, 999])
    assert literal.target(clean, noise, t) is noise
    for index in range(3):
        x = literal.add_noise(clean, noise, t)[index]
        v = literal.to_velocity(x, noise[index], int(t[index]))
        assert abs(float(v - literal.velocity(clean, noise, t)[index])) < 1e-4


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 50])
def test_ddim_is_diffusers_cogvideox_ddim(steps: int) -> None:
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    reference = diffusers.CogVideoXDDIMScheduler(
        beta_start=0.00085, beta_end=0.012, rescale_betas_zero_snr=True, snr_shift_scale=1.0,
        prediction_type="v_prediction", timestep_spacing="trailing", clip_sample=False,
    )  # fmt: skip
    reference.set_timesteps(steps)
    assert reference.timesteps.tolist() == timesteps(steps)
    schedule = Schedule()
    ours = theirs = torch.randn(64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    integration = Integration(Solver("ddim"))
    for t, then in itertools.pairwise([*timesteps(steps), CLEAN]):
        v = torch.sin(3 * ours) + t / 1000
        ours = integration.advance(ours, v, schedule.level(t), schedule.level(then))
        theirs = reference.step(torch.sin(3 * theirs) + t / 1000, t, theirs).prev_sample
        assert (ours - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 50])
def test_ancestral_dpm_is_diffusers_cogvideox_dpm(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs generates noise twice a step; both get the same here."""
    pytest.importorskip("diffusers", reason=missing_extra("paper"))
    from diffusers.schedulers import scheduling_dpm_cogvideox as module

    reference = module.CogVideoXDPMScheduler(
        beta_start=0.00085, beta_end=0.012, rescale_betas_zero_snr=True, snr_shift_scale=1.0,
        prediction_type="v_prediction", timestep_spacing="trailing", clip_sample=False,
    )  # fmt: skip
    reference.set_timesteps(steps)
    schedule, g = Schedule(), torch.Generator().manual_seed(0)
    ours = theirs = torch.randn(64, generator=g, dtype=torch.float64)
    noise = torch.zeros(64, dtype=torch.float64)
    monkeypatch.setattr(module, "randn_tensor", lambda *args, **kwargs: noise)
    integration = Integration(Solver("dpm++2m", eta=1.0), lambda like: noise)
    old, back = None, None
    for t, then in itertools.pairwise([*timesteps(steps), CLEAN]):
        noise = torch.randn(64, generator=g, dtype=torch.float64)
        v = torch.sin(3 * ours) + t / 1000
        ours = integration.advance(ours, v, schedule.level(t), schedule.level(then))
        theirs, old = reference.step(torch.sin(3 * theirs) + t / 1000, old, t, back, theirs)
        back = t
        assert (ours - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 50])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_dpm_is_diffusers_multistep(steps: int, eta: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without zero terminal SNR, which that scheduler replaces by a small number."""
    pytest.importorskip("diffusers", reason=missing_extra("paper"))
    from diffusers.schedulers import scheduling_dpmsolver_multistep as module

    reference = module.DPMSolverMultistepScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction",
        timestep_spacing="trailing", final_sigmas_type="zero", solver_order=2,
        algorithm_type="sde-dpmsolver++" if eta else "dpmsolver++",
    )  # fmt: skip
    reference.set_timesteps(steps)
    assert reference.timesteps.tolist() == timesteps(steps)
    schedule, g = Schedule(zero_terminal_snr=False), torch.Generator().manual_seed(0)
    ours = theirs = torch.randn(64, generator=g)
    noise = torch.zeros(64)
    monkeypatch.setattr(module, "randn_tensor", lambda *args, **kwargs: noise)
    integration = Integration(Solver("dpm++2m", eta), lambda like: noise)
    for t, then in itertools.pairwise([*timesteps(steps), CLEAN]):
        noise = torch.randn(64, generator=g)
        v = torch.sin(3 * ours) + t / 1000
        ours = integration.advance(ours, v, schedule.level(t), schedule.level(then))
        theirs = reference.step(torch.sin(3 * theirs) + t / 1000, t, theirs).prev_sample
        assert (ours - theirs).abs().max() < 1e-5 * max(1.0, float(theirs.abs().max()))


def log_snr_levels(steps: int) -> list[Level]:
    """From log-SNR −3 to 3, where nothing is singular."""
    halves = torch.linspace(-3, 3, steps + 1, dtype=torch.float64)
    return [Level(float(torch.sigmoid(2 * half).sqrt()), float(torch.sigmoid(-2 * half).sqrt())) for half in halves]


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("dpm++2m", 2)])
def test_order_of_convergence(name: Any, order: int) -> None:
    """Halving the step divides the error by 2^order, against the exact solution of the ODE."""
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    errors = []
    for steps in (40, 80, 160):
        levels = log_snr_levels(steps)
        errors.append(float((run(Solver(name), x, levels) - exact_flow(x, levels[0], levels[-1])).abs().max()))
    orders = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert all(abs(found - order) < 0.15 for found in orders), (errors, orders)


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("dpm++2m", 2)])
def test_the_start_from_pure_noise_keeps_the_order(name: Any, order: int) -> None:
    """The schedule's own first step, where the log-SNR is minus infinity, then even steps in the timestep."""
    schedule, x = Schedule(), torch.linspace(-2, 2, 9, dtype=torch.float64)
    errors = []
    for stride in (40, 20, 10):
        levels = levels_of(list(range(PURE_NOISE, 198, -stride)), schedule)
        errors.append(float((run(Solver(name), x, levels) - exact_flow(x, levels[0], levels[-1])).abs().max()))
    orders = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert all(found > order - 0.25 for found in orders), (errors, orders)


@pytest.mark.parametrize("name", ["ddim", "dpm++2m"])
def test_the_last_step_is_the_estimate_itself_and_all_is_finite(name: Any) -> None:
    schedule, x = Schedule(), torch.linspace(-2, 2, 9, dtype=torch.float64)
    for count, eta in itertools.product((1, 2, 3, 7, 1000), (0.0, 0.3, 1.0)):
        levels = levels_of([*timesteps(count), CLEAN], schedule)
        g = torch.Generator().manual_seed(0)
        before = run(Solver(name, eta), x, levels[:-1], g)
        estimate = clean_from_velocity(before, exact_velocity(before, levels[-2]), levels[-2])
        last = run(Solver(name, eta), x, levels, torch.Generator().manual_seed(0))
        assert torch.isfinite(last).all()
        assert (last - estimate).abs().max() < 1e-12


@pytest.mark.parametrize("name", ["ddim", "dpm++2m"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_every_variant_samples_the_right_distribution(name: Any, eta: float) -> None:
    """20,000 samples in 500 steps: mean and standard deviation are within four standard errors and the solver's error
    (DDIM's spread is a first-order step too small; its error halves with twice the steps).
    """
    g, count = torch.Generator().manual_seed(1), 20_000
    x = torch.randn(count, generator=g, dtype=torch.float64)
    found = run(Solver(name, eta), x, levels_of([*timesteps(500), CLEAN], Schedule()), g)
    standard_error, bias = STD / math.sqrt(count), {"ddim": 0.010, "dpm++2m": 0.002}[name]
    assert abs(float(found.mean()) - MEAN) < 4 * standard_error
    assert abs(float(found.std()) - STD) < 3 * standard_error / math.sqrt(2) + bias


def test_eta_is_how_much_of_the_start_is_forgotten() -> None:
    schedule, g = Schedule(zero_terminal_snr=False), torch.Generator().manual_seed(0)
    levels = levels_of([*timesteps(100), CLEAN], schedule)
    x = torch.randn(4000, generator=g, dtype=torch.float64)
    names: tuple[SolverName, ...] = ("ddim", "dpm++2m")
    for name in names:
        kept = [
            float(torch.corrcoef(torch.stack([x, run(Solver(name, eta), x, levels, g)]))[0, 1])
            for eta in (0.0, 0.3, 1.0)
        ]
        assert kept[0] > 0.999999
        assert 0.1 < kept[1] < 0.99
        assert abs(kept[2]) < 0.1


def test_the_first_ancestral_step_from_pure_noise_is_the_same_for_both() -> None:
    """At eta 1 DDIM and first-order SDE-DPM-Solver++ are both DDPM's posterior."""
    schedule, x = Schedule(), torch.linspace(-2, 2, 9, dtype=torch.float64)
    for now, then in ((999, 700), (700, 300), (20, 5)):
        steps = levels_of([now, then], schedule)
        ddim, dpm = (run(Solver(name, 1.0), x, steps, torch.Generator().manual_seed(3)) for name in ("ddim", "dpm++2m"))
        assert (ddim - dpm).abs().max() < 1e-12


@pytest.mark.parametrize(("arguments", "message"), [(("euler",), "'euler'"), (("ddim", 1.5), "eta is 1.5")])
def test_unknown_solvers_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Solver(*arguments)


def test_pace_spreads_a_modality_over_its_share_of_the_steps() -> None:
    schedule = Schedule()
    assert Pace().timesteps(4, schedule) == (999, 749, 499, 249, CLEAN)
    assert Pace(end=0.5).timesteps(4, schedule) == (999, 499, CLEAN, CLEAN, CLEAN)
    assert Pace(begin=0.5).timesteps(4, schedule) == (999, 999, 999, 499, CLEAN)
    assert Pace(spacing=2.0).timesteps(4, schedule) == (999, 561, 249, 61, CLEAN)
    for count, (begin, end) in itertools.product((1, 2, 7, 30), ((0.0, 0.1), (0.9, 1.0), (0.4, 0.6), (0.0, 1.0))):
        found = Pace(begin, end).timesteps(count, schedule)
        assert len(found) == count + 1
        assert found[0] == PURE_NOISE
        assert found[-1] == CLEAN
        assert all(now >= then for now, then in itertools.pairwise(found))
    for bad in ((0.5, 0.5), (-0.1, 1.0), (0.0, 1.1), (0.8, 0.2)):
        with pytest.raises(ModelError, match="0 ≤ begin < end ≤ 1"):
            Pace(*bad)
