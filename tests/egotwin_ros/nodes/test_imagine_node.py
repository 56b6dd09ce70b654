"""The node end to end with a small real model: goals in, imagined seconds out, stamped right."""

import math

import numpy as np
import pytest
from rclpy.qos import ReliabilityPolicy
from std_msgs.msg import String
from visualization_msgs.msg import Marker

from egotwin_model.geometry.skeleton import HEAD, XSENS_JOINTS
from egotwin_ros.action import Imagine
from egotwin_ros.conversions import nanoseconds, poses_to_arrays
from egotwin_ros.image_bridge import to_rgb
from egotwin_ros.messages import ROS
from egotwin_ros.outputs import DiagnosticStatus

pytestmark = pytest.mark.ros
FRAME_NS, POSE_NS = 125_000_000, 62_500_000


def heads(imagination) -> np.ndarray:
    return np.array([[p.pose.position.x, p.pose.position.y, p.pose.position.z] for p in imagination.head_path.poses])


def test_a_goal_is_imagined_and_everything_is_stamped_with_its_predicted_time(rig):
    rig.forget()
    source = rig.show_good()
    handle = rig.send(goal="turn left", num_samples=2, seed=7)
    result = rig.call(handle.get_result_async()).result
    assert (result.error_code, result.error_msg, len(result.imaginations)) == (Imagine.Result.NONE, "", 2)
    first = result.imaginations[0]
    assert (first.goal, first.seed, first.sample_index, first.sample_count) == ("turn left", 7, 0, 2)
    assert (first.model_name, len(first.model_sha256), first.horizon_s) == ("egotwin-smoke", 64, 5.0)
    assert bytes(first.id.uuid) == bytes(handle.goal_id.uuid)
    assert (nanoseconds(first.source_stamp), first.header.frame_id) == (source, "map")
    assert rig.stamps(first.head_path.poses) == [source + POSE_NS * step for step in range(81)]
    assert [nanoseconds(t) for t in first.frame_times] == [source + FRAME_NS * step for step in range(41)]
    assert [nanoseconds(p.time_from_start) for p in first.body_trajectory.points] == [POSE_NS * k for k in range(81)]
    assert first.body_trajectory.joint_names == list(XSENS_JOINTS)

    names = ("imagination", "head_path", "body_trajectory", "predicted/image", "predicted/camera_info")
    rig.wait(lambda: [len(rig.sequence(name, source)) for name in names] == [2, 1, 1, 41, 41])
    assert rig.sequence("imagination", source) == result.imaginations
    assert rig.sequence("head_path", source) == [first.head_path]
    assert rig.sequence("body_trajectory", source) == [first.body_trajectory]
    images, infos = rig.sequence("predicted/image", source), rig.sequence("predicted/camera_info", source)
    assert rig.stamps(images) == rig.stamps(infos) == [source + FRAME_NS * step for step in range(41)]
    assert to_rgb(images[9]).shape == (64, 64, 3)
    assert infos[9].k[0] == pytest.approx(32.0)


def test_a_goal_may_wait_for_an_image_that_is_still_to_come(rig):
    seen = rig.show_good()
    wanted = seen + 400_000_000
    handle = rig.send(not_before=ROS.time(wanted), mode=Imagine.Goal.MODE_MOTION)
    result = handle.get_result_async()
    rig.show_good(wanted - 1)
    busy = rig.ask(mode=Imagine.Goal.MODE_MOTION)  # it waits in its place, and the node answers meanwhile
    assert busy.error_code == Imagine.Result.BUSY
    rig.show_good(wanted)
    (imagination,) = rig.call(result).result.imaginations
    assert nanoseconds(imagination.source_stamp) == wanted
    assert rig.ask(not_before=ROS.time(wanted), mode=Imagine.Goal.MODE_MOTION).error_msg == ""  # it is there: no wait


