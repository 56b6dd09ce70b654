"""A skeleton with other joints: described in the clips' manifest, it goes through training, export and imagination."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ...shared_data import missing_extra
from ...skeletons import smpl_h

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.egotwin.pipeline import BodyState, EgoTwinPipeline, SamplingDefaults
from egotwin_model.errors import ModelError, PoseError, RecordingError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import XSENS, Skeleton, forward_kinematics, reference_offsets
from egotwin_model.io.store import load_tensors
from egotwin_model.motion.head_centric import HeadCentric
from training.datasets.clips.cameras import ClipCamera, ClipCameras
from training.datasets.clips.clip_store import ClipManifest, write_shard
from training.datasets.clips.cutting import Clip
from training.datasets.clips.dataset import ClipSet, open_clips, skeleton_of
from training.datasets.clips.facts import measure
from training.evaluation.benchmark.tasks import Benchmark
from training.export import unpack
from training.export.command import export, random_networks, trained_networks
from training.stages.command import main
from training.stages.compatibility import check_clips
from training.stages.recipes import STAGES
from training.stages.representations import trained_representation

HANDS = Skeleton(*smpl_h(), head="head", feet=("left_ankle", "left_foot", "right_ankle", "right_foot"))
CAMERA = Pinhole.from_fov(64, 64, np.pi / 2)
DIM = HeadCentric(HANDS.joint_names, HANDS.parents, HANDS.head).dim


def swinging(skeleton: Skeleton, offsets: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """81 poses of a body whose every joint swings while it walks: positions (81, J, 3), rotations (81, J, 3, 3)."""
    rng, t = np.random.default_rng(seed), np.linspace(0, 5, 81)
    swing = np.sin(rng.uniform(1, 3, (1, skeleton.num_joints, 3)) * t[:, None, None]) * 0.2
    rotations = Rotation.from_rotvec(swing.reshape(-1, 3)).as_matrix().reshape(81, -1, 3, 3)
    root = np.stack([0.5 * t, 0.1 * np.sin(t + seed), np.full_like(t, 0.9)], axis=-1)
    return forward_kinematics(root, rotations, offsets, skeleton), rotations


def write_clips(folder: Path, skeleton: Skeleton, count: int, described: Skeleton | None = None) -> ClipSet:
    """Random frames, and motion of bodies with this skeleton (or, wrongly, one `described` otherwise)."""
    rng = np.random.default_rng(count)
    offsets = rng.uniform(-0.2, 0.2, (skeleton.num_joints, 3)) if skeleton != XSENS else reference_offsets()

    def clip(number: int) -> Clip:
        positions, rotations = swinging(skeleton, offsets, seed=number)
        camera = Mount().camera_pose(positions[:, skeleton.head_index], rotations[:, skeleton.head_index])
        arrays: dict[str, Any] = {
            "frames": rng.integers(0, 256, (41, 64, 64, 3), dtype=np.uint8),
            "positions": positions.astype(np.float32),
            "rotations": rotations.astype(np.float32),
            "offsets": offsets.astype(np.float32),
            "intrinsics": np.array([CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy], np.float32),
            "camera_pose": camera[::2].astype(np.float32),
        }
        return Clip(f"clip-{number}", arrays, {"text": f"swing {number}"})

    manifest = ClipManifest(folder.name, {"made": "here"}, skeleton=(described or skeleton).describe())
    manifest.shards["clips"] = write_shard(folder, "clips", map(clip, range(count)))
    manifest.save(folder)
    return open_clips(folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hands")
    for split, count in (("train", 3), ("val", 2)):
        write_clips(folder / split, HANDS, count)
    return folder


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for stage in STAGES[1:]:  # the first is depth, which these clips do not have
        command = [stage, "--config", "smoke", "--data", str(data), "--runs", str(folder)]
        command += ["--model.feature-dim", str(DIM)] if stage.startswith("motion") else []
        command += ["--train.sheet-every", "2"] if stage in ("motion-vae", "joint") else []
        assert main(command) == 0, stage
    return folder


def imagined(model: Path, clips: ClipSet) -> Any:
    pipeline = EgoTwinPipeline.from_pretrained(model, runtime="torch")
    pose = BodyState(clips.tensor("positions", 0)[0], clips.tensor("rotations", 0)[0])
    return pipeline("swing", clips.tensor("frames", 0)[0], pose, seed=0)


def test_52_joints_are_trained_exported_and_imagined(runs: Path, data: Path, tmp_path: Path) -> None:
    metrics = json.loads((runs / "motion-decoder/metrics.jsonl").read_text().splitlines()[-1])
    assert {"foot_cm", "val_foot_step_error_cm"} <= metrics.keys()
    assert trained_representation(runs, "head-centric").joint_names == HANDS.joint_names
    for stage in ("motion-vae", "joint"):
        assert cv2.imread(str(runs / stage / "sheets/step-0000002.png")).std() > 5
    model = export(trained_networks(runs), tmp_path / "model", "hands", SamplingDefaults(2), {}, graphs=False)
    found = imagined(model, open_clips(data / "val"))
    assert found.motion.positions.shape == (1, 81, 52, 3)
    assert np.isfinite(found.motion.positions).all()
    np.testing.assert_allclose(found.motion.positions[0, :, HANDS.head_index], found.motion.head_positions[0])


def test_the_camera_sits_on_the_head_of_the_manifest(data: Path) -> None:
    assert not ClipCameras(open_clips(data / "train")).shared().difference(ClipCamera(CAMERA, Mount()))


def test_the_benchmark_refuses_bodies_its_metrics_do_not_know(data: Path) -> None:
    with pytest.raises(RecordingError, match=r"52 joints of another skeleton.*the 23 joints of Xsens"):
        Benchmark(data, 1, "val")


def test_an_unpacked_model_keeps_its_skeleton(runs: Path, data: Path, tmp_path: Path) -> None:
    model = export(trained_networks(runs), tmp_path / "model", "hands", SamplingDefaults(2), {}, graphs=False)
    further = tmp_path / "further"
    assert unpack.main(["--model", str(model), "--runs", str(further)]) == 0
    assert trained_representation(further, "head-centric") == trained_representation(runs, "head-centric")
    assert main(["joint", "--config", "smoke", "--data", str(data), "--runs", str(further)]) == 0


def test_an_untrained_model_with_fingers_imagines_its_own_joints(data: Path, tmp_path: Path) -> None:
    networks = random_networks("smoke", skeleton=HANDS)
    model = export(networks, tmp_path / "model", "hands", SamplingDefaults(2), {}, graphs=False)
    assert json.loads((model / "model_index.json").read_text())["representation"]["joint_names"] == list(smpl_h()[0])
    assert load_tensors(model / "statistics.safetensors")["mean"].shape == (DIM,)
    clips = open_clips(data / "val")
    assert imagined(model, clips).motion.rotations.shape == (1, 81, 52, 3, 3)
    pipeline = EgoTwinPipeline.from_pretrained(model, runtime="torch")
    with pytest.raises(PoseError, match="52"):
        pipeline("swing", clips.tensor("frames", 0)[0], BodyState(np.zeros((23, 3)), np.tile(np.eye(3), (23, 1, 1))))


def test_an_index_that_names_only_the_kind_is_of_the_xsens_body(tmp_path: Path) -> None:
    """As models/egotwin-mini's does."""
    model = export(random_networks("smoke"), tmp_path / "model", "smoke", SamplingDefaults(2), {}, graphs=False)
    manifest, index = (json.loads((model / name).read_text()) for name in ("manifest.json", "model_index.json"))
    assert index["representation"]["joint_names"] == list(XSENS.joint_names)
    index["representation"] = {"kind": "head-centric"}
    (model / "model_index.json").write_text(json.dumps(index))
    from egotwin_model.io.store import write_manifest

    (model / "manifest.json").unlink()
    write_manifest(model, {"name": manifest["name"]})
    assert EgoTwinPipeline.from_pretrained(model, runtime="torch").representation == HeadCentric()


