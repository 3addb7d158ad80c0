"""Starts both perception nodes for one camera.

ros2 launch yolc_ros perception.launch.py image_topic:=camera/image camera_info_topic:=camera/camera_info
"""

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("yolc_ros"))
ARGUMENTS = {
    "namespace": ("", "namespace of the nodes and of their topics"),
    "use_sim_time": ("false", "take the time from /clock"),
    "image_topic": ("image", "sensor_msgs/Image (or CompressedImage with image_transport: compressed)"),
    "camera_info_topic": ("camera_info", "sensor_msgs/CameraInfo of the same camera"),
    "params_file": (str(SHARE / "config" / "perception.yaml"), "parameters of the nodes"),
    "enable_detection": ("true", "start yolc_node"),
    "enable_matching": ("true", "start loftr_node"),
    "composed": ("true", "run both nodes in one process"),
    "device": ("", "auto, cpu, cuda or cuda:N; empty: as in params_file"),
}


def is_true(value: str) -> bool:
    """Convert a launch argument to bool."""
    if value.lower() not in ("true", "false"):
        raise ValueError(f"{value!r} is neither true nor false")
    return value.lower() == "true"


def start_nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the nodes that the arguments select."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    detection, matching = is_true(given["enable_detection"]), is_true(given["enable_matching"])
    parameters: list = [given["params_file"], {"use_sim_time": is_true(given["use_sim_time"])}]
    if given["device"]:
        parameters.append({"device": given["device"]})
    remappings = [
        ("image", given["image_topic"]),
        ("image/compressed", f"{given['image_topic']}/compressed"),
        ("camera_info", given["camera_info_topic"]),
    ]
    if detection and matching and is_true(given["composed"]):
        executables = ["perception"]
    else:
        executables = ["yolc_node"] * detection + ["loftr_node"] * matching
    return [
        Node(
            package="yolc_ros",
            executable=executable,
            namespace=given["namespace"],
            parameters=parameters,
            remappings=remappings,
            output="screen",
        )
        for executable in executables
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the nodes."""
    environment = []
    if not os.environ.get("FASTRTPS_DEFAULT_PROFILES_FILE"):
        profile = str(SHARE / "config" / "fastdds_large_images.xml")
        environment.append(SetEnvironmentVariable("FASTRTPS_DEFAULT_PROFILES_FILE", profile))
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, *environment, OpaqueFunction(function=start_nodes)])
