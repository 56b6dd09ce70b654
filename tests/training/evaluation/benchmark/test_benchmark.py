"""The benchmark end to end on small data: what is right, what is refused, what a stopped run leaves."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ....shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.egotwin.pipeline import EgoTwinPipeline
from egotwin_model.geometry.skeleton import HEAD
from egotwin_model.io.files import write_json
from egotwin_model.io.videos import Compression, write_video
from egotwin_model.motion.head_path import heading
from training.evaluation.benchmark.baselines import baselines, write_baseline
from training.evaluation.benchmark.imagining import write_imaginations
from training.evaluation.benchmark.measurements import ToolsSpec
from training.evaluation.benchmark.predictions import (
    Predictions,
    clip_name,
    read_info,
    write_info,
)
from training.evaluation.benchmark.report import write_report
from training.evaluation.benchmark.run import REPORT, RESULTS, score
from training.evaluation.benchmark.task_files import write_tasks
from training.evaluation.benchmark.tasks import Benchmark
from training.evaluation.errors import PredictionError
from training.evaluation.metrics.view_shift import view_shift

from ...evaluation_data import write_data
from ..true_predictions import write_truth

ROOT = Path(__file__).parents[4]
NO_NETWORKS = ToolsSpec(images=False, cameras=False)
CLIPS = 6
PHYSICS = {"foot sliding", "stance sliding", "feet standing", "floor penetration", "jerk"}
VIEWS = {f"view turns {what}" for what in ("with the head", "with the head, over half seconds", "to the head's side")}
OBEYED = {"obeys the text", "obeys: walk", "obeys: turn", "obeys: stand still"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), {"train": 12, "val": 8, "test": 8})


@pytest.fixture(scope="module")
def benchmark(data: Path) -> Benchmark:
    return Benchmark(data, CLIPS)


def change(folder: Path, number: int, **arrays: np.ndarray | None) -> None:
    """Replace tensors of one prediction; None takes them away."""
    path = folder / f"{clip_name(number)}.safetensors"
    values = load_file(path) | arrays
    save_file({name: array for name, array in values.items() if array is not None}, path)


def test_true_clips_score_as_perfect_and_baselines_do_not(benchmark: Benchmark, tmp_path: Path) -> None:
    known = baselines(benchmark)
    names = ["repeat first frame, stand still", "constant velocity", "mean path of the behaviour", "nearest neighbour"]
    folders = [write_truth(benchmark, tmp_path / "oracle")]
    folders += [write_baseline(known[name], benchmark, tmp_path / name.replace(" ", "-")) for name in names]
    turned = known["first frame turned with the head"]
    folders.append(write_baseline(turned, benchmark, tmp_path / "turned"))
    results = score(benchmark, folders, NO_NETWORKS, tmp_path / "out")
    values = {
        name: {metric: found["value"] for metric, found in subject["metrics"].items()}
        for name, subject in results["subjects"].items()
    }
    oracle, frozen = values["oracle"], values["repeat first frame, stand still"]
    assert oracle["head FDE@5s"] == oracle["MPJPE"] == 0.0
    assert {oracle[name] for name in OBEYED} == {1.0}
    assert (oracle["stance sliding"], oracle["feet standing"]) == (pytest.approx(0.0, abs=2.0), 1.0)
    clips = [benchmark.clip(number) for number in benchmark.numbers]
    frames, heads = np.stack([clip.frames for clip in clips]), np.stack([clip.rotations[::2, HEAD] for clip in clips])
    shifts, turns = np.stack([view_shift(clip) for clip in frames]), np.diff(heading(heads), axis=-1)
    assert oracle["view turns with the head"] == pytest.approx(np.corrcoef(shifts.ravel(), turns.ravel())[0, 1])
    half_seconds = [x.reshape(-1, 4).sum(-1) for x in (shifts, turns)]
    assert oracle["view turns with the head, over half seconds"] == pytest.approx(np.corrcoef(*half_seconds)[0, 1])
    turning = np.abs(turns.sum(-1)) >= np.deg2rad(30)
    same_side = np.sign(shifts.sum(-1)) == np.sign(turns.sum(-1))
    assert oracle["view turns to the head's side"] == same_side[turning].mean()
    error = np.square(frames[:, 16:].astype(float) - frames[:, :1]).mean((1, 2, 3, 4))
    assert frozen["PSNR 2–5 s"] == pytest.approx(
        float((10 * np.log10(255**2 / np.maximum(error, 1e-3))).mean()), rel=1e-4
    )
    assert frozen["obeys the text"] < 0.5
    assert oracle["PSNR 2–5 s"] > values[turned.name]["PSNR 2–5 s"] > frozen["PSNR 2–5 s"]
    assert values["constant velocity"]["head FDE@5s"] == pytest.approx(0.0, abs=1e-3)  # these people glide
    assert values["mean path of the behaviour"]["head FDE@5s"] < frozen["head FDE@5s"]
    assert values["nearest neighbour"]["obeys the text"] == 1.0
    assert "PSNR 2–5 s" not in values["constant velocity"]
    assert "head FDE@5s" not in values[turned.name]
    page = write_report(results, benchmark, tmp_path / "out").read_text(encoding="utf-8")
    assert "given the second pose" in page
    assert page.count("<video") >= 4 * 3
    tables = (tmp_path / "out" / "report.md").read_text(encoding="utf-8").splitlines()
    row = next(line for line in tables if line.startswith("| head FDE@5s ↓ [m]"))
    fair = [name for name in values if not results["subjects"][name]["info"]["told"]]
    best = min(values[name].get("head FDE@5s", np.inf) for name in fair)
    assert row.count("**") == 2, row
    assert f"**{best:.3f}**" in row
    assert len(row.split("|")) == len(values) + 4
    stored = json.loads((tmp_path / "out" / RESULTS).read_text(encoding="utf-8"))
    assert stored["subjects"].keys() == results["subjects"].keys()
    with av.open(str(tmp_path / "out" / "media" / "best-true-clip.mp4")) as video:
        assert video.streams.video[0].frames == 41
    unpaired = score(benchmark, folders[:1], NO_NETWORKS, tmp_path / "out", paired=False)["subjects"]["oracle"]
    assert unpaired["metrics"].keys() == OBEYED | VIEWS | PHYSICS


def test_a_stopped_run_is_resumed_and_nothing_half_done_looks_complete(benchmark: Benchmark, tmp_path: Path) -> None:
    folder, out = write_truth(benchmark, tmp_path / "oracle"), tmp_path / "out"
    results = score(benchmark, [folder], NO_NETWORKS, out)
    write_report(results, benchmark, out)
    broken = benchmark.numbers[-1]
    path = folder / f"{clip_name(broken)}.safetensors"
    good = path.read_bytes()
    parts = sorted((out / "parts" / "oracle").iterdir())
    before = {part: part.stat().st_mtime_ns for part in parts}
    positions = load_file(path)["positions"]
    positions[0, 40, 3] = np.nan
    change(folder, broken, positions=positions)
    with pytest.raises(PredictionError, match=f"{clip_name(broken)}: positions or rotations hold NaN"):
        score(benchmark, [folder], NO_NETWORKS, out)
    assert not (out / RESULTS).exists()
    assert not (out / REPORT).exists()
    path.write_bytes(good)
    again = score(benchmark, [folder], NO_NETWORKS, out)
    assert again["subjects"]["oracle"]["metrics"] == results["subjects"]["oracle"]["metrics"]
    assert {part: part.stat().st_mtime_ns for part in parts} == before
    still = np.repeat(load_file(path)["positions"][:, :1], 81, axis=1)
    change(folder, broken, positions=still)
    changed = score(benchmark, [folder], NO_NETWORKS, out)
    touched = [part.stem for part in parts if part.stat().st_mtime_ns != before[part]]
    assert touched == [f"test-{clip_name(broken)}"]
    assert changed["protocol"]["identity"] == results["protocol"]["identity"]


def test_a_clip_with_another_text_is_measured_again(benchmark: Benchmark, data: Path, tmp_path: Path) -> None:
    folder, out = write_truth(benchmark, tmp_path / "oracle"), tmp_path / "out"
    score(benchmark, [folder], NO_NETWORKS, out)
    before = {path: path.stat().st_mtime_ns for path in sorted(out.glob("parts/*/*.safetensors"))}
    write_baseline(baselines(benchmark)["constant velocity"], benchmark, tmp_path / "moving")

    reworded, number = tmp_path / "reworded", benchmark.numbers[0]
    shutil.copytree(data, reworded)
    first = 0
    for path in sorted((reworded / "test").glob("clips-*.json")):
        records = json.loads(path.read_text())
        if first <= number < first + len(records):
            records[number - first]["text"] = "do something else"
            path.write_text(json.dumps(records))
        first += len(records)
    other = Benchmark(reworded, CLIPS)
    assert other.clip(number).text == "do something else"
    score(other, [folder], NO_NETWORKS, out)
    again = {path.relative_to(out / "parts") for path, then in before.items() if path.stat().st_mtime_ns != then}
    name = f"test-{clip_name(number)}.safetensors"
    assert again == {Path("oracle") / name, Path("true-clips") / name}
    with pytest.raises(PredictionError, match="moving holds other predictions"):
        write_baseline(baselines(other)["constant velocity"], other, tmp_path / "moving")


def test_two_workers_measure_what_one_does(benchmark: Benchmark, tmp_path: Path) -> None:
    folder = write_truth(benchmark, tmp_path / "oracle", samples=4, noise=0.1)
    alone = score(benchmark, [folder], NO_NETWORKS, tmp_path / "one")
    both = score(benchmark, [folder], NO_NETWORKS, tmp_path / "two", workers=2)
    assert both["subjects"]["oracle"]["metrics"] == alone["subjects"]["oracle"]["metrics"]
    metrics = alone["subjects"]["oracle"]["metrics"]
    assert metrics["head FDE@5s, best of K"]["value"] < metrics["head FDE@5s"]["value"]
    assert 0.0 <= metrics["truth inside the 50% region"]["value"] <= metrics["truth inside the 90% region"]["value"]


def test_too_few_samples_or_clips_are_reported(benchmark: Benchmark, data: Path, tmp_path: Path) -> None:
    folder = write_truth(benchmark, tmp_path / "oracle", samples=2, noise=0.1)
    notes = score(benchmark, [folder], NO_NETWORKS, tmp_path / "out")["subjects"]["oracle"]["notes"]
    assert any("calibration needs 4 samples of each clip, here are 2" in note for note in notes)
    with pytest.raises(PredictionError, match=r"9 test clips asked for, .* has 8"):
        Benchmark(data, 9)


WRONG = {
    "frame rate": (lambda f, n: rewrite(f, frame_rate=30.0), "30 frames and 16 poses a second, the test clips have 8"),
    "mode": (lambda f, n: rewrite(f, mode="dream"), "mode is 'dream'"),
    "manifest": (lambda f, n: write_json(f / "predictions.json", {"who": "me"}), "does not describe predictions"),
    "missing clip": (lambda f, n: (f / f"{clip_name(n)}.safetensors").unlink(), "1 of 6 clips have no prediction"),
    "no frames": (lambda f, n: change(f, n, frames=None), "no frames, which mode joint predicts"),
    "too few frames": (lambda f, n: cut(f, n, "frames", 30), r"frames are uint8 \(30, 32, 32, 3\)"),
    "too few poses": (lambda f, n: cut(f, n, "positions", 41, axis=1), "81 poses at 16 a second"),
    "no rotations": (lambda f, n: change(f, n, rotations=None), "no motion, which mode joint predicts"),
    "no rotation": (lambda f, n: change(f, n, rotations=np.ones((1, 81, 23, 3, 3), np.float32)), "are no rotations"),
    "another frame": (lambda f, n: moved(f, n, 3.0), "the head starts 5.20 m from the given pose"),
    "cut file": (lambda f, n: (f / f"{clip_name(n)}.safetensors").write_bytes(b"abc"), "cannot be read"),
}


def rewrite(folder: Path, **values: object) -> None:
    write_json(folder / "predictions.json", asdict(read_info(folder)) | values)


def cut(folder: Path, number: int, name: str, length: int, axis: int = 0) -> None:
    array = load_file(folder / f"{clip_name(number)}.safetensors")[name]
    change(folder, number, **{name: np.ascontiguousarray(array.take(range(length), axis=axis))})


def moved(folder: Path, number: int, offset: float) -> None:
    change(folder, number, positions=load_file(folder / f"{clip_name(number)}.safetensors")["positions"] + offset)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_predictions_are_refused_by_name(benchmark: Benchmark, tmp_path: Path, name: str) -> None:
    spoil, message = WRONG[name]
    folder = write_truth(benchmark, tmp_path / "oracle")
    spoil(folder, benchmark.numbers[2])
    with pytest.raises(PredictionError, match=message):
        score(benchmark, [folder], NO_NETWORKS, tmp_path / "out")
    assert not (tmp_path / "out" / RESULTS).exists()


def test_clips_with_other_numbers_of_samples_do_not_mix(benchmark: Benchmark, tmp_path: Path) -> None:
    folder = write_truth(benchmark, tmp_path / "oracle")
    number = benchmark.numbers[1]
    values = load_file(folder / f"{clip_name(number)}.safetensors")
    change(folder, number, **{key: np.repeat(values[key], 2, axis=0) for key in ("positions", "rotations")})
    with pytest.raises(PredictionError, match="differ from clip to clip"):
        score(benchmark, [folder], NO_NETWORKS, tmp_path / "out")


def test_a_head_without_a_body_is_scored_for_what_it_has(benchmark: Benchmark, tmp_path: Path) -> None:
    """No hands, no joints: their metrics are left out, the head's are there."""
    folder = write_truth(benchmark, tmp_path / "oracle")
    for number in benchmark.numbers:
        clip = benchmark.clip(number)
        head = {"head_positions": clip.positions[:, HEAD], "head_rotations": clip.rotations[:, HEAD]}
        bare = {name: np.ascontiguousarray(array) for name, array in head.items()}
        change(folder, number, positions=None, rotations=None, **bare)
    metrics = score(benchmark, [folder], NO_NETWORKS, tmp_path / "out")["subjects"]["oracle"]["metrics"]
    assert metrics["head FDE@5s"]["value"] == 0.0
    assert not {"MPJPE", "HandScore", "foot sliding", "obeys the text"} & metrics.keys()


