"""The node's memory and depth with real messages: fed between goals, shown to who asks, forgotten in every way."""

import shutil

import numpy as np
import pytest
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, PointCloud2

from egotwin_model import BodyState
from egotwin_model.io.files import read_json, write_json
from egotwin_model.io.store import write_manifest
from egotwin_ros.action import Imagine
from egotwin_ros.conversions import nanoseconds, poses_to_arrays
from egotwin_ros.error_codes import code_name
from egotwin_ros.image_bridge import to_rgb
from egotwin_ros.messages import ROS

from ...egotwin_model.egotwin.test_pipeline_variants import write_folder
from .test_lifecycle import SlowStep

pytestmark = pytest.mark.ros
MOTION = Imagine.Goal.MODE_MOTION


@pytest.fixture
def make(make_rig, model_folder):
    """An active node with the small model."""

    def active(**parameters):
        settings = {"model_path": str(model_folder), "runtime": "torch", "max_age_s": 60.0, **parameters}
        rig = make_rig(**settings)
        rig.wait_active()
        return rig

    return active


def show(rig, stamp_ns: int | None = None, x: float = 0.0) -> int:
    """All inputs of an instant of a person who stands `x` metres further on."""
    stamp_ns = rig.now_ns() if stamp_ns is None else stamp_ns
    pose = rig.good_pose(stamp_ns)
    for part in pose.poses:
        part.position.x += x
    rig.show_depth(rig.good_depth(stamp_ns), rig.good_info(stamp_ns))
    rig.show(rig.good_info(stamp_ns), pose, rig.good_image(stamp_ns))
    return stamp_ns


def keyframes(rig) -> int:
    return len(rig.node.session.memory.feed.memory)


def values(rig) -> dict[str, str]:
    """Of the next status."""
    rig.forget()
    rig.wait(rig.statuses)
    return {pair.key: pair.value for pair in rig.statuses()[-1].values}


def test_the_stream_is_remembered_shown_to_subscribers_and_forgotten_when_the_pose_jumps(make):
    rig = make()
    clouds: list[PointCloud2] = []
    begin = show(rig)
    rig.wait(lambda: keyframes(rig) == 1)
    last = show(rig, begin + 200_000_000, x=0.6)
    rig.wait(lambda: keyframes(rig) == 2)
    rig.client.create_subscription(PointCloud2, "imagine/memory", clouds.append, 10)
    rig.wait(lambda: clouds)
    xyz, _ = rig.node.session.memory.feed.memory.points()
    assert (clouds[-1].header.frame_id, rig.stamps(clouds)) == ("map", [last])
    read = np.frombuffer(clouds[-1].data, "<f4").reshape(-1, 4)[:, :3]
    np.testing.assert_array_equal(read, xyz)
    assert rig.ask(mode=MOTION).error_msg == ""
    assert keyframes(rig) == 2  # a goal changes nothing of it

    status = values(rig)
    assert (status["memory keyframes"], status["memory dropped images"], status["memory refusal"]) == ("2", "0", "")
    show(rig, begin + 300_000_000, x=5.0)
    rig.wait(lambda: keyframes(rig) == 1)
    rig.wait(lambda: len(clouds[-1].data) < 16 * len(xyz))  # shown again, since it changed
    assert "the head jumped by 4.40 m" in values(rig)["memory cleared because"]


def test_deactivate_and_cleanup_forget(make):
    rig = make()
    clouds: list[PointCloud2] = []
    rig.client.create_subscription(PointCloud2, "imagine/memory", clouds.append, 10)
    show(rig)
    rig.wait(lambda: keyframes(rig) == 1)
    rig.wait(lambda: clouds)
    feed = rig.node.session.memory.feed
    assert rig.transition("deactivate")
    assert len(feed.memory) == 0
    show(rig)
    assert values(rig)["memory keyframes"] == "0"
    assert rig.transition("activate")
    rig.wait(lambda: clouds[-1].width == 0)  # an empty cloud takes the old one's place
    assert clouds[-1].header.frame_id == "map"
    show(rig)
    rig.wait(lambda: keyframes(rig) == 1)
    assert rig.transition("deactivate")
    assert rig.transition("cleanup")
    assert len(feed.memory) == 0
    assert rig.transition("configure")
    assert rig.transition("activate")
    assert keyframes(rig) == 0


