"""``egotwin imagine`` end to end as a process: its files, its refusals, and nothing left behind when it is stopped."""

import contextlib
import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.skeleton import HEAD, forward_kinematics, reference_offsets
from egotwin_model.io import bags
from egotwin_model.io.bags import BagReader, BagWriter, Topics
from egotwin_ros.action import Imagine
from egotwin_ros.conversions import nanoseconds
from egotwin_ros.job import through_node
from egotwin_ros.job.command import main
from egotwin_ros.messages import BAG, ROS
from egotwin_ros.request import Request

pytestmark = [pytest.mark.ros, pytest.mark.slow]
START = 1_700_000_000_000_000_000
FILES = ["imagination.mcap", "imagination.mp4", "trajectory.png"]


WITHOUT_ROS = """
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
hidden = {"rclpy", "launch", "rosidl_parser", "rosidl_generator_py", "rosidl_runtime_py", "ament_index_python"}

def find_spec(name, path=None, target=None):
    top = name.split(".")[0]
    if top in hidden or top.endswith(("_msgs", "_interfaces")) or name in ("egotwin_ros.msg", "egotwin_ros.action"):
        return None
    return find(name, path, target)

PathFinder.find_spec = find_spec
from egotwin_ros.job.command import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    """Three seconds of somebody gliding forward past random images, compressed, under unusual names."""
    path = tmp_path_factory.mktemp("bags") / "glide.mcap"
    rng, rotations, camera = np.random.default_rng(4), np.tile(np.eye(3), (23, 1, 1)), Pinhole.from_fov(48, 48, 1.6)
    with BagWriter(path) as bag:
        bag.write_camera_info("/cam/info", START, "lens", width=48, height=48, matrix=camera.matrix)
        for step in range(49):
            stamp = START + step * 62_500_000
            positions = forward_kinematics(np.array([step * 0.05, 0.0, 0.93]), rotations, reference_offsets())
            bag.write_body_pose(stamp, "odom", positions, rotations, topic="/tracker/body")
            if step % 2 == 0:
                bag.write_compressed("/cam/jpeg", stamp, "lens", rng.integers(0, 256, (48, 48, 3), dtype=np.uint8))
    return path


def start(*options: object) -> subprocess.Popen:
    line = [sys.executable, "-m", "egotwin_ros.job.command", *map(str, options)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def start_without_ros(*options: object) -> subprocess.Popen:
    """The command in a Python that finds no package of ROS and none of our generated interfaces."""
    line = [sys.executable, "-c", WITHOUT_ROS, *map(str, options)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


WAYS = {
    "node": (start, "through the ROS node imagine"),
    "without ROS": (start_without_ros, "in this process, without ROS (rclpy is not installed)"),
}


def finish(process: subprocess.Popen, timeout_s: float = 280) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out, err


def children(pid: int) -> list[int]:
    """Process ids of a process's children."""
    with contextlib.suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, timeout_s: float = 280) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)  # between two looks at the condition


@pytest.fixture(scope="module")
def imagined(recording, model_folder, tmp_path_factory):
    """The files and the output of one call for each way; the calls are made once."""
    made: dict[str, tuple[Path, str]] = {}
    settings = ("--goal", "go on", "--at", 1.25, "--horizon", 2, "--samples", 2, "--seed", 9, "--steps", 2)

    def imagine(way: str) -> tuple[Path, str]:
        if way not in made:
            out = tmp_path_factory.mktemp("imagined") / "new" / "out"
            begin, says = WAYS[way]
            options = ("--bag", recording, "--model", model_folder, "--runtime", "torch", "--out", out, *settings)
            status, printed, err = finish(begin(*options))
            assert status == 0, err
            assert err.splitlines()[0] == f"egotwin imagine: {says}"
            made[way] = out, printed
        return made[way]

    return imagine


@pytest.mark.parametrize("way", ["node", "without ROS"])
def test_a_recording_becomes_film_chart_and_bag(imagined, way):
    out, printed = imagined(way)
    assert sorted(path.name for path in out.iterdir()) == FILES
    for words in ("'go on'", "2 s ahead", "17 frames", "33 poses", "2 sample(s)", "seed 9", "s in all"):
        assert words in printed
    assert ("replay" in printed) == (way == "node")
    check_bag(out / FILES[0])
    with av.open(str(out / FILES[1])) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 16)
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    assert len(frames) == 16 * (1 + 2 + 1) + 1
    assert np.abs(frames[20].astype(int) - frames[40]).mean() > 1.0  # it moves
    chart = cv2.imread(str(out / FILES[2]))
    assert chart.shape[1] > 1000
    assert chart.std() > 10


