"""Runs perception nodes in this process: transport settings, one executor, autostart, a clean end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.utilities import remove_ros_args

from perception_common.node.base import PerceptionNode
from perception_common.node.transport import raise_malloc_thresholds, use_large_image_profile

NodeFactory = Callable[[int], PerceptionNode]


def run_nodes(factories: Sequence[NodeFactory], description: str, example: str, arguments: list[str] | None) -> int:
    """Run one node from each factory until SIGINT or SIGTERM; returns the exit status.

    A factory is called with the number of nodes in the process. `arguments` are those of the command line without the
    program's name; what follows --ros-args belongs to ROS (parameters, remaps, namespace).
    """
    given = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(remove_ros_args(["program", *given])[1:])

    transport_note = use_large_image_profile()
    raise_malloc_thresholds()
    rclpy.init(args=["program", *given])
    nodes: list[PerceptionNode] = []
    executor = SingleThreadedExecutor()
    try:
        for factory in factories:
            nodes.append(factory(len(factories)))
            executor.add_node(nodes[-1])
        if transport_note:
            nodes[0].get_logger().warning(transport_note)
        for node in nodes:
            node.autostart()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        if rclpy.ok():
            raise  # else ROS was shut down by a signal while the nodes were still starting
    finally:
        executor.shutdown()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
