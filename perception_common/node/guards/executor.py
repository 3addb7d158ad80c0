"""An executor that no callback can end."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable
from typing import Any

import rclpy.logging
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Task

from perception_common.node.problems import Problems

_RETRY_SECONDS = 0.1  # pause after a failure of the executor itself, so that a lasting one costs little
_FINISH_ROUNDS = 64  # callbacks that `finish` runs at most; far more than the requests that a node lets wait


class GuardedExecutor(SingleThreadedExecutor):
    """Runs callbacks in the thread that calls `spin`; an exception in one of them ends neither `spin` nor the node.

    The exception becomes a problem of the node: the attribute `problems` (Problems) of a node that has one, else a
    line in the log. It is over when the same callback succeeds.
    """

    def __init__(self, context: Context | None = None) -> None:
        """context: of ROS, None for the default one."""
        super().__init__(context=context)
        self._own_problems = Problems(rclpy.logging.get_logger("executor").error)

    def spin(self) -> None:
        """Execute callbacks until shutdown. Raises ExternalShutdownException when a signal shuts ROS down."""
        while True:
            try:
                return super().spin()
            except ExternalShutdownException:
                raise
            except Exception as error:
                if not self.context.ok():
                    raise ExternalShutdownException from error
                self._own_problems.report("executor", describe_failure("the executor", error))
                time.sleep(_RETRY_SECONDS)

    def finish(self) -> None:
        """Let coroutines end whose result is there, also after ROS was shut down: their answers are still sent."""
        with contextlib.suppress(Exception):  # ends here when ROS is shut down and no task is left
            for _ in range(_FINISH_ROUNDS):
                self.spin_once(timeout_sec=0.0)

    def _make_handler(self, entity: Any, node: Node, take_from_wait_list: Callable[[Any], Any]) -> Task:
        """Guard both halves of a callback: taking the data from the middleware, and the callback itself.

        rclpy locks the callback group of an entity for good when taking its data raises, so that must not happen.
        """

        problem = callback_problem(entity)
        problems: Problems = getattr(node, "problems", self._own_problems)

        def report(error: Exception) -> None:
            if self.context.ok():  # else a signal shut ROS down in the middle of the callback, which is no failure
                problems.report(problem, describe_failure(f"the {problem}", error))

        def take(entity: Any) -> Callable[[], Any] | None:
            try:
                call = take_from_wait_list(entity)
            except Exception as error:
                report(error)
                return None
            return None if call is None else guarded(call)

        def guarded(call: Callable[[], Any]) -> Callable[[], Any]:
            async def run() -> None:
                try:
                    await call()
                except Exception as error:
                    report(error)
                else:
                    problems.resolve(problem)

            return run

        return super()._make_handler(entity, node, take)


def callback_problem(entity: Any) -> str:
    """Return the key of the problem that the callback of a subscription, service, timer or event fails."""
    name = None
    with contextlib.suppress(InvalidHandle):  # the entity may be destroyed already
        name = getattr(entity, "topic_name", None) or getattr(entity, "srv_name", None)
    function = getattr(getattr(entity, "callback", None), "__qualname__", None)
    return f"callback of {name or function or type(entity).__name__}"


def describe_failure(what: str, error: Exception) -> str:
    """Describe an unexpected exception in one line, with the place where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    message = " ".join(str(error).split())
    return f"{what} failed and the node continues: {type(error).__name__}: {message}{place}"
