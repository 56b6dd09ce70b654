"""Commands of the ROS package."""

from egotwin_model.cli import Command

COMMANDS = (
    Command("imagine", "egotwin_ros.job.command", "imagine the next seconds of a recording", "egotwin[ros]"),
    Command(
        "replay", "egotwin_ros.nodes.replay_node", "publish a recording on ROS topics, with /clock", "egotwin[ros]"
    ),
)