def test_other_sizes_and_other_skeletons_are_refused_by_name(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--config", "smoke", "--data", str(data), "--runs"]
    assert main(["motion-vae", *command, str(tmp_path / "new")]) == 1
    assert f"52 joints has {DIM} head-centric features" in (said := capsys.readouterr().out)
    assert f"pass --model.feature-dim {DIM}" in said
    for split in ("train", "val"):
        write_clips(tmp_path / "xsens" / split, XSENS, 2)
    other = ["--config", "smoke", "--data", str(tmp_path / "xsens"), "--runs", str(runs), "--train.steps", "3"]
    for stage in ("motion-decoder", "text-to-motion"):
        (tmp_path / stage).mkdir()
        (runs / stage).rename(tmp_path / stage / "kept")
        try:
            options = ["--model.feature-dim", str(DIM)] if stage == "motion-decoder" else []
            assert main([stage, *other, *options]) == 1
        finally:
            (tmp_path / stage / "kept").rename(runs / stage)
        assert "has 23 joints, that of" in capsys.readouterr().out


def test_a_manifest_with_a_wrong_skeleton_is_refused_by_name(tmp_path: Path) -> None:
    parents = [51 - parent if parent >= 0 else -1 for parent in reversed(HANDS.parents)]
    reversed_order = Skeleton(HANDS.joint_names[::-1], tuple(parents), "head")
    with pytest.raises(RecordingError, match=r"another skeleton: forward kinematics of its bones places"):
        check_clips(write_clips(tmp_path / "reversed", HANDS, 1, described=reversed_order))
    with pytest.raises(RecordingError, match=r"\(81, 52, 3\).*wanted .*\(81, 23, 3\)"):
        check_clips(write_clips(tmp_path / "fewer", HANDS, 1, described=XSENS))
    clips = write_clips(tmp_path / "whole", HANDS, 1)
    check_clips(clips)
    assert skeleton_of(clips) == HANDS
    manifest = json.loads((tmp_path / "whole/manifest.json").read_text())
    manifest["skeleton"]["head"] = "skull"
    (tmp_path / "whole/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RecordingError, match=r"manifest.json: skeleton has no joint 'skull'"):
        skeleton_of(open_clips(tmp_path / "whole"))


def test_the_data_card_measures_the_head_of_the_manifest(data: Path) -> None:
    clips = open_clips(data / "train")
    speeds = measure(clips).speeds
    assert set(speeds) == {"head", "turning of the head"}  # no joint is called L_Hand
    heads = clips.gather("positions")[:, :, HANDS.head_index].astype(np.float64)
    np.testing.assert_allclose(speeds["head"], np.linalg.norm(np.diff(heads, axis=1), axis=-1).ravel() * 16.0)


def test_a_skeleton_without_feet_has_no_errors_of_feet(tmp_path: Path) -> None:
    footless = Skeleton(("root", "chest", "head", "left", "right"), (-1, 0, 1, 1, 1), head="head")
    dim = HeadCentric(footless.joint_names, footless.parents, footless.head).dim
    for split in ("train", "val"):
        write_clips(tmp_path / split, footless, 2)
    command = ["--config", "smoke", "--data", str(tmp_path), "--runs", str(tmp_path / "runs")]
    for stage in ("motion-vae", "motion-decoder"):
        assert main([stage, *command, "--model.feature-dim", str(dim)]) == 0
        metrics = json.loads((tmp_path / "runs" / stage / "metrics.jsonl").read_text().splitlines()[-1])
        assert not [name for name in metrics if "foot" in name]
        assert np.isfinite(list(metrics.values())).all()
    with pytest.raises(ModelError, match=r"head-centric"):
        trained_representation(tmp_path / "runs", "hand-centric")
