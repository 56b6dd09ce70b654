"""Every fault is answered by its own number and named in the log, and the node keeps working."""

import shutil

import numpy as np
import pytest

from egotwin_model.geometry.skeleton import HEAD
from egotwin_ros.action import Imagine
from egotwin_ros.error_codes import code_name
from egotwin_ros.messages import ROS

pytestmark = pytest.mark.ros
Result = Imagine.Result
MOTION = Imagine.Goal.MODE_MOTION


def expect(rig, code: int, says: str, capfd=None, **goal) -> None:
    """The goal is answered with this code and words, and the log names it."""
    result = rig.ask(**goal)
    assert code_name(result.error_code) == code_name(code), result.error_msg
    assert says in result.error_msg
    assert result.imaginations == []
    if capfd is not None:
        assert f"{code_name(code)}: " in capfd.readouterr().err


def assert_alive(rig) -> None:
    rig.show_good()
    assert rig.ask(mode=MOTION).error_msg == ""


def test_without_image_pose_or_intrinsics(make_rig, model_folder, capfd):
    rig = make_rig(model_path=str(model_folder), runtime="torch", sync_tolerance_s=0.05, max_age_s=60.0)
    rig.wait_active()
    stamp = rig.now_ns()
    expect(rig, Result.NO_IMAGE, "no image has arrived", capfd)
    rig.show(rig.good_image(stamp))
    expect(rig, Result.NO_POSE, "no body pose has arrived", capfd)
    rig.show(rig.good_pose(stamp - 200_000_000))
    expect(rig, Result.NO_POSE, "0.200 s away", capfd)
    rig.show(rig.good_pose(stamp))
    expect(rig, Result.BAD_CALIBRATION, "no camera_info has arrived", capfd)
    rig.show(rig.good_info(stamp))
    assert rig.ask(mode=MOTION).error_msg == ""


def test_an_image_that_is_too_old(make_rig, model_folder, capfd):
    rig = make_rig(model_path=str(model_folder), runtime="torch", max_age_s=60.0)
    rig.wait_active()
    rig.show_good(rig.now_ns() - 600_000_000_000)
    expect(rig, Result.NO_IMAGE, "s old, at most 60 s", capfd)
    assert_alive(rig)


def test_an_image_that_does_not_arrive(make_rig, model_folder, capfd):
    rig = make_rig(model_path=str(model_folder), runtime="torch", max_age_s=60.0, max_wait_s=0.3)
    rig.wait_active()
    stamp = rig.show_good(rig.now_ns() - 2_000_000_000)
    wanted = ROS.time(stamp + 1)
    expect(rig, Result.NO_IMAGE, "(parameter max_wait_s)", capfd, not_before=wanted, mode=MOTION)
    expect(rig, Result.NO_IMAGE, f"the newest image is of {stamp / 1e9:.3f} s", not_before=wanted, mode=MOTION)
    rig.show(rig.good_image(stamp + 1_000_000_000))  # which has no pose of its time
    expect(rig, Result.NO_IMAGE, f"the newest body pose is of {stamp / 1e9:.3f} s", not_before=wanted, mode=MOTION)
    assert_alive(rig)


@pytest.mark.parametrize(("field", "value"), [("encoding", "32FC1"), ("encoding", ""), ("height", 9000), ("step", 7)])
def test_invalid_images_are_refused(rig, capfd, field, value):
    stamp = rig.show_good()
    image = rig.good_image(stamp + 1)
    setattr(image, field, value)
    rig.show(image)
    expect(rig, Result.BAD_IMAGE, "image", capfd)
    assert_alive(rig)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("k", [0.0] * 9, "uncalibrated"),
        ("k", [np.nan] * 9, "NaN"),
        ("d", [np.inf] * 5, "NaN or infinity"),
        ("distortion_model", "magic", "'magic' is not known"),
        ("width", 7, "camera_info is for 7x96"),
    ],
)
def test_invalid_intrinsics_are_refused(rig, capfd, field, value, says):
    stamp = rig.show_good()
    info = rig.good_info(stamp)
    setattr(info, field, value)
    rig.show(info)
    expect(rig, Result.BAD_CALIBRATION, says, capfd)
    assert_alive(rig)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: setattr(m.poses[4].position, "x", float("nan")), "T8"),
        (lambda m: setattr(m.poses[HEAD].orientation, "w", 3.0), "quaternion of Head"),
        (lambda m: m.tracked.__setitem__(HEAD, False), "untracked joints: Head"),
    ],
)
def test_invalid_body_poses_are_refused(rig, capfd, change, says):
    stamp = rig.now_ns()
    pose = rig.good_pose(stamp)
    change(pose)
    rig.show(rig.good_info(stamp), pose, rig.good_image(stamp))
    expect(rig, Result.BAD_POSE, says, capfd)
    assert_alive(rig)


@pytest.mark.parametrize(
    ("goal", "says"),
    [
        ({"goal": ""}, "empty"),
        ({"goal": " \n\t"}, "empty"),
        ({"goal": "walk " * 2000}, "10000 characters"),
        ({"mode": 9}, "mode 9"),
        ({"mode": Imagine.Goal.MODE_VIDEO}, "without a motion"),
        ({"num_samples": 4_000_000_000}, "samples"),
    ],
)
def test_invalid_goals_are_refused(rig, capfd, goal, says):
    rig.show_good()
    expect(rig, Result.BAD_GOAL, says, capfd, **goal)
    assert_alive(rig)


