"""``egotwin imagine``: replays a recording to the node, asks for a goal, and writes what was imagined.

The node is a child process started from the same list as the launch files (`egotwin_ros.bringup`). All files appear
together under their final names, or none does.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from egotwin_model.errors import EgoTwinError, RecordingError
from egotwin_model.io.share import share_folder
from egotwin_ros import bringup
from egotwin_ros.interrupts import Interrupts
from egotwin_ros.job.process import NodeProcess, enter_domain
from egotwin_ros.option_types import integer, number
from egotwin_ros.parameters import ImagineParameters

if TYPE_CHECKING:
    from tqdm import tqdm

    from egotwin_ros.action import Imagine
    from egotwin_ros.job.recording import Recording
    from egotwin_ros.job.results import Context

DEFAULT_GOAL = "turn left and walk forward"
MODES = {"joint": 0, "motion": 1, "video": 2}
START_TIMEOUT_S, TIMEOUT_S = 300.0, 3600.0
REPLAYED_S = 1.5  # how much before the moment is replayed
INTERRUPTED, FAILED, REFUSED = 130, 1, 2


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    node = ImagineParameters()
    options = argparse.ArgumentParser(
        prog="egotwin imagine",
        description="Imagines the next seconds of a recording, by the ROS node, and writes imagination.mcap, "
        "imagination.mp4 and trajectory.png.",
    )
    add = options.add_argument
    add("--bag", help="recording: an .mcap or .db3 file or a rosbag2 folder (default: the embedded example)")
    add("--goal", default=DEFAULT_GOAL, help="what the wearer is about to do, in words (default: %(default)s)")
    add("--out", default="out", help="folder to write to (default: %(default)s)")
    add(
        "--at", type=number(0.0), help="start of the imagination, seconds after the recording's start (default: chosen)"
    )
    add("--horizon", type=number(0.0), default=0.0, help="seconds to look ahead; 0: one clip of the model (default)")
    add(
        "--samples",
        type=integer(1, node.max_samples),
        default=1,
        help="futures to generate; the film shows the first (default: %(default)s)",
    )
    add("--steps", type=integer(0, 1000), default=0, help="sampler steps; 0: the model's own (default)")
    add("--seed", type=integer(-1, 2**63 - 1), default=-1, help="repeats an imagination; -1: a random one (default)")
    add(
        "--mode",
        choices=MODES,
        default="joint",
        help="joint: video and motion; motion: motion only; video: video along the recorded motion",
    )
    add("--model", default="", help="model folder (default: the embedded egotwin-mini)")
    add("--runtime", default="auto", help="what runs the model: auto, torch, onnxruntime (default: %(default)s)")
    add(
        "--rate", type=number(0.0, 1000.0), default=1.0, help="speed of the replay; 0: as fast as possible (default: 1)"
    )
    for name in ("image", "camera-info", "body-pose"):
        add(f"--{name}-topic", help=f"{name} topic in the recording (default: the first of its type)")
    return options


@dataclass
class Times:
    """Wall seconds each part took, in order."""

    parts: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Times the block under this name."""
        begin = time.monotonic()
        yield
        self.parts[part] = time.monotonic() - begin

    def __str__(self) -> str:
        parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in self.parts.items())
        return f"{parts}; {sum(self.parts.values()):.1f} s in all"


