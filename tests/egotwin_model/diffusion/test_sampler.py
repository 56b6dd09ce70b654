"""The sampler against the spec's guidance formulas written out, an exact denoiser, and its count of evaluations."""

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from egotwin_model.diffusion.noise import SampleNoise
from egotwin_model.diffusion.sampler import (
    CLEAN,
    PURE_NOISE,
    Conditions,
    Context,
    Guidance,
    Pace,
    Sampler,
    Schedule,
    Solver,
    guidance_terms,
    timesteps,
)
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.errors import Cancelled, GoalError, ModelError

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


def test_joint_sampling_is_the_papers_formula_at_every_step() -> None:
    """Section 3.4 written out, ten evaluations a step, all whole; both modalities with timesteps of their own."""
    g = torch.Generator().manual_seed(0)
    noise = [torch.randn(shape, generator=g) for shape in SHAPES]
    c, w, schedule = conditions(), Guidance(6.0, 4.0, 3.0), Schedule()
    paces = Pace(), Pace(end=0.7, spacing=1.5)
    found = Sampler(LinearDenoiser(), schedule, video_pace=paces[0], motion_pace=paces[1]).sample(
        "joint", c, *noise, 6, w
    )
    steps = [pace.timesteps(6, schedule) for pace in paces]
    latents = list(noise)
    for index in range(6):
        times = [max(step[index], 0) for step in steps]

        def v(text: Tensor, output: int, *, absent: bool, now: Any = (tuple(latents), tuple(times))) -> Tensor:
            x, t = list(now[0]), list(now[1])
            if absent:
                x[1 - output], t[1 - output] = noise[1 - output], PURE_NOISE
            call = (text, *x, torch.tensor([t[0]]), torch.tensor([t[1]]), c.image, c.pose)
            return LinearDenoiser()(*call, motion_only=False)[output]  # type: ignore[return-value]

        for output, scale in ((0, w.motion), (1, w.video)):
            if steps[output][index] == CLEAN:
                continue
            base, worded = v(c.empty, output, absent=True), v(c.text, output, absent=True)
            guided = base + w.text * (worded - base) + scale * (v(c.text, output, absent=False) - worded)
            (a, s), (a_next, s_next) = (schedule.level(steps[output][place]) for place in (index, index + 1))
            x = latents[output]
            latents[output] = a_next * (a * x - s * guided) + s_next * (s * x + a * guided)
    for ours, theirs in zip(found, latents, strict=True):
        assert ours is not None
        assert (ours - theirs).abs().max() < 1e-4 * float(theirs.abs().max())


def test_a_joint_step_costs_three_full_and_two_half_evaluations() -> None:
    """And the first one, where both modalities are pure noise and absent is present, two."""
    model = LinearDenoiser()
    noise = [torch.zeros(shape) for shape in SHAPES]
    Sampler(model, Schedule()).sample("joint", conditions(), *noise, 3, Guidance(6, 4, 4))
    assert [call["motion_only"] for call in model.calls] == [False, False] + [False, False, False, True, True] * 2
    video_absent = [call["t"] for call in model.calls if call["motion_only"]]
    assert all(t_video == PURE_NOISE for t_video, _ in video_absent)
    seen = [(call["text"], call["t"]) for call in model.calls]
    assert len(set(seen)) == len(seen), "no evaluation is made twice"


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


def test_what_is_cancelled_leaves_nothing_behind() -> None:
    """A sampler holds no state: after a cancelled run it gives the same, bit for bit, as one never used."""
    c, noise = conditions(), [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in SHAPES]
    before = [tensor.clone() for tensor in noise]

    def run(sampler: Sampler, progress: Any = None) -> Any:
        fresh = [SampleNoise(2, 1, purpose).like for purpose in range(2)]
        return sampler.sample("joint", c, *noise, 6, Guidance(2, 2, 2), progress, *fresh)

    def stop(step: int, steps: int) -> None:
        if step == 4:
            raise Cancelled

    used, fresh = (Sampler(LinearDenoiser(), Schedule(), Solver("dpm++2m", 0.5)) for _ in range(2))
    with pytest.raises(Cancelled):
        run(used, stop)
    for ours, theirs in zip(run(used), run(fresh), strict=True):
        assert torch.equal(ours, theirs)
    assert all(torch.equal(a, b) for a, b in zip(noise, before, strict=True)), "the caller's noise was written to"


