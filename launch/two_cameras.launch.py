"""Starts the perception nodes for two cameras: an example to copy and change.

ros2 launch yolc_ros two_cameras.launch.py

perception.launch.py is included once for each camera, in a namespace of its own. A camera's arguments are those of
perception.launch.py. The group keeps them from the other camera.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

PERCEPTION = Path(get_package_share_directory("yolc_ros")) / "launch" / "perception.launch.py"
CAMERAS = {
    "front": {
        "image_topic": "/front_camera/image_raw",
        "camera_info_topic": "/front_camera/camera_info",
        "enable_matching": "false",  # detection alone
    },
    "down": {
        "image_topic": "/down_camera/image_raw",
        "camera_info_topic": "/down_camera/camera_info",
        "altitude": "range",
        "altitude_topic": "/range_finder",
    },
}


def generate_launch_description() -> LaunchDescription:
    """Include perception.launch.py for each camera."""
    use_sim_time = DeclareLaunchArgument("use_sim_time", default_value="", description="true: time from /clock")
    groups = [
        GroupAction(
            [
                IncludeLaunchDescription(
                    PythonLaunchDescriptionSource(str(PERCEPTION)),
                    launch_arguments={
                        "namespace": namespace,
                        "use_sim_time": LaunchConfiguration("use_sim_time"),
                        **arguments,
                    }.items(),
                )
            ]
        )
        for namespace, arguments in CAMERAS.items()
    ]
    return LaunchDescription([use_sim_time, *groups])
