"""Bridges say what to install where their messages are missing; see test/*/bridges for what they convert."""

import importlib.util
import subprocess
import sys

import pytest

from perception_common.resources import find_share

pytestmark = pytest.mark.system

BIN = find_share().parents[1] / "lib" / "yolc_ros"


@pytest.mark.parametrize(
    ("name", "package", "install"),
    [
        ("rtabmap_bridge", "rtabmap_msgs", "apt install ros-jazzy-rtabmap-msgs"),
        ("vision_msgs_bridge", "vision_msgs", "apt install ros-jazzy-vision-msgs"),
        (  # rosdistro has no package of Swarm-SLAM
            "swarm_slam_bridge",
            "cslam_common_interfaces",
            "build Swarm-SLAM (https://github.com/MISTLab/Swarm-SLAM, no apt package) in a workspace",
        ),
    ],
)
def test_a_bridge_without_its_messages_says_in_one_line_what_to_install(name, package, install):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    told = subprocess.run([sys.executable, BIN / name], capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 1
    assert told.stderr.strip().splitlines() == [
        f"{name}: {package} is not installed: {install}, and source its setup first"
    ]
