"""``egotwin imagine``: imagines what follows a moment of a recording, and writes it as bag, film and chart.

Where ROS is, it starts the node, replays the recording to it and sends it a goal; elsewhere it runs the model in this
process. Both give the same files. They appear together under their final names, or none does.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import math
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from egotwin_model.errors import EgoTwinError, RecordingError
from egotwin_model.io.share import share_folder
from egotwin_model.runtimes.base import DTYPES
from egotwin_model.runtimes.registry import runtime_names
from egotwin_ros.depth_source import DEPTH_SOURCES
from egotwin_ros.input_topics import INPUT_TOPICS
from egotwin_ros.interrupts import Interrupts
from egotwin_ros.job.times import Times
from egotwin_ros.option_types import integer, number
from egotwin_ros.parameters import ImagineParameters, default_model_path, description
from egotwin_ros.request import MODE_NUMBERS, Request

if TYPE_CHECKING:
    from tqdm import tqdm

    from egotwin_ros.job.answer import Task
    from egotwin_ros.job.recording import Recording

CLIP_S = 5.0  # of the embedded model; used to choose a moment
DEFAULT_GOAL = "turn left and walk forward"
INTERRUPTED, FAILED, REFUSED = 130, 1, 2


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    node = ImagineParameters()
    options = argparse.ArgumentParser(
        prog="egotwin imagine",
        description="Imagines the next seconds of a recording and writes imagination.mcap, imagination.mp4 and "
        "trajectory.png. The ROS node does it where ROS is installed, this process elsewhere.",
    )
    add = options.add_argument
    add("--bag", help="recording: an .mcap or .db3 file or a rosbag2 folder (default: the embedded example)")
    add("--goal", default=DEFAULT_GOAL, help="what the wearer is about to do, in words (default: %(default)s)")
    add("--out", default="out", help="folder to write to (default: %(default)s)")
    add(
        "--at", type=number(0.0), help="start of the imagination, seconds after the recording's start (default: chosen)"
    )
    add(
        "--horizon",
        type=number(0.0, node.max_horizon_s),
        default=0.0,
        help="seconds to look ahead; longer than a clip: clip after clip; 0: one clip of the model (default)",
    )
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
        choices=MODE_NUMBERS,
        default="joint",
        help="joint: video and motion; motion: motion only; video: video along the recorded motion",
    )
    add("--model", default="", help="model folder (default: the embedded egotwin-mini)")
    add("--runtime", choices=runtime_names(), default=node.runtime, help=f"{description('runtime')} (default: auto)")
    add("--device", default=node.device, help=f"{description('device')} (default: %(default)s)")
    add("--dtype", choices=DTYPES, default=node.dtype, help=f"{description('dtype')} (default: %(default)s)")
    add("--threads", type=integer(0, 1024), default=node.threads, help=f"{description('threads')} (default)")
    add(
        "--rate", type=number(0.0, 1000.0), default=1.0, help="speed of the replay; 0: as fast as possible (default: 1)"
    )
    add("--direct", action="store_true", help="run the model in this process even where ROS is installed")
    add(
        "--depth-source",
        choices=tuple(DEPTH_SOURCES),
        default=node.depth_source,
        help=f"{description('depth_source')} (default: %(default)s)",
    )
    for topic in INPUT_TOPICS:
        default = f"{topic.default} where it is there" if topic.of_depth else "the first of its type"
        text = f"topic of {topic.description} in the recording (default: {default})"
        add(f"--{topic.argument.replace('_', '-')}-topic", help=text)
    return options


def why_not_ros() -> str:
    """Why the node cannot run here; empty where rclpy and our interfaces are installed."""
    if importlib.util.find_spec("rclpy") is None:
        return "rclpy is not installed"
    for name in ("egotwin_ros.msg", "egotwin_ros.action"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:  # a folder without Python code is no generated package
            return f"the interfaces {name} are not built"
    return ""


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
    """Imagines and writes the files; returns the summary.

    Raises:
        EgoTwinError: bad input, by the class of its fault.
        RuntimeError, TimeoutError: the node died or does not answer.
    """
    reason = "as --direct asks" if options.direct else why_not_ros()
    way = f"in this process, without ROS ({reason})" if reason else "through the ROS node imagine"
    print(f"egotwin imagine: {way}", file=sys.stderr, flush=True)
    times = Times()
    with times.measure("imports"):
        from egotwin_ros.job import results
        from egotwin_ros.job.recording import Recording

        if reason:
            from egotwin_ros.job.direct import answer
        else:
            from egotwin_ros.job.through_node import answer

    path = options.bag or str(share_folder() / "examples/bags/living_room.mcap")
    topics = {topic.name: getattr(options, f"{topic.argument}_topic") for topic in INPUT_TOPICS}
    with Recording(path, topics) as recording, _published_together(Path(options.out)) as folder:
        moment_s = recording.default_moment_s(options.horizon or CLIP_S) if options.at is None else options.at
        if moment_s > recording.bag.duration_s:
            raise RecordingError(f"--at {moment_s:g} s is outside of {path}: 0 to {recording.bag.duration_s:.2f} s")
        task = _task(options, recording, moment_s)
        context = results.Context(task, answer(task, times, Bar(), interrupts.check))
        with times.measure("files"):
            results.write_bag(folder / results.BAG, context)
            results.write_film_and_chart(folder, context)
        interrupts.check()
    first = context.first
    ahead = f"{first.horizon_s:g} s ahead, {len(first.frame_times)} frames, {len(first.head_path.poses)} poses"
    return "\n".join(
        [
            f"imagined {first.goal!r} from {moment_s:.2f} s of {path}",
            f"  {ahead}, {first.sample_count} sample(s), seed {first.seed}",
            f"  model {first.model_name} {first.model_sha256[:12]}",
            f"  {times}",
            *(f"  {Path(options.out) / name}" for name in (results.FILM, results.CHART, results.BAG)),
        ]
    )


def _task(options: argparse.Namespace, recording: Recording, moment_s: float) -> Task:
    from egotwin_ros.job.answer import Task

    moment_ns = recording.bag.start_ns + round(moment_s * 1e9)
    source_ns = recording.source_ns(moment_ns)
    request = Request(
        id=uuid.uuid4().bytes,
        goal=options.goal,
        horizon_s=options.horizon,
        num_samples=options.samples,
        seed=options.seed,
        mode=options.mode,
        motion=recording.continuation(source_ns) if options.mode == "video" else None,
        not_before_ns=source_ns,
    )
    parameters = ImagineParameters(
        model_path=str(Path(options.model).resolve()) if options.model else default_model_path(),
        runtime=options.runtime,
        device=options.device,
        dtype=options.dtype,
        threads=options.threads,
        image_transport=recording.transport,
        num_steps=options.steps,
        depth_source=options.depth_source,
    )
    return Task(recording, moment_ns, request, parameters, options.rate)


class Bar:
    """A progress bar."""

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