def test_without_ros_the_bag_is_the_one_of_the_node(imagined):
    """The same topics, types, counts and, for the same seed, the same numbers."""
    bags_ = [imagined(way)[0] / FILES[0] for way in WAYS]
    with BagReader(bags_[0]) as node, BagReader(bags_[1]) as direct:
        assert direct.topics() == node.topics()
        ours, theirs = ([*bag.messages()] for bag in (direct, node))
    key = operator.itemgetter(0, 1)  # topic and time in the bag
    assert [key(message) for message in ours] == [key(message) for message in theirs]
    for (topic, _, mine), (_, _, its) in zip(ours, theirs, strict=True):
        if hasattr(mine, "id"):
            mine.id = its.id  # random in each
        assert_equal(mine, its, topic)


def assert_equal(mine: object, its: object, path: str) -> None:
    """Messages that agree in every field."""
    if isinstance(mine, np.ndarray):
        np.testing.assert_array_equal(mine, its, err_msg=path)
    elif isinstance(mine, list):
        assert len(mine) == len(its), path
        for number, (one, other) in enumerate(zip(mine, its, strict=True)):
            assert_equal(one, other, f"{path}[{number}]")
    elif hasattr(mine, "__msgtype__"):
        assert mine.__msgtype__ == its.__msgtype__
        for name in vars(mine):
            assert_equal(getattr(mine, name), getattr(its, name), f"{path}.{name}")
    else:
        assert mine == its, path


def check_bag(path: Path) -> None:
    with BagReader(path) as bag:
        kinds = bag.topics()
        assert kinds["/camera/image/compressed"] == bags.COMPRESSED_IMAGE
        imagined = [message for *_, message in bag.messages(["/imagine/imagination"])]
        source = imagined[0].source_stamp.sec * 10**9 + imagined[0].source_stamp.nanosec
        frames = [stamp for _, stamp, _ in bag.messages(["/imagine/predicted/image"])]
        infos = [stamp for _, stamp, _ in bag.messages(["/imagine/predicted/camera_info"])]
        seen = [stamp for _, stamp, _ in bag.messages(["/camera/image/compressed"])]
    assert [message.sample_index for message in imagined] == [0, 1]
    assert imagined[0].header.frame_id == "odom"
    assert frames == infos == [source + k * 125_000_000 for k in range(17)]
    assert seen[-1] == source
    assert source == START + 1_250_000_000
    assert {"/imagine/head_path", "/imagine/body_trajectory", Topics.body_pose} <= set(kinds)


def test_directly_along_the_recorded_motion(recording, model_folder, tmp_path):
    options = ("--bag", recording, "--model", model_folder, "--runtime", "torch", "--out", tmp_path / "out", "--direct")
    status, err = run_in_process(main, [*map(str, options), "--at", "1", "--mode", "video", "--steps", "1"])
    assert status == 0, err
    assert err.splitlines()[0] == "egotwin imagine: in this process, without ROS (as --direct asks)"
    with BagReader(recording) as bag:
        bodies = {stamp: body for _, stamp, body in bag.messages(["/tracker/body"])}
    with BagReader(tmp_path / "out" / FILES[0]) as bag:
        ((_, _, imagined),) = bag.messages(["/imagine/imagination"])
        assert imagined.mode == Imagine.Goal.MODE_VIDEO
    for stamped in imagined.head_path.poses[:33]:  # recorded until two seconds after
        stamp = nanoseconds(stamped.header.stamp)
        recorded = bodies[stamp].poses[HEAD].position
        assert stamped.pose.position.x == pytest.approx(recorded.x, abs=1e-6)


