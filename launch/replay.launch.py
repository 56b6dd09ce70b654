"""Replays a recording into the node `imagine`: ros2 launch egotwin_ros replay.launch.py bag:=FILE."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from egotwin_ros import bringup
from egotwin_ros.launching import describe


def generate_launch_description() -> LaunchDescription:
    """The replay, which publishes the recording and /clock, and the node `imagine` on its time."""
    imagine = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name("imagine.launch.py"))),  # --show-args looks into it
        launch_arguments={"use_sim_time": "true"}.items(),
        condition=IfCondition(LaunchConfiguration("imagine")),
    )
    start_imagine = DeclareLaunchArgument(
        "imagine", default_value="true", description="Start the node `imagine` as well: true or false."
    )
    return LaunchDescription([start_imagine, imagine, *describe(bringup.REPLAY).entities])
