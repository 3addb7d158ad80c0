"""Runs nodes in this process: command line, one executor, a clean end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from perception_common.node.parameter_file import missed_files
from perception_common.node.transport import raise_malloc_thresholds, use_large_image_profile

if TYPE_CHECKING:
    from perception_common.node.base import PerceptionNode

N = TypeVar("N", bound=Node)


def run_nodes(
    factories: Sequence[Callable[[int], PerceptionNode]], description: str, example: str, arguments: list[str] | None
) -> int:
    """Run one perception node from each factory until SIGINT or SIGTERM; returns the exit status.

    A factory is called with the number of nodes in the process. `arguments` are those of the command line without the
    program's name (None: sys.argv); those after --ros-args belong to ROS (parameters, remaps, namespace).
    """
    ros_arguments = parse_arguments(description, example, arguments)
    transport_note = use_large_image_profile()
    raise_malloc_thresholds()

    def start(nodes: list[PerceptionNode]) -> None:
        if transport_note:
            nodes[0].get_logger().warning(transport_note)
        for node in nodes:
            for missed in missed_files(ros_arguments, node.get_fully_qualified_name()):
                node.problems.report(missed, missed)
            node.autostart()

    return spin_nodes([partial(make, len(factories)) for make in factories], ros_arguments, start)


def parse_arguments(description: str, example: str, arguments: list[str] | None) -> list[str]:
    """Handle --help and unknown options of a node's command line; return the arguments for rclpy.init."""
    given = ["program", *(sys.argv[1:] if arguments is None else arguments)]
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(remove_ros_args(given)[1:])
    return given


def spin_nodes(
    factories: Sequence[Callable[[], N]], ros_arguments: list[str], start: Callable[[list[N]], None] = lambda _: None
) -> int:
    """Create the nodes, call `start(nodes)` and spin them until SIGINT or SIGTERM; returns the exit status 0.

    Exceptions of the factories and callbacks are raised.
    """
    rclpy.init(args=ros_arguments)
    nodes: list[N] = []
    executor = SingleThreadedExecutor()
    try:
        for make in factories:
            nodes.append(make())
            executor.add_node(nodes[-1])
        start(nodes)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        if rclpy.ok():
            raise  # otherwise a signal shut ROS down while the nodes were still starting
    finally:
        executor.shutdown()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