@pytest.mark.parametrize("horizon_s", [-1.0, 30.1, float("nan"), float("inf")])
def test_invalid_horizons_are_refused(rig, capfd, horizon_s):
    rig.show_good()
    expect(rig, Result.BAD_HORIZON, "wanted 0 to 30 s (parameter max_horizon_s)", capfd, horizon_s=horizon_s)
    assert_alive(rig)


def test_motion_alone_does_not_reach_beyond_a_clip_of_a_model_with_video(rig, capfd):
    rig.show_good()
    expect(rig, Result.BAD_HORIZON, "mode 'motion' reaches 5 s", capfd, horizon_s=5.5, mode=MOTION)
    assert_alive(rig)


def test_an_invalid_given_motion_is_refused(rig, capfd):
    rig.show_good()
    (planned,) = rig.ask(mode=MOTION).imaginations
    planned.body_trajectory.points[3].poses[0].position.y = float("inf")
    video = Imagine.Goal.MODE_VIDEO
    expect(rig, Result.BAD_POSE, "Pelvis (joint 0, step 3)", capfd, mode=video, motion=planned.body_trajectory)
    assert_alive(rig)


def test_a_second_goal_is_answered_busy_and_the_first_can_be_cancelled(rig, capfd):
    rig.show_good()
    first = rig.send(num_samples=64)
    rig.wait(lambda: rig.feedback)
    expect(rig, Result.BUSY, "another goal", capfd)
    rig.call(first.cancel_goal_async())
    answer = rig.call(first.get_result_async())
    assert code_name(answer.result.error_code) == "CANCELLED"
    assert "cancelled after step" in answer.result.error_msg
    assert_alive(rig)


def test_a_defect_of_ours_is_reported_as_internal(make_rig, model_folder, capfd):
    rig = make_rig(model_path=str(model_folder), runtime="torch")
    rig.wait_active()
    rig.show_good()
    pipeline = rig.node.session.pipeline
    encoder, pipeline._generate.text_encoder = pipeline._generate.text_encoder, None
    expect(rig, Result.INTERNAL, "AttributeError", capfd)
    pipeline._generate.text_encoder = encoder
    assert_alive(rig)


def altered(folder, tmp_path, name):
    """A copy of the model with one byte changed in a file, or with the file gone."""
    copy = shutil.copytree(folder, tmp_path / "altered")
    file = next(copy.rglob(name))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    return copy


@pytest.mark.parametrize("fault", ["missing", "altered", "incomplete"])
def test_a_model_that_is_missing_or_altered(make_rig, model_folder, tmp_path, capfd, fault):
    folder = tmp_path / "none"
    if fault == "altered":
        folder = altered(model_folder, tmp_path, "*.safetensors")
    if fault == "incomplete":
        folder = shutil.copytree(model_folder, tmp_path / "incomplete")
        next((folder / "transformer").glob("*.safetensors")).unlink()
    rig = make_rig(model_path=str(folder), runtime="torch")
    expect(rig, Result.BAD_MODEL, str(folder), capfd)
    rig.wait(rig.statuses)
    status = rig.statuses()[-1]
    assert (status.level, "BAD_MODEL" in status.message) == (status.ERROR, True)


def test_a_device_that_is_not_there_is_named(make_rig, model_folder, capfd):
    rig = make_rig(model_path=str(model_folder), device="cuda:99", autostart=False)
    assert not rig.transition("configure")
    logged = capfd.readouterr().err
    assert "BAD_MODEL" in logged
    assert "device 'cuda:99' is not there" in logged


def test_lifecycle_loads_publishes_stops_and_unloads(make_rig, model_folder, tmp_path):
    rig = make_rig(model_path=str(tmp_path / "none"), runtime="torch", autostart=False)
    expect(rig, Result.BAD_MODEL, "configure the node")
    assert not rig.transition("configure")  # the node stays unconfigured and alive
    rig.node.set_parameters([rig.parameter("model_path", str(model_folder))])
    assert rig.transition("configure")
    assert not rig.send().accepted  # inactive
    assert rig.transition("activate")
    rig.wait_active()
    assert_alive(rig)
    assert rig.transition("deactivate")
    assert not rig.send().accepted
    assert rig.transition("cleanup")
    expect(rig, Result.BAD_MODEL, "no model is loaded")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_transport", "smoke signals"),
        ("runtime", "abacus"),
        ("depth_source", "sonar"),
        ("dtype", "float8"),
        ("guidance", [1.0]),
        ("guidance", [1.0, float("nan"), 1.0]),
        ("guidance", [1.0, -1.0, 1.0]),
        ("camera_mount_rotation", [1.0]),
        ("camera_mount_rotation", [0.0, 0.0, float("inf"), 1.0]),
    ],
)
def test_invalid_parameters_fail_configure(make_rig, model_folder, capfd, name, value):
    rig = make_rig(**{"model_path": str(model_folder), "runtime": "torch", "autostart": False, name: value})
    assert not rig.transition("configure")
    assert f"parameter {name}" in capfd.readouterr().err