def test_a_shutdown_forgets_even_where_the_model_does_not_stop(make):
    rig = make(stop_timeout_s=0.2)
    show(rig)
    rig.wait(lambda: keyframes(rig) == 1)
    slow = SlowStep(rig.node.session.pipeline.runtime)
    handle = rig.send(mode=MOTION)
    rig.wait(slow.begun.is_set)
    rig.transition("shutdown")
    assert keyframes(rig) == 0
    slow.released.set()
    rig.call(handle.get_result_async())


def test_a_clock_that_goes_back_forgets(make):
    rig = make(use_sim_time=True)
    clock = rig.client.create_publisher(Clock, "/clock", 10)
    rig.wait(clock.get_subscription_count)

    def set_clock(seconds: int) -> None:
        clock.publish(Clock(clock=ROS.time(seconds * 10**9)))
        rig.wait(lambda: rig.node.get_clock().now().nanoseconds == seconds * 10**9)

    set_clock(100)
    show(rig, 100 * 10**9)
    rig.wait(lambda: keyframes(rig) == 1)
    set_clock(101)
    assert keyframes(rig) == 1
    set_clock(50)
    assert keyframes(rig) == 0
    assert values(rig)["memory cleared because"] == "/clock went back by 51.00 s"
    show(rig, 50 * 10**9)
    rig.wait(lambda: keyframes(rig) == 1)


def test_where_depth_is_demanded_goals_without_a_fitting_one_are_refused_by_name(make, capfd):
    rig = make(depth_source="topic")
    stamp = rig.show_good()
    missing = rig.ask(mode=MOTION)
    assert (code_name(missing.error_code), "no depth image has arrived" in missing.error_msg) == ("NO_IMAGE", True)
    elsewhere = rig.good_depth(stamp)
    elsewhere.header.frame_id = "depth_optical"
    rig.show_depth(elsewhere, rig.good_info(stamp))
    unregistered = rig.ask(mode=MOTION)
    assert code_name(unregistered.error_code) == "BAD_CALIBRATION"
    assert "publish depth that is registered (aligned) to the image" in unregistered.error_msg
    assert "BAD_CALIBRATION: depth image is in frame 'depth_optical'" in capfd.readouterr().err
    show(rig)
    assert rig.ask(mode=MOTION).error_msg == ""


def test_a_depth_image_that_does_not_fit_is_reported_and_goals_go_on_without_it(make):
    rig = make()
    stamp = rig.now_ns()
    rig.show_depth(rig.good_depth(stamp, float("nan")), rig.good_info(stamp))
    rig.show_good(stamp)
    assert rig.ask(mode=MOTION).error_msg == ""
    rig.wait(lambda: rig.node.session.memory.feed.refusal)
    rig.forget()
    rig.wait(rig.statuses)
    status = rig.statuses()[-1]
    assert status.level == status.WARN
    assert status.message.startswith("active; not remembered: depth image knows no depth at all")


def test_the_models_own_depth_is_remembered(make):
    rig = make(depth_source="model")
    stamp = rig.show_good()
    rig.wait(lambda: keyframes(rig) == 1)
    later = rig.good_pose(stamp + 300_000_000)
    for part in later.poses:
        part.position.y += 0.7
    rig.show(later, rig.good_image(stamp + 300_000_000))
    rig.wait(lambda: keyframes(rig) == 2)
    assert values(rig)["memory refusal"] == ""
    assert rig.ask(mode=MOTION).error_msg == ""


