"""The exit status of `ros2 launch`, which is 0 however its processes end."""

from __future__ import annotations

from typing import Any


class Failures:
    """Ends the launch with status 1 when nothing runs any more and a process of this launch file has failed.

    `note` is for a process's `on_exit`, `check` for the event handler OnShutdown. While another process runs, nothing
    happens: the failure of one node must not stop the others.
    """

    def __init__(self) -> None:
        self._failed: dict[str, int] = {}

    def note(self, event: Any, context: Any) -> None:
        """Keep the exit status of a process that ended by itself; event: launch.events.process.ProcessExited."""
        if not context.is_shutdown:
            self._failed.pop(event.process_name, None)
            if event.returncode:
                self._failed[event.process_name] = event.returncode

    def check(self, event: Any, context: Any) -> None:
        """Raise RuntimeError, by which launch ends with status 1; event: launch.events.Shutdown."""
        if self._failed and event.reason == "idle":
            ended = ", ".join(f"{name} (status {status})" for name, status in self._failed.items())
            raise RuntimeError(f"failed: {ended}")
