"""Plays a bag to both perception nodes on simulated time, records their answers and writes the report.

ros2 launch yolc_ros replay.launch.py bag:=flight out:=answers rate:=1.0 rviz:=true

The command `replay` plays the bag and starts the nodes, rather than `ros2 bag play` beside nodes of this file: it finds
the topics of the camera and of the sensors in the bag and remaps them, waits with the first image until the networks
are warm, and reads bags without a rosbag2 of ROS. When it ends, everything ends.
"""

from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch import LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("yolc_ros"))
REPLAY = Path(get_package_prefix("yolc_ros")) / "lib" / "yolc_ros" / "replay"
ARGUMENTS = {
    "bag": (None, "bag to play"),
    "out": ("", "bag to write, with its result and report beside it; empty: BAG_answers"),
    "rate": ("1.0", "times the bag's speed"),
    "params_file": (str(SHARE / "config" / "perception.yaml"), "parameters of the nodes"),
    "namespace": ("", "namespace of the nodes and of their topics"),
    "image_topic": ("", "needed when the bag holds several"),
    "force": ("false", "replace answers that are there"),
    "rviz": ("false", "show images, detections and trajectory in RViz"),
}


def is_true(value: str) -> bool:
    """Read a launch argument that is true or false."""
    if value.lower() not in ("true", "false"):
        raise ValueError(f"{value!r} is neither true nor false")
    return value.lower() == "true"


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the processes that the arguments ask for."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    out = given["out"] or f"{given['bag'].rstrip('/')}_answers"
    command = [str(REPLAY), given["bag"], out, "--live", "--rate", given["rate"], "--params-file", given["params_file"]]
    command += ["--namespace", given["namespace"]] if given["namespace"] else []
    command += ["--image-topic", given["image_topic"]] if given["image_topic"] else []
    command += ["--force"] if is_true(given["force"]) else []
    processes: list[LaunchDescriptionEntity] = [ExecuteProcess(cmd=command, output="screen", on_exit=Shutdown())]
    if is_true(given["rviz"]):
        layout = str(SHARE / "config" / "layouts" / "perception.rviz")
        processes.append(
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=given["namespace"],
                arguments=["-d", layout],
                parameters=[{"use_sim_time": True}],
            )
        )
    return processes


def generate_launch_description() -> LaunchDescription:
    """Describe the arguments and the processes."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
