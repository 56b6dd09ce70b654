"""A planner's side of the conversation: where will the wearer be, how certain is that, and how close to a place?

Run beside the node (``ros2 launch egotwin_ros imagine.launch.py``, or ``replay.launch.py`` for a recording) while a
camera and a body tracker publish:

    python examples/plan_with_imagination.py "walk to the table" --samples 8 --place 1.0 0.5
"""

import argparse
import sys

import numpy as np
import rclpy
from rclpy.action import ActionClient
from rclpy.node import Node

from egotwin_ros.action import Imagine


def imagined_paths(node: Node, goal: str, samples: int, horizon_s: float) -> list[np.ndarray]:
    """Head paths, one for each sample: (T, 4) rows of seconds from now, x, y, z in the body pose's frame."""
    client = ActionClient(node, Imagine, "/imagine/imagine")
    if not client.wait_for_server(timeout_sec=10.0):
        sys.exit("there is no node /imagine; start it first")
    request = Imagine.Goal(goal=goal, num_samples=samples, horizon_s=horizon_s, seed=-1, mode=Imagine.Goal.MODE_MOTION)
    sent = client.send_goal_async(request, lambda m: print(f"step {m.feedback.step} of {m.feedback.steps}", end="\r"))
    rclpy.spin_until_future_complete(node, sent)
    if not sent.result().accepted:
        sys.exit("the node is not active")
    answer = sent.result().get_result_async()
    rclpy.spin_until_future_complete(node, answer)
    result = answer.result().result
    if result.error_code != Imagine.Result.NONE:
        sys.exit(f"refused with error_code {result.error_code}: {result.error_msg}")
    return [path_array(imagination) for imagination in result.imaginations]


def path_array(imagination) -> np.ndarray:
    """(T, 4): seconds after the image it was imagined from, and the head's place."""

    def seconds(stamp) -> float:
        return (stamp.sec - imagination.source_stamp.sec) + (stamp.nanosec - imagination.source_stamp.nanosec) / 1e9

    poses = imagination.head_path.poses
    return np.array([(seconds(p.header.stamp), *(getattr(p.pose.position, axis) for axis in "xyz")) for p in poses])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("goal", help="what the wearer is about to do, in words")
    parser.add_argument("--samples", type=int, default=8, help="futures to draw (default: %(default)s)")
    parser.add_argument("--horizon", type=float, default=0.0, help="seconds to look ahead (default: all)")
    parser.add_argument("--place", type=float, nargs=2, metavar=("X", "Y"), help="a place to keep clear of [m]")
    options = parser.parse_args()

    rclpy.init()
    node = Node("planner")
    paths = np.stack(imagined_paths(node, options.goal, options.samples, options.horizon))  # (S, T, 4)
    for step in range(0, paths.shape[1], 16):
        places, at_s = paths[:, step, 1:3], paths[0, step, 0]
        (x, y), spread = places.mean(axis=0), float(np.sqrt(places.var(axis=0).sum()))
        print(f"in {at_s:.0f} s: head at x {x:+.2f} m, y {y:+.2f} m, give or take {spread:.2f} m")
    if options.place:
        nearest = np.linalg.norm(paths[..., 1:3] - options.place, axis=-1).min(axis=1)
        print(f"comes within 0.5 m of {tuple(options.place)} in {(nearest < 0.5).mean():.0%} of {len(paths)} futures")
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