def test_a_goal_that_waits_takes_the_pose_that_is_closest_to_its_image(make_rig, model_folder):
    rig = make_rig(model_path=str(model_folder), runtime="torch", max_age_s=60.0, sync_tolerance_s=20.0)
    rig.wait_active()
    seen = rig.show_good()
    wanted = seen + 50_000_000
    result = rig.send(not_before=ROS.time(wanted), mode=Imagine.Goal.MODE_MOTION)
    rig.show(rig.good_image(wanted))  # the pose before it is close enough, but its own is under way
    moved = rig.good_pose(wanted)
    for pose in moved.poses:
        pose.position.x += 1.0
    rig.show(moved)
    (imagination,) = rig.call(result.get_result_async()).result.imaginations
    positions, _ = poses_to_arrays(imagination.body_trajectory.points[0].poses, "first")
    np.testing.assert_allclose(positions, rig.standing()[0] + [1.0, 0.0, 0.0], atol=1e-5)


def test_a_goal_that_waits_can_be_cancelled(make_rig, model_folder):
    rig = make_rig(model_path=str(model_folder), runtime="torch", max_wait_s=3600.0)
    rig.wait_active()
    handle = rig.send(not_before=ROS.time(rig.show_good() + 1))
    rig.call(handle.cancel_goal_async())
    result = rig.call(handle.get_result_async()).result
    assert (result.error_code, result.error_msg) == (Imagine.Result.CANCELLED, "cancelled before an image came")


def test_inputs_are_taken_reliably_where_that_is_asked_for(make_rig, model_folder):
    def reliability(rig) -> ReliabilityPolicy:
        topic = rig.node.resolve_topic_name("image")
        (mine,) = rig.node.get_subscriptions_info_by_topic(topic)
        return mine.qos_profile.reliability

    common = {"model_path": str(model_folder), "runtime": "torch"}
    usual = make_rig(**common)
    usual.wait_active()
    assert reliability(usual) == ReliabilityPolicy.BEST_EFFORT
    namespace = f"/rig{int(usual.node.get_namespace().removeprefix('/rig')) + 1}"
    strict = make_rig(**common, **{f"qos_overrides.{namespace}/image.subscription.reliability": "reliable"})
    strict.wait_active()
    assert reliability(strict) == ReliabilityPolicy.RELIABLE
    for label in ("deactivate", "cleanup", "configure", "activate"):  # the second time its parameters are there already
        assert strict.transition(label)
    assert reliability(strict) == ReliabilityPolicy.RELIABLE


def test_imagined_poses_begin_with_the_given_one_and_are_poses(rig):
    rig.show_good()
    (imagination,) = rig.ask().imaginations
    positions, rotations = poses_to_arrays(imagination.body_trajectory.points[0].poses, "first")
    np.testing.assert_allclose(positions, rig.standing()[0], atol=1e-5)
    np.testing.assert_allclose(rotations, rig.standing()[1], atol=1e-5)
    for point, stamped in zip(imagination.body_trajectory.points, imagination.head_path.poses, strict=True):
        poses_to_arrays(point.poses, "every point")  # raises where not finite or not of unit length
        assert point.poses[HEAD] == stamped.pose


def test_markers_show_a_skeleton_each_half_second_in_the_fixed_frame(rig):
    source = rig.show_good()
    rig.ask()

    def ours() -> list:
        return [array.markers for array in rig.received["markers"] if rig.stamps(array.markers[:1]) == [source]]

    rig.wait(ours)
    (markers,) = ours()
    assert markers[0].action == Marker.DELETEALL
    bodies = [marker for marker in markers if marker.ns == "body"]
    assert [len(marker.points) for marker in bodies] == [44] * 11
    assert {marker.header.frame_id for marker in markers} == {"map"}


def test_feedback_counts_the_steps_and_estimates_the_rest(rig):
    rig.show_good()
    rig.ask()
    rig.wait(lambda: rig.feedback and rig.feedback[-1][0] == rig.feedback[-1][1])
    done, steps, left = zip(*rig.feedback, strict=True)
    assert done == (0, 1, 2, 3)
    assert set(steps) == {3}
    assert math.isnan(left[0])
    assert left[1] > left[2] > 0.0 == left[3]


def test_the_same_seed_imagines_the_same_again_and_samples_differ(rig):
    rig.show_good()
    once, again = rig.ask(seed=3, num_samples=3), rig.ask(seed=3, num_samples=3)
    assert [i.body_trajectory for i in once.imaginations] == [i.body_trajectory for i in again.imaginations]
    assert np.abs(heads(once.imaginations[0]) - heads(once.imaginations[1])).max() > 1e-3
    random = {rig.ask(seed=-1, mode=Imagine.Goal.MODE_MOTION).imaginations[0].seed for _ in range(2)}
    assert len(random) == 2