@contextmanager
def _published_together(out: Path) -> Iterator[Path]:
    """A hidden folder whose files are renamed into ``out`` on a clean exit; otherwise nothing is left of it."""
    created = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".imagination.", dir=out))
    try:
        yield folder
        for file in sorted(folder.iterdir()):
            file.replace(out / file.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if created:
            with contextlib.suppress(OSError):  # not empty: it has our files now
                out.rmdir()


def run(options: argparse.Namespace, interrupts: Interrupts) -> str:
    """Does the job; returns the summary.

    Raises:
        EgoTwinError: bad input, by the class of its fault.
        RuntimeError, TimeoutError: the node died or does not answer.
    """
    times = Times()
    enter_domain()
    with times.measure("imports"):
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        from egotwin_ros.job.recording import Recording
        from egotwin_ros.job.results import BAG, CHART, FILM, write_bag, write_pictures

    path = options.bag or str(share_folder() / "examples/bags/living_room.mcap")
    topics = (options.image_topic, options.camera_info_topic, options.body_pose_topic)
    with Recording(path, *topics) as recording, _published_together(Path(options.out)) as folder:
        moment_s = recording.default_moment_s() if options.at is None else options.at
        if not 0.0 <= moment_s <= recording.bag.duration_s:
            raise RecordingError(f"--at {moment_s:g} s lies outside of {path}: 0 to {recording.bag.duration_s:.2f} s")
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        try:
            context = _converse(options, recording, moment_s, times, interrupts)
        finally:
            rclpy.try_shutdown()
        with times.measure("files"):
            write_bag(folder / BAG, context)
            write_pictures(folder, context)
        interrupts.check()
    first = context.first
    ahead = f"{first.horizon_s:g} s ahead, {len(first.frame_times)} pictures, {len(first.head_path.poses)} poses"
    return "\n".join(
        [
            f"imagined {first.goal!r} from {moment_s:.2f} s of {path}",
            f"  {ahead}, {first.sample_count} sample(s), seed {first.seed}",
            f"  model {first.model_name} {first.model_sha256[:12]}",
            f"  {times}",
            *(f"  {Path(options.out) / name}" for name in (FILM, CHART, BAG)),
        ]
    )


def _converse(
    options: argparse.Namespace, recording: Recording, moment_s: float, times: Times, interrupts: Interrupts
) -> Context:
    """Starts the node, replays up to the moment, asks, and ends the node."""
    from rclpy.node import Node

    from egotwin_ros.job.client import Asker
    from egotwin_ros.job.results import Context
    from egotwin_ros.nodes.replay_node import Player

    names = {
        recording.image: "/camera/image/compressed" if recording.compressed else "/camera/image",
        recording.camera_info: "/camera/camera_info",
        recording.body_pose: "/body_pose",
    }
    values = {
        "model_path": str(Path(options.model).resolve()) if options.model else "",
        "runtime": options.runtime,
        "image_transport": "compressed" if recording.compressed else "raw",
        "use_sim_time": True,
    }
    # A lost message would move the moment that is imagined from; cameras are listened to best effort otherwise.
    extra = [f"qos_overrides.{name}.subscription.reliability:=reliable" for name in names.values()]
    if options.steps:
        extra.append(f"num_steps:={options.steps}")
    moment_ns = recording.bag.start_ns + round(moment_s * 1e9)
    source_ns = recording.source_ns(moment_ns)
    with NodeProcess(bringup.IMAGINE, values, extra) as child:
        node = Node("egotwin_imagine")

        def alive() -> None:
            interrupts.check()
            child.check()

        asker = Asker(node, alive)
        player = Player(node, recording.bag, options.rate, names)
        with times.measure("start and model"):
            asker.wait_active(START_TIMEOUT_S)
            asker.wait(player.subscribed, 30.0, "the node's subscriptions")
        with times.measure("replay"):
            begin_ns = max(recording.bag.start_ns, moment_ns - round(REPLAYED_S * 1e9))
            player.publish_latest(recording.camera_info, begin_ns)
            player.play(begin_ns, moment_ns)
        with times.measure("imagination"):  # the node waits for the moment's picture, as the goal asks
            goal = _goal(options, source_ns)
            if options.mode == "video":
                goal.motion = recording.continuation(source_ns)
            try:
                answer = asker.ask(goal, Bar(), TIMEOUT_S)
            except RuntimeError as error:  # a defect: its place is in the node's log
                raise RuntimeError(f"{error}\nthe node's log ends with:\n{child.log()[-3000:]}") from error
        node.destroy_node()
    return Context(answer, recording, names)


def _goal(options: argparse.Namespace, source_ns: int) -> Imagine.Goal:
    from egotwin_ros.action import Imagine
    from egotwin_ros.conversions import to_time

    return Imagine.Goal(
        goal=options.goal,
        not_before=to_time(source_ns),
        horizon_s=options.horizon,
        num_samples=options.samples,
        seed=options.seed,
        mode=MODES[options.mode],
    )


class Bar:
    """A progress bar fed by the action's feedback."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def __call__(self, step: int, steps: int, seconds_left: float) -> None:
        from tqdm import tqdm

        if self._bar is None:
            layout = "{desc} {bar:30} {n_fmt}/{total_fmt}{postfix}"
            self._bar = tqdm(total=steps, desc="imagining", bar_format=layout)
        left = "" if math.isnan(seconds_left) else f"{seconds_left:.1f} s left"
        self._bar.set_postfix_str(left, refresh=False)
        self._bar.update(step - self._bar.n)
        if step >= steps:
            self._bar.close()


def main(arguments: list[str]) -> int:
    """Runs the command; 0 done, 1 failed, 2 bad input, 130 interrupted."""
    options = parser().parse_args(arguments)
    try:
        with Interrupts() as interrupts:
            summary = run(options, interrupts)
        print(summary)
    except EgoTwinError as error:
        print(f"egotwin imagine: {type(error).__name__}: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("egotwin imagine: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    except (RuntimeError, TimeoutError, OSError) as error:
        print(f"egotwin imagine: {error}", file=sys.stderr)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