def test_each_mode_is_compared_with_what_it_was_given(benchmark: Benchmark, tmp_path: Path) -> None:
    """TV2M: the given video against the predicted motion; TM2V the other way round; one alone agrees with nothing."""
    folder = write_truth(benchmark, tmp_path / "oracle")
    turns = "view turns with the head"
    found = {}
    for mode in ("joint", "TV2M", "TM2V", "T2M", "T2V"):
        rewrite(folder, mode=mode)
        found[mode] = score(benchmark, [folder], NO_NETWORKS, tmp_path / "out")["subjects"]["oracle"]["metrics"]
    assert found["TV2M"][turns] == found["TM2V"][turns] == found["joint"][turns]
    for mode, video, motion in (
        ("TV2M", False, True),
        ("TM2V", True, False),
        ("T2M", False, True),
        ("T2V", True, False),
    ):
        assert ("PSNR 2–5 s" in found[mode]) == video
        assert ("head FDE@5s" in found[mode]) == ("jerk" in found[mode]) == motion
        assert (turns in found[mode]) == (mode in ("TV2M", "TM2V"))


def test_a_model_folder_predicts_and_a_stopped_run_is_resumed(tmp_path: Path) -> None:
    """The embedded model; each clip's noise follows from its number, so a second run adds only what is missing."""
    small = Benchmark(write_data(tmp_path / "data", {"test": 3}, size=64), 1)
    pipeline = EgoTwinPipeline.from_pretrained(ROOT / "models" / "egotwin-mini")
    folder = write_imaginations(pipeline, small, "T2M", tmp_path / "mini", samples=2)
    (first,) = [folder / f"{clip_name(number)}.safetensors" for number in small.numbers]
    before = first.stat().st_mtime_ns
    large = Benchmark(tmp_path / "data", 2)
    assert write_imaginations(pipeline, large, "T2M", tmp_path / "mini", samples=2) == folder
    assert first.stat().st_mtime_ns == before
    read = Predictions(folder, large).read(large.clip(large.numbers[1]))
    assert read.frames is None
    assert read.motion is not None
    assert read.motion.positions.shape == (2, 81, 23, 3)
    assert np.abs(read.motion.positions[0] - read.motion.positions[1]).max() > 1e-3
    with pytest.raises(PredictionError, match="holds other predictions"):
        write_imaginations(pipeline, large, "T2M", tmp_path / "mini", samples=2, seed=1)