def test_a_shorter_horizon_is_the_beginning_of_the_whole(rig):
    rig.show_good()
    (whole,), (part,) = rig.ask().imaginations, rig.ask(horizon_s=2.0).imaginations
    assert (len(part.head_path.poses), len(part.frame_times), part.horizon_s) == (33, 17, 2.0)
    np.testing.assert_array_equal(heads(part), heads(whole)[:33])


def test_a_horizon_beyond_a_clip_is_rolled_and_its_first_clip_is_the_one_of_a_call(rig):
    rig.forget()
    source = rig.show_good()
    (clip,), (long,) = rig.ask(num_samples=1).imaginations, rig.ask(horizon_s=12.0).imaginations
    rig.wait(lambda: rig.feedback and rig.feedback[-1][0] == rig.feedback[-1][1])
    done, steps, _ = zip(*rig.feedback, strict=True)
    assert done == tuple(range(10))  # three windows of three steps
    assert set(steps) == {9}
    assert long.horizon_s == 12.0
    assert rig.stamps(long.head_path.poses) == [source + POSE_NS * step for step in range(193)]
    assert [nanoseconds(t) for t in long.frame_times] == [source + FRAME_NS * step for step in range(97)]
    np.testing.assert_array_equal(heads(long)[:81], heads(clip))
    rig.wait(lambda: len({*rig.stamps(rig.sequence("predicted/image", source))}) == 97)
    rig.wait(lambda: len({*rig.stamps(rig.sequence("predicted/camera_info", source))}) == 97)


def test_video_along_a_motion_longer_than_a_clip(rig):
    rig.show_good()
    (planned,) = rig.ask(horizon_s=7.5).imaginations
    video = Imagine.Goal.MODE_VIDEO
    (seen,) = rig.ask(mode=video, motion=planned.body_trajectory, horizon_s=7.5).imaginations
    assert (len(seen.frame_times), seen.horizon_s) == (61, 7.5)
    np.testing.assert_allclose(heads(seen), heads(planned), atol=1e-6)


def test_the_longest_horizon_is_a_parameter(make_rig, model_folder):
    rig = make_rig(model_path=str(model_folder), runtime="torch", max_age_s=60.0, max_horizon_s=2.0)
    rig.wait_active()
    rig.show_good()
    refused = rig.ask(horizon_s=2.1)
    assert (refused.error_code, refused.error_msg) == (
        Imagine.Result.BAD_HORIZON,
        "horizon 2.1 s; wanted 0 to 2 s (parameter max_horizon_s)",
    )
    (imagination,) = rig.ask().imaginations  # 0: a clip, as far as it is accepted
    assert imagination.horizon_s == 2.0


def test_motion_only_has_no_frames(rig):
    source = rig.show_good()
    (imagination,) = rig.ask(mode=Imagine.Goal.MODE_MOTION).imaginations
    rig.wait(lambda: rig.sequence("imagination", source))
    assert (len(imagination.frame_times), len(imagination.head_path.poses)) == (0, 81)
    assert rig.sequence("predicted/image", source) == []


def test_video_along_a_given_motion_keeps_that_motion(rig):
    source = rig.show_good()
    (planned,) = rig.ask(mode=Imagine.Goal.MODE_MOTION).imaginations
    (seen,) = rig.ask(mode=Imagine.Goal.MODE_VIDEO, motion=planned.body_trajectory, horizon_s=3.0).imaginations
    rig.wait(lambda: len(rig.sequence("predicted/image", source)) == 25)
    np.testing.assert_allclose(heads(seen), heads(planned)[:49], atol=1e-6)


def test_the_pose_nearest_to_the_image_is_used(rig):
    source = rig.now_ns()
    late = rig.good_pose(source + 60_000_000)
    late.poses[HEAD].position.z += 0.5
    rig.show(rig.good_info(source), late, rig.good_pose(source + 20_000_000), rig.good_image(source))
    (imagination,) = rig.ask(mode=Imagine.Goal.MODE_MOTION).imaginations
    assert heads(imagination)[0, 2] == pytest.approx(rig.standing()[0][HEAD, 2])