@pytest.mark.parametrize("solver", [Solver("ddim", 1.0), Solver("dpm++2m", 0.7)])
def test_a_seed_repeats_the_ancestral_noise(solver: Solver) -> None:
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in SHAPES]

    def run(seed: int) -> Any:
        fresh = [SampleNoise(seed, 1, purpose).like for purpose in range(2)]
        sampler = Sampler(LinearDenoiser(), Schedule(), solver)
        return sampler.sample("joint", conditions(), *noise, 5, Guidance(2, 2, 2), None, *fresh)

    first, again, other = run(5), run(5), run(6)
    for index in range(2):
        assert torch.equal(first[index], again[index])
        assert not torch.equal(first[index], other[index])


def test_motion_may_finish_first_and_then_guides_the_video_clean() -> None:
    """Timestep lists of their own: the finished modality is given as in the conditional modes, and costs no more."""
    model = LinearDenoiser()
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in SHAPES]
    sampler = Sampler(model, Schedule(), motion_pace=Pace(end=0.5))
    sampler.sample("joint", conditions(), *noise, 4, Guidance(6, 4, 4))
    present = [call["t"] for call in model.calls if PURE_NOISE not in call["t"]]
    assert present == [(749, 499), (499, 0), (249, 0)]
    assert sum(call["motion_only"] for call in model.calls) == 2


def test_motion_first_then_video_is_the_two_modes_one_after_the_other() -> None:
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in SHAPES]
    guidance = Guidance(6.0, 4.0, 3.0)
    both = Sampler(LinearDenoiser(), Schedule(), video_pace=Pace(begin=0.5), motion_pace=Pace(end=0.5))
    model = LinearDenoiser()
    both.denoiser = model
    video, motion = both.sample("joint", conditions(), *noise, 6, guidance)
    plain = Sampler(LinearDenoiser(), Schedule())
    _, alone = plain.sample("motion", conditions(), *noise, 3, guidance)
    assert alone is not None
    along, _ = plain.sample("video", conditions(motion=alone), *noise, 3, guidance)
    assert (motion - alone).abs().max() < 1e-5  # type: ignore[operator]
    assert (video - along).abs().max() < 1e-5  # type: ignore[operator]
    assert all(call["motion_only"] for call in model.calls[:6]), "no whole evaluation before the video begins"


@dataclass
class SeeingDenoiser(LinearDenoiser):
    """A `LinearDenoiser` that adds what it knows of the views to the video's v, and records it and its inputs."""

    def __call__(self, *inputs: Tensor, motion_only: bool, **views: Tensor) -> tuple[Tensor | None, Tensor]:  # type: ignore[override]
        video, motion = super().__call__(*inputs, motion_only=motion_only)
        self.calls[-1] |= {"views": views, "video": inputs[1]}
        return (video + views["prior"] if video is not None and views else video), motion


LEADING = {"video_pace": Pace(begin=0.5), "motion_pace": Pace(end=0.5)}


def test_views_are_known_once_motion_has_led_the_way() -> None:
    """They are asked for along the finished motion, and reach no evaluation in which motion is noisy or absent."""
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in SHAPES]
    prior, asked = torch.full(SHAPES[0], 0.5), []

    def known(motion: Tensor) -> dict[str, Tensor]:
        asked.append(motion)
        return {"prior": prior}

    model = SeeingDenoiser()
    sampler = Sampler(model, Schedule(), **LEADING)
    video, motion = sampler.sample("joint", conditions(), *noise, 6, Guidance(6, 4, 4), known_views=known)
    assert len(asked) == 1
    assert torch.equal(asked[0], motion)
    assert [bool(call["views"]) for call in model.calls] == [call["t"][1] == 0 for call in model.calls]
    blind = SeeingDenoiser()
    sampler.denoiser = blind
    unseen, same = sampler.sample("joint", conditions(), *noise, 6, Guidance(6, 4, 4))
    assert torch.equal(motion, same)
    assert not torch.allclose(video, unseen)
    costs = [[call["motion_only"] for call in calls] for calls in (model.calls, blind.calls)]
    assert costs[0] == costs[1], "a prior costs no evaluation"