@pytest.fixture(scope="module")
def folder_of_geometry(tmp_path_factory):
    """A model that makes use of depth and memory, whose motion runs ahead of its video."""
    folder = tmp_path_factory.mktemp("geometry") / "model"
    write_folder(folder, "geometry")
    index = read_json(folder / "model_index.json")
    index["_class_name"] = "EgoTwinPipeline"
    index["sampling"] |= {"video_pace": {"begin": 0.5}, "motion_pace": {"end": 0.5}, "num_steps": 4}
    write_json(folder / "model_index.json", index)
    write_manifest(folder, {"name": "geometry"})
    return folder


@pytest.mark.parametrize("source", ["topic", "none"])
def test_what_is_known_of_the_scene_reaches_the_model_and_its_prior_is_shown(make, folder_of_geometry, source):
    rig = make(model_path=str(folder_of_geometry), depth_source=source)
    shown: list[Image] = []
    if source == "topic":
        rig.client.create_subscription(Image, "imagine/prior/image", shown.append, 200)
        rig.wait(lambda: rig.client.count_subscribers("imagine/prior/image"))
        begin = show(rig)
        rig.wait(lambda: keyframes(rig) == 1)
        source_ns = show(rig, begin + 200_000_000, x=0.4)
    else:
        source_ns = rig.show_good()
    session = rig.node.session
    info, pipeline = session.pipeline.info, session.pipeline
    (imagined,) = rig.ask(goal="turn left", seed=4, num_samples=1, horizon_s=2.0).imaginations
    assert nanoseconds(imagined.source_stamp) == source_ns

    observation = session.inputs.observe(rig.now_ns(), info.camera, info.mount)
    start = "turn left", observation.image, BodyState(observation.positions, observation.rotations)
    unknown = np.zeros(observation.image.shape[:2], np.float32)
    if source == "none":
        expected = pipeline(*start, depth=unknown, seed=4)
    else:
        known = session.memory.feed.known_at(source_ns, "map")
        expected = pipeline(*start, depth=observation.depth, memory=known, seed=4)
        rig.wait(lambda: len(shown) == 17)
        assert rig.stamps(shown) == [source_ns + step * 125_000_000 for step in range(17)]
        for message, frame in zip(shown, expected.prior.frames[0], strict=False):
            np.testing.assert_array_equal(to_rgb(message), frame)
        alone = pipeline(*start, depth=observation.depth, seed=4)
        assert np.abs(alone.prior.visibility - expected.prior.visibility).max() > 0.5
    heads, _ = poses_to_arrays([pose.pose for pose in imagined.head_path.poses], "imagined")
    np.testing.assert_allclose(heads, expected.motion.head_positions[0, :33], atol=1e-6)


def test_a_model_without_a_depth_estimator_cannot_be_the_source_of_depth(make_rig, model_folder, tmp_path, capfd):
    folder = shutil.copytree(model_folder, tmp_path / "model", ignore=shutil.ignore_patterns("depth"))
    write_manifest(folder, {"name": "egotwin-smoke"})
    rig = make_rig(model_path=str(folder), runtime="torch", depth_source="model", autostart=False)
    assert not rig.transition("configure")
    assert "BAD_MODEL: depth_source is 'model': " in (logged := capfd.readouterr().err)
    assert "holds no depth model; wanted one of: a model folder" in logged
    rig.node.set_parameters([rig.parameter("depth_source", "auto")])
    assert rig.transition("configure")
    assert rig.transition("activate")
    rig.show_good()
    assert values(rig)["memory keyframes"] == "0"


def test_without_depth_nothing_is_remembered_or_listened_to(make):
    rig = make(depth_source="none")
    assert rig.node.session.memory is None
    for name in ("depth/image", "depth/camera_info"):
        assert rig.client.count_subscribers(rig.node.resolve_topic_name(name)) == 0
    rig.show_good()
    assert rig.ask(mode=MOTION).error_msg == ""
    assert not [key for key in values(rig) if "memory" in key or "depth" in key]