def test_the_goal_topic_is_imagined_again_with_the_newest_image_until_it_is_cleared(rig):
    earlier = rig.show_good()
    rig.goal_topic.publish(String(data="walk"))
    rig.wait(lambda: rig.sequence("imagination", earlier))
    later = rig.show_good()
    rig.wait(lambda: rig.sequence("imagination", later))
    assert {message.goal for message in rig.sequence("imagination", earlier)} == {"walk"}
    rig.show_good()
    assert rig.ask(goal="stop").error_code == Imagine.Result.NONE  # an action goal goes first
    rig.goal_topic.publish(String(data=""))
    rig.wait(lambda: rig.node.goal_text == "")


def test_diagnostics_report_model_latency_and_received_inputs(rig):
    rig.show_good()
    rig.ask()
    rig.forget()
    rig.wait(rig.statuses)
    status = rig.statuses()[0]
    values = {pair.key: pair.value for pair in status.values}
    assert (status.level, status.message) == (DiagnosticStatus.OK, "active")
    assert values["model"] == "egotwin-smoke"
    assert 0.0 < float(values["last_latency_s"]) < 60.0
    assert int(values["received image"]) > 0


def test_device_dtype_and_threads_reach_the_runtime_which_is_reported(make_rig, model_folder, capfd):
    import torch

    threads = torch.get_num_threads()
    settings = {"runtime": "auto", "device": "cpu", "dtype": "bfloat16", "threads": 1}
    try:
        rig = make_rig(model_path=str(model_folder), max_age_s=60.0, **settings)
        rig.wait_active()
        assert torch.get_num_threads() == 1
        rig.wait(lambda: rig.statuses() and rig.statuses()[-1].message == "active")
        status = rig.statuses()[-1]
        values = {pair.key: pair.value for pair in status.values}
        described = f"torch {torch.__version__}, cpu, bfloat16, 1 threads"
        assert (values["runtime"], values["runtime_description"], status.hardware_id) == ("torch", described, "torch")
        assert described in capfd.readouterr().err
        rig.show_good()
        assert rig.ask(mode=Imagine.Goal.MODE_MOTION).error_msg == ""
    finally:
        torch.set_num_threads(threads)


def test_compressed_images_are_taken(make_rig, model_folder):
    import cv2
    from sensor_msgs.msg import CompressedImage

    rig = make_rig(model_path=str(model_folder), runtime="torch", image_transport="compressed")
    rig.wait_active()
    source = rig.now_ns()
    _, jpeg = cv2.imencode(".jpg", rig.good_rgb())
    image = CompressedImage(format="jpeg", data=jpeg.tobytes())
    image.header = rig.good_info(source).header
    rig.show(rig.good_info(source), rig.good_pose(source), image)
    assert rig.ask(mode=Imagine.Goal.MODE_MOTION).error_code == Imagine.Result.NONE


def test_a_camera_mounted_upside_down_is_rotated_into_the_models_view(make_rig, model_folder):
    from scipy.spatial.transform import Rotation

    from egotwin_model.geometry.mount import Mount
    from egotwin_ros.inputs import InputBuffer
    from egotwin_ros.parameters import ImagineParameters

    rig = make_rig(model_path=str(model_folder), runtime="torch")
    rig.wait_active()
    source, info = rig.now_ns(), rig.node.session.pipeline.info
    turned = np.array(Mount().rotation) @ Rotation.from_euler("z", 180, degrees=True).as_matrix()
    views = []
    for quaternion in ((0.0, 0.0, 0.0, 0.0), tuple(Rotation.from_matrix(turned).as_quat().tolist())):
        buffer = InputBuffer(ImagineParameters(camera_mount_rotation=quaternion), to_rgb)
        image = rig.good_image(source)
        image.data = np.tile(np.arange(96, dtype=np.uint8)[:, None, None], (1, 96, 3)).tobytes()
        buffer.add("image", image)
        buffer.add("camera_info", rig.good_info(source))
        buffer.add("body_pose", rig.good_pose(source))
        views.append(buffer.observe(source, info.camera, info.mount).image.astype(int))
    assert np.abs(views[0] - views[1][::-1, ::-1]).max() <= 2