def test_views_are_asked_for_along_what_is_known_of_a_motion_that_is_not_finished() -> None:
    """x₀ of motion's last step; nothing where motion has not begun; the given motion in mode "video"."""
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in SHAPES]
    asked: list[Tensor | None] = []

    def known(motion: Tensor | None) -> dict[str, Tensor]:
        asked.append(motion)
        return {}

    clean = torch.randn(SHAPES[1], generator=torch.Generator().manual_seed(2))
    schedule = Schedule()

    def exact(text: Any, video: Any, motion: Any, tv: Tensor, tm: Tensor, *rest: Any, motion_only: bool) -> Any:
        return None if motion_only else 0 * video, schedule.velocity(clean, noise[1], tm)

    given = conditions(motion=clean)
    for mode, paces, c in (
        ("joint", {"video_pace": Pace(begin=0.5)}, conditions()), ("joint", {}, conditions()), ("video", {}, given),
    ):  # fmt: skip
        Sampler(exact, schedule, **paces).sample(mode, c, *noise, 4, Guidance(1, 1, 1), known_views=known)  # type: ignore[arg-type]
    torch.testing.assert_close(asked[0], clean, atol=1e-5, rtol=0)
    assert asked[1] is None
    assert asked[2] is clean


@pytest.mark.parametrize("mode", ["joint", "video"])
def test_video_begins_from_its_prior_where_that_is_visible(mode: Any) -> None:
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in SHAPES]
    prior, visibility = torch.full(SHAPES[0], 2.0), torch.zeros(1, 3, 1, 2, 2)
    visibility[:, 1:], visibility[:, 2] = 1.0, 0.5
    model, schedule = SeeingDenoiser(), Schedule()
    paces = LEADING if mode == "joint" else {}
    sampler = Sampler(model, schedule, **paces, prior_start=0.6)  # type: ignore[arg-type]
    c = conditions() if mode == "joint" else conditions(motion=noise[1])
    views = {"prior": prior, "visibility": visibility}
    sampler.sample(mode, c, *noise, 4 if mode == "joint" else 2, Guidance(1, 1, 1), known_views=lambda _: views)
    calls = [call for call in model.calls if not call["motion_only"]]
    assert [call["t"][0] for call in calls] == [599, 299]
    signal, level = schedule.level(599)
    begun = calls[0]["video"]
    assert torch.equal(begun[:, 0], noise[0][:, 0]), "what is hidden is pure noise"
    torch.testing.assert_close(begun[:, 1], signal * prior[:, 1] + level * noise[0][:, 1])
    half = signal * 0.5
    torch.testing.assert_close(begun[:, 2], half * prior[:, 2] + (1 - half**2) ** 0.5 * noise[0][:, 2])
    with pytest.raises(ModelError, match="prior_start is 0"):
        Sampler(model, schedule, prior_start=0.0)


def test_tied_timesteps_take_plain_guidance() -> None:
    """Models without asynchronous diffusion know no absent modality: ε(∅) + w[ε(c) − ε(∅)], two evaluations a step."""
    model, c = LinearDenoiser(), conditions()
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in SHAPES]
    tied = Sampler(model, Schedule(), asynchronous=False)
    found = tied.sample("joint", c, *noise, 1, Guidance(6, 4, 4))
    assert [call["motion_only"] for call in model.calls] == [False, False]
    t = torch.tensor([PURE_NOISE])
    worded, empty = (LinearDenoiser()(x, *noise, t, t, c.image, c.pose, motion_only=False) for x in (c.text, c.empty))
    for output in range(2):
        assert (found[output] + 6 * worded[output] - 5 * empty[output]).abs().max() < 1e-4  # type: ignore[operator]
    tied.sample("joint", c, *noise, 3, Guidance(6, 4, 4))
    assert all(t_video == t_motion for t_video, t_motion in (call["t"] for call in model.calls))
    with pytest.raises(GoalError, match="generates jointly"):
        tied.sample("motion", c, *noise, 1, Guidance(6, 4, 4))
    with pytest.raises(ModelError, match="tied timesteps"):
        Sampler(model, Schedule(), asynchronous=False, motion_pace=Pace(end=0.5))


