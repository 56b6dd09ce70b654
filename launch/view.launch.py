"""Shows the camera image and the imagination in RViz and Foxglove: ros2 launch egotwin_ros view.launch.py."""

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from egotwin_ros import bringup


def generate_launch_description() -> LaunchDescription:
    """RViz with our display settings, and Foxglove's bridge; one that is not installed is left out with a message."""
    config = str(bringup.config("egotwin.rviz"))
    declared = [
        DeclareLaunchArgument("rviz", default_value="true", description="Open RViz: true or false."),
        DeclareLaunchArgument("rviz_config", default_value=config, description="RViz display settings."),
        DeclareLaunchArgument("foxglove", default_value="true", description="Serve Foxglove: true or false."),
        DeclareLaunchArgument("port", default_value="8765", description="Port of the Foxglove server."),
        DeclareLaunchArgument("use_sim_time", default_value="false", description="Take the time from /clock."),
    ]
    sim_time = {"use_sim_time": LaunchConfiguration("use_sim_time")}
    rviz = Node(
        package="rviz2", executable="rviz2", arguments=["-d", LaunchConfiguration("rviz_config")],
        parameters=[sim_time], condition=IfCondition(LaunchConfiguration("rviz")),
    )  # fmt: skip
    foxglove = Node(
        package="foxglove_bridge", executable="foxglove_bridge",
        parameters=[{"port": LaunchConfiguration("port")}, sim_time],
        condition=IfCondition(LaunchConfiguration("foxglove")),
    )  # fmt: skip
    return LaunchDescription([*declared, _if_installed("rviz2", rviz), _if_installed("foxglove_bridge", foxglove)])


def _if_installed(package: str, node: Node) -> Node | LogInfo:
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        name = package.replace("_", "-")
        return LogInfo(msg=f"{package} is not installed, so it is not started; apt install ros-$ROS_DISTRO-{name}")
    return node