def test_twelve_seconds_fill_film_chart_and_bag(recording, model_folder, tmp_path):
    options = ("--bag", recording, "--model", model_folder, "--runtime", "torch", "--out", tmp_path / "out", "--direct")
    status, err = run_in_process(main, [*map(str, options), "--at", "1", "--horizon", "12", "--steps", "1"])
    assert status == 0, err
    with BagReader(tmp_path / "out" / FILES[0]) as bag:
        ((_, source, imagined),) = bag.messages(["/imagine/imagination"])
        stamps = [stamp for _, stamp, _ in bag.messages(["/imagine/predicted/image"])]
    assert (imagined.horizon_s, len(imagined.head_path.poses)) == (12.0, 193)
    assert stamps == [source + k * 125_000_000 for k in range(97)]
    with av.open(str(tmp_path / "out" / FILES[1])) as film:
        assert sum(1 for _ in film.decode(video=0)) == 16 * (1 + 12 + 1) + 1
    assert cv2.imread(str(tmp_path / "out" / FILES[2])).std() > 10


def test_a_motion_reaches_the_node_as_it_was_recorded():
    rotations = np.tile(np.eye(3), (5, 23, 1, 1))
    arrays = (np.random.default_rng(1).normal(size=(5, 23, 3)), rotations, np.arange(5) / 16, START, "odom")
    request = Request(b"0" * 16, "walk", mode="video", motion=BAG.trajectory(*arrays), not_before_ns=START + 7)
    goal = through_node.action_goal(request)
    assert goal.motion == ROS.trajectory(*arrays)
    assert (goal.mode, nanoseconds(goal.not_before)) == (Imagine.Goal.MODE_VIDEO, START + 7)


REFUSED = [
    (("--goal", ""), "GoalError: goal is empty"),
    (("--model", "/nowhere"), "egotwin imagine: ModelError: model folder /nowhere"),
]


@pytest.mark.parametrize("way", ["node", "direct"])
@pytest.mark.parametrize(("options", "says"), REFUSED)
def test_what_is_refused_is_named_and_nothing_is_written(recording, model_folder, tmp_path, options, says, way):
    out = tmp_path / "out"
    common = ("--bag", recording, "--model", model_folder, "--runtime", "torch", "--out", out, "--at", 0.5, *options)
    if way == "node":
        status, _, err = finish(start(*common))
    else:
        status, err = run_in_process(main, [*map(str, common), "--direct"])
    assert status == 2
    assert says in err
    assert not out.exists()


def test_recordings_that_cannot_be_used_are_named(recording, tmp_path):
    (tmp_path / "cut.mcap").write_bytes(recording.read_bytes()[:5000])
    with BagWriter(tmp_path / "blind.mcap") as bag:
        bag.write_body_pose(START, "map", np.zeros((23, 3)), np.tile(np.eye(3), (23, 1, 1)))
    for options, says in (
        (("--bag", tmp_path / "none.mcap"), "does not exist"),
        (("--bag", tmp_path / "cut.mcap"), "unreadable or truncated"),
        (("--bag", tmp_path / "blind.mcap"), "lacks a topic of type sensor_msgs/msg/Image"),
        (("--bag", recording, "--image-topic", "/tracker/body"), "wanted /tracker/body of type sensor_msgs/msg/Image"),
        (("--bag", recording, "--at", 99), "--at 99 s is outside of"),
    ):
        captured = run_in_process(main, [*map(str, options), "--out", str(tmp_path / "out")])
        assert captured[0] == 2, says
        assert "RecordingError" in captured[1]
        assert says in captured[1]
    assert not (tmp_path / "out").exists()


def run_in_process(main, arguments: list[str]) -> tuple[int, str]:
    import io

    with contextlib.redirect_stderr(io.StringIO()) as err:
        status = main(arguments)
    return status, err.getvalue()


@pytest.mark.usefixtures("tidied_shared_memory")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_job_leaves_no_half_written_file_and_no_process(recording, model_folder, tmp_path, number):
    out = tmp_path / "out"
    options = ("--bag", recording, "--model", model_folder, "--runtime", "torch", "--out", out, "--at", 1.0)
    process = start(*options, "--steps", 2)
    wait_for(lambda: children(process.pid))
    nodes = children(process.pid)
    if number == signal.SIGINT:  # while the film is written; the others: while the node still loads
        wait_for(lambda: list(out.glob(".*/.imagination-*.mp4")) or process.poll() is not None)
    os.kill(process.pid, number)
    status, _, err = finish(process)
    assert status == {signal.SIGINT: 130, signal.SIGTERM: 130, signal.SIGKILL: -9}[number], err
    wait_for(lambda: not any(map(alive, nodes)))
    if number == signal.SIGKILL:  # nothing can tidy up then, but no file has its final name
        assert [path.name for path in out.iterdir() if not path.name.startswith(".")] == []
    else:
        assert not out.exists()