def test_a_batch_is_its_samples() -> None:
    """No sample of a batch depends on another."""
    g = torch.Generator().manual_seed(0)
    config = EgoTwinConfig.smoke()
    model = narrow_transformer(config)
    arguments = narrow_inputs(config, 3, g)

    def run(pick: slice) -> Any:
        c, video, motion = arguments
        part = Conditions(c.text[pick], c.empty[pick], c.image[pick], c.pose[pick])  # type: ignore[index]
        return Sampler(model, Schedule(), Solver("dpm++2m")).sample(
            "joint", part, video[pick], motion[pick], 3, Guidance(3, 2, 2)
        )

    whole = run(slice(None))
    for sample in range(3):
        one = run(slice(sample, sample + 1))
        for output in range(2):
            assert (whole[output][sample] - one[output][0]).abs().max() < 1e-4


def narrow_transformer(config: EgoTwinConfig) -> Any:
    """A real transformer with random weights everywhere (zero-initialised outputs would predict nothing)."""
    torch.manual_seed(0)
    model = EgoTwinTransformer(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model.requires_grad_(False)


def narrow_inputs(config: EgoTwinConfig, samples: int, g: torch.Generator) -> tuple[Conditions, Tensor, Tensor]:
    latent = (config.latent_channels, config.latent_height, config.latent_width)
    text, empty = torch.randn(2, samples, config.text_length, config.text_dim, generator=g)
    image = torch.randn(samples, *latent, generator=g)
    pose = torch.randn(samples, config.motion_channels, generator=g)
    video = torch.randn(samples, config.latent_frames, *latent, generator=g)
    motion = torch.randn(samples, config.motion_channels, config.motion_length, generator=g)
    return Conditions(text, empty, image, pose), video, motion


@pytest.mark.parametrize("mode", ["joint", "motion", "video"])
def test_half_evaluations_change_nothing_on_a_real_transformer(mode: Any) -> None:
    """The lower half alone gives the whole model's motion: a sampler that always runs all of it agrees to 1e-6."""
    config = EgoTwinConfig.smoke()
    model = narrow_transformer(config)
    c, video, motion = narrow_inputs(config, 2, torch.Generator().manual_seed(0))
    given = {"motion": {"video": video.flip(0)}, "video": {"motion": motion.flip(0)}}.get(mode, {})
    c = replace(c, **given)
    halves: list[bool] = []

    def halved(*tensors: Tensor, motion_only: bool) -> Any:
        halves.append(motion_only)
        return model(*tensors, motion_only=motion_only)

    def whole(*tensors: Tensor, motion_only: bool) -> Any:
        return model(*tensors)

    ours, theirs = (
        Sampler(denoiser, Schedule()).sample(mode, c, video, motion, 3, Guidance(6, 4, 4))
        for denoiser in (halved, whole)
    )
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert (a - b).abs().max() < 1e-6 * max(1.0, float(b.abs().max()))
    assert halves.count(True) == {"joint": 4, "motion": 9, "video": 0}[mode]


@pytest.mark.parametrize("per_token", [True, False])
def test_a_known_beginning_stays_as_given(per_token: bool) -> None:
    """Clean at timestep 0 among noisy tokens, or as noisy as they are; in the result it is what was given."""
    g = torch.Generator().manual_seed(0)
    noise = [torch.randn(shape, generator=g) for shape in SHAPES]
    context = Context(torch.randn(1, 2, 2, 2, 2, generator=g), torch.randn(1, 4, 3, generator=g), per_token=per_token)
    calls: list[tuple[Tensor, ...]] = []

    def record(*tensors: Tensor, motion_only: bool) -> Any:
        calls.append(tensors)
        return 0.5 * tensors[1], 0.3 * tensors[2]

    found = Sampler(record, Schedule()).sample(
        "joint", replace(conditions(), context=context), *noise, 3, Guidance(1, 2, 2)
    )
    assert torch.equal(found[0][:, :2], context.video)  # type: ignore[index]
    assert torch.equal(found[1][..., :3], context.motion)  # type: ignore[index]
    for _, video, motion, t_video, t_motion, *_ in calls:
        for x, t, noisy, known, axis in (
            (video, t_video, noise[0], context.video, 1),
            (motion, t_motion, noise[1], context.motion, 2),
        ):
            count = known.shape[axis]
            start = x.narrow(axis, 0, count)
            absent = bool((t == PURE_NOISE).all()) and torch.equal(x, noisy)
            if per_token:
                assert t.shape == (1, x.shape[axis])
                assert (t[:, :count] == (PURE_NOISE if absent else 0)).all()
                assert absent or torch.equal(start, known)
                assert len(set(t[0, count:].tolist())) == 1
            else:
                assert t.shape == (1,)
                a, s = Schedule().level(int(t))
                expected = a * known + s * noisy.narrow(axis, 0, count)
                assert (start - expected).abs().max() < 1e-6


def test_a_model_of_one_modality_is_guided_by_text_alone() -> None:
    calls: list[tuple[Tensor | None, ...]] = []

    def motion_model(*tensors: Tensor, motion_only: bool) -> Any:
        calls.append(tensors)
        return None, 0.3 * tensors[2] + tensors[0].mean()

    noise = torch.randn(SHAPES[1], generator=torch.Generator().manual_seed(0))
    video, motion = Sampler(motion_model, Schedule()).sample("motion", conditions(), None, noise, 2, Guidance(6, 4, 4))
    assert video is None
    assert motion is not None
    assert motion.shape == noise.shape
    assert len(calls) == 4
    assert all(call[1] is None for call in calls)


@pytest.mark.parametrize("mode", ["joint", "motion", "video"])
@pytest.mark.parametrize("per_token", [True, False])
def test_numpy_and_torch_are_sampled_alike(mode: Any, per_token: bool) -> None:
    """The same arithmetic on both kinds of array, with a known beginning and fresh noise; NumPy comes back as NumPy."""
    g = torch.Generator().manual_seed(0)
    noise = [torch.randn(shape, generator=g) for shape in SHAPES]
    context = Context(torch.randn(1, 2, 2, 2, 2, generator=g), torch.randn(1, 4, 3, generator=g), per_token=per_token)

    def halve(text: Any, video: Any, motion: Any, t_video: Any, t_motion: Any, *_: Any, motion_only: bool) -> Any:
        shift = float(t_video.max()) / 1000 + float(t_motion.min()) / 2000 + text.mean()
        return None if motion_only else 0.5 * video + shift, 0.3 * motion - shift

    def run(convert: Any) -> Any:
        c = replace(conditions(), context=context)
        c = Conditions(
            *(convert(x) for x in (c.text, c.empty, c.image, c.pose)),
            context=Context(convert(context.video), convert(context.motion), per_token),
        )
        fresh = [SampleNoise(2, 1, purpose).like for purpose in range(2)]
        sampler = Sampler(halve, Schedule(), Solver("dpm++2m", 0.5))
        return sampler.sample(mode, c, *map(convert, noise), 5, Guidance(3, 2, 2), None, *fresh)

    for tensor, array in zip(run(lambda x: x), run(lambda x: x.numpy()), strict=True):
        assert (tensor is None) == (array is None)
        if array is not None:
            assert isinstance(array, np.ndarray)
            assert array.dtype == np.float32
            np.testing.assert_allclose(array, tensor.numpy(), rtol=1e-5, atol=1e-5)


def test_noise_of_a_sample_depends_on_seed_number_and_purpose_alone() -> None:
    one, three = SampleNoise(7, 1, 0, 1), SampleNoise(7, 3, 0, 1)
    first = three.normal(4, 5)
    assert first.dtype == np.float32
    assert np.array_equal(one.normal(4, 5)[0], first[0])
    again = three.like(torch.zeros(3, 4, 5, dtype=torch.float64))
    assert again.dtype == torch.float64
    assert np.array_equal(one.normal(4, 5)[0], again[0].numpy().astype(np.float32))
    others = [SampleNoise(8, 1, 0, 1), SampleNoise(7, 1, 0, 2), SampleNoise(7, 1, 1, 1)]
    drawn = [first[0], first[1], first[2], *(other.normal(4, 5)[0] for other in others)]
    assert len({array.tobytes() for array in drawn}) == 6
    many = SampleNoise(1, 64).normal(1000)
    assert abs(float(many.mean())) < 4 / 64000**0.5
    assert abs(float(many.std()) - 1.0) < 0.02
    with pytest.raises(GoalError, match="seed is -1"):
        SampleNoise(-1, 1)
