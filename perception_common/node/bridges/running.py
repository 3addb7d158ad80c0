"""Start of a bridge, whose messages belong to a package that may not be installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

from rclpy.node import Node

from perception_common.errors import InputError
from perception_common.node.runner import parse_arguments, spin_nodes


def load_messages(module: str, install: str) -> ModuleType:
    """Import a module of messages such as "rtabmap_msgs.srv".

    install: what to do where it is missing, such as "apt install ros-jazzy-rtabmap-msgs"; the InputError names it.
    """
    package = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"{package} is not installed: {install}, and source its setup first") from error


def run_bridge(make_node: Callable[[], Node], description: str, example: str, arguments: list[str] | None) -> int:
    """Run a node until SIGINT or SIGTERM; returns the exit status. Raises InputError of `make_node`.

    `arguments` are those of the command line without the program's name (None: sys.argv); those after --ros-args
    belong to ROS.
    """
    return spin_nodes([make_node], parse_arguments(description, example, arguments))
