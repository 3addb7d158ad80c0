"""What ROS refuses about a command line is one line for the user, not a traceback."""

import os
import subprocess
import sys

import pytest
import rclpy

from perception_common.errors import InputError
from perception_common.node.runner import parse_arguments, spin_nodes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--params-file", "/no/such/file.yaml"], "Couldn't parse params file: '--params-file /no/such/file.yaml'"),
        (["-p", "max_side"], "Couldn't parse parameter override rule: '-p max_side'"),
        (["-r", "__ns:=uav1"], "Couldn't parse remap rule: '-r __ns:=uav1'"),
        (["--log-level", "loud"], "Couldn't parse log level: '--log-level loud'"),
        (["--banana"], "--banana"),
    ],
)
def test_ros_arguments_that_are_not_valid(arguments, words):
    given = ["--ros-args", *arguments]

    def run():
        spin_nodes([pytest.fail], parse_arguments("A node.", "a_node", given))

    with pytest.raises(InputError, match=r"^ROS refuses the arguments: ") as refusal:
        run()
    assert words in str(refusal.value)
    assert ".c:" not in str(refusal.value)  # source lines of rcl tell a user nothing
    assert not rclpy.ok()


START = """
import rclpy
from perception_common.errors import InputError
from perception_common.node.runner import spin_nodes
try:
    spin_nodes([], ["program"])
except InputError as error:
    print(error)
print(rclpy.ok())
"""


@pytest.mark.slow
@pytest.mark.parametrize("home", ["/proc/no/home", ""])
def test_a_log_that_cannot_be_written(home):
    """In a process of its own, since rclpy configures its log once."""
    environment = {name: value for name, value in os.environ.items() if name not in ("ROS_LOG_DIR", "ROS_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", START], env=environment | {"HOME": home}, capture_output=True, text=True, check=True
    )
    error, is_running = done.stdout.splitlines()
    assert error.startswith("ROS cannot write its log: set ROS_LOG_DIR to a folder that this user can write (")
    assert is_running == "False"


def test_a_namespace_that_is_not_valid():
    with pytest.raises(InputError, match=r"^ROS refuses the name or namespace: "):
        spin_nodes([lambda: rclpy.create_node("a_node")], ["program", "--ros-args", "-r", "__ns:=/uav1/"])
    assert not rclpy.ok()
