"""Starts both perception nodes for one camera.

ros2 launch yolc_ros perception.launch.py image_topic:=camera/image camera_info_topic:=camera/camera_info

An argument that is not given leaves what the parameter file says.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
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
    to_choice,
    to_namespace,
    to_number,
    to_text,
    to_weights,
    write_parameters,
)
from perception_common.launching.failures import Failures

SHARE = Path(get_package_share_directory("yolc_ros"))
ARGUMENTS = {
    "params_file": (str(SHARE / "config" / "perception.yaml"), "parameters of the nodes"),
    "namespace": ("", "namespace of the nodes and of their topics"),
    "enable_detection": ("true", "start yolc_node"),
    "enable_matching": ("true", "start loftr_node"),
    "composed": ("true", "run both nodes in one process"),
    "respawn": ("false", "start a node again when it has ended"),
    "respawn_delay": ("2.0", "seconds before that"),
    "log_level": ("", "debug, info, warn, error or fatal"),
    "enclave": ("", "SROS2: folder of enclaves, such as /yolc_ros; each process takes that of its name"),
    # the camera
    "image_topic": ("", "sensor_msgs/Image, or with image_transport:=compressed the name without /compressed"),
    "camera_info_topic": ("", "sensor_msgs/CameraInfo of the same camera"),
    "image_transport": ("", "raw or compressed"),
    "image_reliability": ("", "QoS of the images: best_effort or reliable"),
    # sensors of loftr_node: a topic that is given is also switched on
    "altitude": ("", "type of the altitude: none, range, float or fix"),
    "altitude_topic": ("", "height above ground; give altitude too"),
    "depth_topic": ("", "sensor_msgs/Image of depths, registered to the images"),
    "odometry_topic": ("", "nav_msgs/Odometry"),
    "imu_topic": ("", "sensor_msgs/Imu with orientation; give base_frame too"),
    "gimbal_pitch": ("", "degrees of the optical axis above the horizon, -90: straight down"),
    "use_detections": ("", "true: leave matches on vehicles and people out of the poses"),
    "base_frame": ("", "frame of the vehicle in TF"),
    "base_from_optical": ("", "x y z qx qy qz qw: pose of the optical frame in base_frame, in place of TF"),
    # parameters of the nodes
    "use_sim_time": ("", "true: take the time from /clock"),
    "autostart": ("", "false: wait for a lifecycle manager"),
    "device": ("", "auto, cpu, cuda or cuda:N"),
    "yolc_model": ("", "network of yolc_node, such as yolc_w48"),
    "yolc_weights": ("", "its weights: a file, default or none"),
    "score_threshold": ("", "lowest score of a detection"),
    "loftr_model": ("", "network of loftr_node, such as loftr_outdoor_ds, or sift"),
    "loftr_weights": ("", "its weights: a file, default or none"),
    "match_threshold": ("", "lowest confidence of a match"),
}
BOTH, YOLC, LOFTR = ("yolc_node", "loftr_node"), ("yolc_node",), ("loftr_node",)
PARAMETERS = {  # of an argument: the nodes, the name of the parameter there, and the conversion
    "use_sim_time": (BOTH, "use_sim_time", to_bool),
    "autostart": (BOTH, "autostart", to_bool),
    "device": (BOTH, "device", to_text),
    "image_transport": (BOTH, "image_transport", to_text),
    "yolc_model": (YOLC, "model", to_text),
    "yolc_weights": (YOLC, "weights", to_weights),
    "score_threshold": (YOLC, "score_threshold", to_number),
    "loftr_model": (LOFTR, "model", to_text),
    "loftr_weights": (LOFTR, "weights", to_weights),
    "match_threshold": (LOFTR, "match_threshold", to_number),
    "altitude": (LOFTR, "altitude", to_text),
    "gimbal_pitch": (LOFTR, "gimbal_pitch", to_number),
    "use_detections": (LOFTR, "use_detections", to_bool),
    "base_frame": (LOFTR, "base_frame", to_text),
    "base_from_optical": (LOFTR, "base_from_optical", to_text),
}
SWITCHES = {  # what else an argument sets in loftr_node
    "depth_topic": {"use_depth": True},
    "odometry_topic": {"use_odometry": True},
    "imu_topic": {"use_imu": True},
    "gimbal_pitch": {"gimbal": "pitch"},
}
TOPICS = {
    "image_topic": "image",
    "camera_info_topic": "camera_info",
    "altitude_topic": "altitude",
    "depth_topic": "depth/image",
    "odometry_topic": "odometry",
    "imu_topic": "imu",
}


def parameters_of(given: Mapping[str, str], node: str, namespaces: Sequence[str]) -> dict:
    """Return the parameters of a node that the arguments set. namespaces: of the node, the outermost first."""
    values: dict = {}
    for argument, (nodes, name, convert) in PARAMETERS.items():
        if given[argument] and node in nodes:
            values[name] = convert(argument, given[argument])
    for argument, switched in SWITCHES.items():
        if given[argument] and node in LOFTR:
            values |= switched
    if given["image_reliability"]:
        reliability = to_choice("image_reliability", given["image_reliability"], ("best_effort", "reliable"))
        image = full_name(namespaces, given["image_topic"] or "image")
        for topic in (image, f"{image}/compressed"):
            values[f"qos_overrides.{topic}.subscription.reliability"] = reliability
    return values


def remappings_of(given: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the remappings of the topics that the arguments name."""
    if given["altitude_topic"] and not given["altitude"]:
        raise InputError("altitude_topic is of which type? give altitude:=range, float or fix too")
    found = [(name, given[argument]) for argument, name in TOPICS.items() if given[argument]]
    if given["image_topic"]:
        found.append(("image/compressed", f"{given['image_topic']}/compressed"))
    return found


def executables_of(given: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the executables to start, with the nodes in each."""
    detection = to_bool("enable_detection", given["enable_detection"])
    matching = to_bool("enable_matching", given["enable_matching"])
    if not detection and not matching:
        raise InputError("enable_detection and enable_matching are both false: there is nothing to start")
    if detection and matching and to_bool("composed", given["composed"]):
        return {"perception": BOTH}
    return {node: (node,) for node in YOLC * detection + LOFTR * matching}


def start_nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the processes of the nodes that the arguments select."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    check_names(context.argv, ARGUMENTS, Path(__file__))
    executables, remappings = executables_of(given), remappings_of(given)
    nodes = [node for each in executables.values() for node in each]
    namespace = to_namespace("namespace", given["namespace"])
    namespaces = (context.launch_configurations.get("ros_namespace", ""), namespace)
    file = parameter_file("params_file", given["params_file"], [full_name(namespaces, node) for node in nodes])
    given_parameters = write_parameters({node: parameters_of(given, node, namespaces) for node in nodes})
    failures = Failures()
    processes = [
        Node(
            package="yolc_ros",
            executable=executable,
            namespace=namespace,
            parameters=[str(file), str(given_parameters)],
            remappings=remappings,
            ros_arguments=ros_arguments(executable, log_level=given["log_level"], enclaves=given["enclave"]),
            respawn=to_bool("respawn", given["respawn"]),
            respawn_delay=to_number("respawn_delay", given["respawn_delay"]),
            on_exit=failures.note,
            output="screen",
        )
        for executable in executables
    ]
    return [RegisterEventHandler(OnShutdown(on_shutdown=failures.check)), *processes]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the nodes."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start_nodes)])