def test_every_documented_form_reads_the_same(benchmark: Benchmark, tmp_path: Path) -> None:
    folder = write_truth(benchmark, tmp_path / "oracle")
    number = benchmark.numbers[0]
    clip = benchmark.clip(number)
    path = folder / f"{clip_name(number)}.safetensors"
    values = load_file(path)
    path.unlink()
    first = clip.motion
    local = first.relative_to_first_head()
    for frame, motion in (("world", first), ("head", local)):
        rewrite(folder, frame=frame)
        arrays = {"positions": motion.positions, "rotations": motion.rotations}  # without the axis of samples
        np.savez(folder / f"{clip_name(number)}.npz", **arrays, frames=values["frames"])
        read = Predictions(folder, benchmark).read(clip)
        assert read.motion is not None
        np.testing.assert_allclose(read.motion.positions[0], clip.positions, atol=1e-5)
        np.testing.assert_array_equal(read.frames, clip.frames)
    np.savez(folder / f"{clip_name(number)}.npz", **arrays)
    images = folder / clip_name(number)
    images.mkdir()
    for index, frame in enumerate(clip.frames):
        cv2.imwrite(str(images / f"{index:04d}.png"), frame[..., ::-1])
    np.testing.assert_array_equal(Predictions(folder, benchmark).read(clip).frames, clip.frames)
    for rate, wanted in ((8, None), (10, "has 10 frames a second, predictions.json says 8")):
        write_video(folder / f"{clip_name(number)}.mp4", clip.frames, rate, Compression(crf=1))
        if wanted is None:
            decoded = Predictions(folder, benchmark).read(clip).frames
            assert decoded is not None
            assert np.abs(decoded.astype(int) - clip.frames).mean() < 8.0
        else:
            with pytest.raises(PredictionError, match=wanted):
                Predictions(folder, benchmark).read(clip)


