"""Actions of ROS's ``launch`` for the nodes of `egotwin_ros.bringup`; used by the files in launch/."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from egotwin_ros import bringup


def describe(entry: bringup.Entry) -> LaunchDescription:
    """The node with all its arguments declared; the environment (DDS profile) is set unless the user has set it."""
    declared = [
        DeclareLaunchArgument(argument.name, default_value=argument.default, description=argument.description)
        for argument in entry.arguments
    ]
    declared.append(DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node."))
    if entry.parameter_file:
        default = str(bringup.config(entry.parameter_file))
        text = "Parameter file; arguments that are set win over it."
        declared.append(DeclareLaunchArgument("params_file", default_value=default, description=text))
    environment = [SetEnvironmentVariable(name, value) for name, value in bringup.environment().items()]
    return LaunchDescription([*declared, *environment, OpaqueFunction(function=_node, args=[entry])])


def _node(context: LaunchContext, entry: bringup.Entry) -> list[LaunchDescriptionEntity]:
    values = {a.name: LaunchConfiguration(a.name).perform(context) for a in entry.arguments}
    files = [LaunchConfiguration("params_file").perform(context)] if entry.parameter_file else []
    kind = LifecycleNode if entry.lifecycle else Node
    return [
        kind(
            package=bringup.PACKAGE,
            executable=entry.executable,
            name=entry.name,
            namespace=LaunchConfiguration("namespace"),
            parameters=[*files, entry.parameters(values)],
            remappings=entry.remappings(values),
            output="screen",
        )
    ]
