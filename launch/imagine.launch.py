"""Starts the node `imagine`: ros2 launch egotwin_ros imagine.launch.py (--show-args lists the arguments)."""

from launch import LaunchDescription

from egotwin_ros import bringup
from egotwin_ros.launching import describe


def generate_launch_description() -> LaunchDescription:
    """The lifecycle node, which configures and activates itself unless autostart is false."""
    return describe(bringup.IMAGINE)
