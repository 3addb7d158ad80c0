"""Plays a bag to both perception nodes on simulated time, records their results and writes the report.

ros2 launch yolc_ros replay.launch.py bag:=flight out:=answers rate:=1.0 rviz:=true

The command `replay` plays the bag and starts the nodes. Unlike `ros2 bag play`, it finds and remaps the topics of the
camera and the sensors in the bag, sends the first image only after the networks are warmed up, and needs no rosbag2.
When it ends, the launch ends; where not everything was answered, `ros2 launch` ends with a non-zero status. Ctrl-C
keeps the answers so far.
"""

from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch import LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from perception_common.launching.arguments import check_names, to_bool, to_namespace

SHARE = Path(get_package_share_directory("yolc_ros"))
REPLAY = Path(get_package_prefix("yolc_ros")) / "lib" / "yolc_ros" / "replay"
ARGUMENTS = {
    "bag": (None, "bag to play"),
    "out": ("", "bag to write, with its result and report beside it; empty: BAG_answers"),
    "rate": ("1.0", "playback speed, as a factor of the bag's"),
    "params_file": (str(SHARE / "config" / "perception.yaml"), "parameters of the nodes"),
    "namespace": ("", "namespace of the nodes and of their topics, such as uav1"),
    "image_topic": ("", "needed when the bag has several image topics"),
    "force": ("false", "replace existing results"),
    "rviz": ("false", "show images, detections and trajectory in RViz"),
}


def end(event: ProcessExited, context: LaunchContext) -> LaunchDescriptionEntity:
    """End the launch with the replay. An exception is the only way to end `ros2 launch` with a status other than 0."""
    if event.returncode != 0:
        raise RuntimeError(f"the replay ended with status {event.returncode}: its last line says why")
    return Shutdown(reason="the replay is complete")


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the processes that the arguments select."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    check_names(context.argv, ARGUMENTS, Path(__file__))
    namespace = to_namespace("namespace", given["namespace"])
    out = given["out"] or f"{given['bag'].rstrip('/')}_answers"
    command = [str(REPLAY), given["bag"], out, "--live", "--rate", given["rate"], "--params-file", given["params_file"]]
    command += ["--namespace", namespace] if namespace else []
    command += ["--image-topic", given["image_topic"]] if given["image_topic"] else []
    command += ["--force"] if to_bool("force", given["force"]) else []
    processes: list[LaunchDescriptionEntity] = [ExecuteProcess(cmd=command, output="screen", on_exit=end)]
    if to_bool("rviz", given["rviz"]):
        layout = str(SHARE / "config" / "layouts" / "perception.rviz")
        processes.append(
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=namespace,
                arguments=["-d", layout],
                parameters=[{"use_sim_time": True}],
            )
        )
    return processes


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the processes."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
