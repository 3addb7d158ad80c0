"""Starts bridges to other packages, beside the nodes of perception.launch.py.

ros2 launch yolc_ros bridges.launch.py rtabmap:=true base_frame:=base_link odom_topic:=/odom

Each needs the messages of its package: rtabmap_msgs, cslam_common_interfaces (Swarm-SLAM) or vision_msgs. A bridge logs
for which topics and services it waits.
"""

from collections.abc import Mapping
from pathlib import Path

from launch import LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnShutdown
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from perception_common.errors import InputError
from perception_common.launching.arguments import (
    check_names,
    full_name,
    parameter_file,
    ros_arguments,
    to_bool,
    to_namespace,
    to_number,
    to_text,
    write_parameters,
)
from perception_common.launching.failures import Failures

ARGUMENTS = {
    "rtabmap": ("false", "start rtabmap_bridge"),
    "swarm_slam": ("false", "start swarm_slam_bridge"),
    "vision_msgs": ("false", "start vision_msgs_bridge"),
    "params_file": ("", "parameters of the bridges"),
    "namespace": ("", "namespace of the bridges and of their topics, as that of the nodes"),
    "odom_topic": ("", "nav_msgs/Odometry, for keyframes between two nodes of the graph"),
    "base_frame": ("", "frame of the vehicle in TF, as the SLAM system has it"),
    "base_from_optical": ("", "x y z qx qy qz qw: pose of the optical frame in base_frame, in place of TF"),
    "use_sim_time": ("", "true: take the time from /clock"),
    "respawn": ("false", "start a bridge again when it has ended"),
    "respawn_delay": ("2.0", "seconds before that"),
    "log_level": ("", "debug, info, warn, error or fatal"),
    "enclave": ("", "SROS2: folder of enclaves, such as /yolc_ros; each process takes that of its name"),
}
BRIDGES = {"rtabmap": "rtabmap_bridge", "swarm_slam": "swarm_slam_bridge", "vision_msgs": "vision_msgs_bridge"}
SLAM = ("rtabmap_bridge", "swarm_slam_bridge")
PARAMETERS = {  # of an argument: the bridges and the conversion
    "use_sim_time": (tuple(BRIDGES.values()), to_bool),
    "base_frame": (SLAM, to_text),
    "base_from_optical": (SLAM, to_text),
}


def parameters_of(given: Mapping[str, str], bridge: str) -> dict:
    """Return the parameters of a bridge that the arguments set."""
    return {
        name: convert(name, given[name])
        for name, (bridges, convert) in PARAMETERS.items()
        if given[name] and bridge in bridges
    }


def start_bridges(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the processes of the bridges that the arguments select."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    check_names(context.argv, ARGUMENTS, Path(__file__))
    bridges = [bridge for name, bridge in BRIDGES.items() if to_bool(name, given[name])]
    if not bridges:
        raise InputError(f"no bridge is chosen: give {', '.join(f'{name}:=true' for name in BRIDGES)}, or several")
    namespace = to_namespace("namespace", given["namespace"])
    namespaces = (context.launch_configurations.get("ros_namespace", ""), namespace)
    names = [full_name(namespaces, bridge) for bridge in bridges]
    files = [parameter_file("params_file", given["params_file"], names)] if given["params_file"] else []
    files.append(write_parameters({bridge: parameters_of(given, bridge) for bridge in bridges}))
    failures = Failures()
    processes = [
        Node(
            package="yolc_ros",
            executable=bridge,
            namespace=namespace,
            parameters=[str(file) for file in files],
            remappings=[("odom", given["odom_topic"])] if given["odom_topic"] else [],
            ros_arguments=ros_arguments(bridge, log_level=given["log_level"], enclaves=given["enclave"]),
            respawn=to_bool("respawn", given["respawn"]),
            respawn_delay=to_number("respawn_delay", given["respawn_delay"]),
            on_exit=failures.note,
            output="screen",
        )
        for bridge in bridges
    ]
    return [RegisterEventHandler(OnShutdown(on_shutdown=failures.check)), *processes]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the bridges."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start_bridges)])
