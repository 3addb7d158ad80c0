"""Runs nodes in this process: command line, one executor, a clean end."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from perception_common.errors import InputError
from perception_common.node.guards.executor import GuardedExecutor
from perception_common.node.parameter_file import missed_files
from perception_common.node.transport import prepare_process
from perception_common.shared_memory import FOLDER, turn

if TYPE_CHECKING:
    from perception_common.node.base import PerceptionNode

N = TypeVar("N", bound=Node)
_REFUSALS = (  # what rcl raises for arguments and names that are not valid
    *(rclpy_implementation.RCLError, rclpy_implementation.UnknownROSArgsError),
    rclpy_implementation.RCLInvalidROSArgsError,
)


def run_nodes(
    factories: Sequence[Callable[[int], PerceptionNode]], description: str, example: str, arguments: list[str] | None
) -> int:
    """Run one perception node from each factory until SIGINT or SIGTERM; returns the exit status.

    A factory is called with the number of nodes in the process. `arguments` are those of the command line without the
    program's name (None: sys.argv); those after --ros-args belong to ROS (parameters, remaps, namespace).
    """
    ros_arguments = parse_arguments(description, example, arguments)

    def start(nodes: list[PerceptionNode]) -> None:
        for node in nodes:
            for missed in missed_files(ros_arguments, node.get_fully_qualified_name()):
                node.problems.report(missed, missed)
            node.autostart()

    def stop(nodes: list[PerceptionNode]) -> None:
        for node in nodes:
            node.stop()

    return spin_nodes([partial(make, len(factories)) for make in factories], ros_arguments, start, stop)


def parse_arguments(description: str, example: str, arguments: list[str] | None) -> list[str]:
    """Handle --help and unknown options of a node's command line; return the arguments for rclpy.init.

    Raises InputError for ROS arguments that are not valid.
    """
    given = ["program", *(sys.argv[1:] if arguments is None else arguments)]
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    with _refusing("ROS refuses the arguments"):
        own = remove_ros_args(given)[1:]
    parser.parse_args(own)
    return given


def spin_nodes(
    factories: Sequence[Callable[[], N]],
    ros_arguments: list[str],
    start: Callable[[list[N]], None] = lambda _: None,
    stop: Callable[[list[N]], None] = lambda _: None,
) -> int:
    """Create the nodes, call `start(nodes)`, spin them until SIGINT or SIGTERM and call `stop(nodes)`.

    Returns the exit status 0. Raises InputError for ROS arguments that are not valid, such as a parameter file that
    does not exist. Other exceptions of the factories are raised as they are; those of callbacks are logged
    (GuardedExecutor).
    """
    nodes: list[N] = []
    with ExitStack() as until_first_node:
        notes = until_first_node.enter_context(starting_ros(args=ros_arguments))
        executor = GuardedExecutor()
        try:
            for make in factories:
                with _refusing("ROS refuses the name or namespace"):
                    nodes.append(make())
                until_first_node.close()
                executor.add_node(nodes[-1])
            for note in notes:
                nodes[0].get_logger().warning(note)
            start(nodes)
            executor.spin()
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        except Exception:
            if rclpy.ok():
                raise  # otherwise a signal shut ROS down while the nodes were still starting
        finally:
            stop(nodes)
            executor.finish()
            executor.shutdown()
            for node in nodes:
                node.destroy_node()
            rclpy.try_shutdown()
    return 0


@contextmanager
def starting_ros(shared_memory: Path = FOLDER, **options: Any) -> Iterator[tuple[str, ...]]:
    """Prepare this process for large images and start ROS; make the first node within the block.

    Fast DDS takes its shared memory with the first node: until then no other process of ours looks how much is free.
    options: of rclpy.init. Yields sentences to log. Raises InputError for arguments that are not valid, and where ROS
    cannot write its log.
    """
    with turn(shared_memory):
        notes = prepare_process(shared_memory)
        try:
            with _refusing("ROS refuses the arguments"):
                rclpy.init(**options)
        except InputError:
            rclpy.try_shutdown()  # rclpy keeps what it made before it failed
            raise
        yield notes


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turn errors of rcl, which has no classes for them, into an InputError with its words but not its source lines."""
    try:
        yield
    except _REFUSALS as error:
        words = re.sub(r", at [^ ,]+:[0-9]+", "", str(error))
        if re.search(r"log(ging)? directory", words):
            raise InputError(
                f"ROS cannot write its log: set ROS_LOG_DIR to a folder that this user can write ({words})"
            ) from error
        raise InputError(f"{what}: {words}") from error
