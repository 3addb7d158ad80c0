"""What nodes that serve other packages' messages share: a start that says what to install, and a clean end."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from types import ModuleType

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from perception_common.errors import InputError


def load_messages(module: str) -> ModuleType:
    """Return a module of messages such as "rtabmap_msgs.srv". Raises InputError that says what to install."""
    package = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"{package} is not installed: apt install ros-jazzy-{package.replace('_', '-')}, "
            "or build it in a workspace and source that first"
        ) from error


def run_bridge(make_node: Callable[[], Node], description: str, example: str, arguments: list[str] | None) -> int:
    """Run a node until SIGINT or SIGTERM; returns the exit status. InputError of `make_node` goes to the caller.

    `arguments` are those of the command line without the program's name; what follows --ros-args belongs to ROS.
    """
    given = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(remove_ros_args(["program", *given])[1:])
    rclpy.init(args=["program", *given])
    node = None
    try:
        node = make_node()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