def test_objects_in_an_archive_are_not_unpickled(benchmark: Benchmark, tmp_path: Path) -> None:
    folder = write_truth(benchmark, tmp_path / "oracle")
    name = clip_name(benchmark.numbers[0])
    (folder / f"{name}.safetensors").unlink()
    np.savez(folder / f"{name}.npz", positions=np.array([{"a": 1}], dtype=object))
    with pytest.raises(PredictionError, match="without pickled objects"):
        Predictions(folder, benchmark).read(benchmark.clip(benchmark.numbers[0]))


def test_the_order_of_clips_is_fixed_and_nested(data: Path) -> None:
    small, large = Benchmark(data, 3), Benchmark(data, 6)
    assert large.numbers[:3] == small.numbers
    assert small.others == [("test", number) for number in large.numbers[3:]]
    assert len(large.others) == 6  # two of the test split are left, four come from val
    assert [split for split, _ in large.others] == ["test"] * 2 + ["val"] * 4
    assert not {("test", number) for number in large.numbers} & set(large.others)


def test_tasks_hold_only_what_the_mode_allows(benchmark: Benchmark, tmp_path: Path) -> None:
    number = benchmark.numbers[0]
    for mode, poses, video in (("joint", 2, False), ("TV2M", 2, True), ("TM2V", 81, False)):
        write_tasks(benchmark, mode, tmp_path / mode, known_poses=2)
        given = load_file(tmp_path / mode / f"{clip_name(number)}.safetensors")
        assert given["positions"].shape == (poses, 23, 3)
        assert ("video" in given) == video
    listed = json.loads((tmp_path / "joint" / "tasks.json").read_text())
    assert [task["clip"] for task in listed["tasks"]] == benchmark.numbers


def test_predictions_of_two_models_do_not_mix_in_one_folder(benchmark: Benchmark, tmp_path: Path) -> None:
    folder = write_truth(benchmark, tmp_path / "oracle")
    write_info(folder, read_info(folder))
    with pytest.raises(PredictionError, match="holds other predictions"):
        write_info(folder, replace(read_info(folder), name="another"))
    with pytest.raises(PredictionError, match="two subjects have one name"):
        score(benchmark, [folder, folder], NO_NETWORKS, tmp_path / "out")
