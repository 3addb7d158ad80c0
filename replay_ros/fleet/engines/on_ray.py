"""Workers of Ray (https://www.ray.io): a cluster that runs already, or one of this machine for the time of the fleet.

A cluster of our own has no dashboard, reports no usage, listens on loopback addresses only, and keeps 128 MiB for its
objects (tasks and records are small: bags go through the file system). Its folder is temporary and short, since a path
of a Unix socket holds at most 107 bytes.
"""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perception_common.errors import InputError, first_line
from replay_ros.fleet.engines.engine import Ended
from replay_ros.fleet.perform import perform
from replay_ros.fleet.record import Record
from replay_ros.fleet.task import Resources, Task

LOCAL = "local"
_OBJECT_STORE_BYTES = 128 * 2**20
_LONGEST_FOLDER = 40  # characters; Ray adds "/session_DATE_TIME_PID/sockets/plasma_store", 65
_MIB = 2**20
_REACH_S = 10.0  # for a host to answer


class RayEngine:
    """Tasks as Ray tasks with declared cores, GPUs and memory. Ray repeats nothing: the fleet does."""

    def __init__(self, address: str, output: Path, resources: Resources, workers: int | None) -> None:
        """Connect to `address`, or start a cluster of this machine for "local" with as many cores as `workers` need.

        workers: None: as many as the cores hold. Raises InputError where Ray is missing or cannot be reached, and where
        no node has what a task needs.
        """
        self._ray = _import_ray(is_local=address == LOCAL)
        self._folder: Path | None = None
        self._pending: dict[Any, Task] = {}
        self._output = output
        try:
            if address == LOCAL:
                self._start_local(resources, workers)
            else:
                self._connect(address)
            self._check(resources)
        except BaseException:
            self.close()
            raise
        environment = {"OMP_NUM_THREADS": str(resources.cpus), "OMP_WAIT_POLICY": "PASSIVE"}
        self._resources = resources
        self._function = self._ray.remote(_unpacking())
        self._options = {
            "num_cpus": resources.cpus,
            "num_gpus": resources.gpus or None,
            "memory": resources.memory_mb * _MIB or None,
            "max_retries": 0,
            "runtime_env": {"env_vars": environment},
        }

    def submit(self, task: Task, attempt: int) -> None:
        """Queue a task."""
        call = self._function.options(**self._options, name=f"fleet {task.name}")
        packed = pickle.dumps((perform, task, self._output, self._resources, attempt))
        self._pending[call.remote(packed)] = task

    def next_ended(self) -> Ended:
        """Wait until a task ends. Raises InputError when the cluster is gone."""
        errors = self._ray.exceptions
        try:
            (reference,), _ = self._ray.wait(list(self._pending), num_returns=1)
        except errors.RayError as error:
            raise InputError(
                f"the Ray cluster is gone ({first_line(error).rstrip('.')}); start it, and run this again"
            ) from error
        task = self._pending.pop(reference)
        try:
            return Ended(task, self._ray.get(reference))
        except errors.RayError as error:  # of the worker: what the task raises is in its record
            return Ended(task, None, f"its worker was lost ({first_line(error).rstrip('.')})")

    def close(self) -> None:
        """Disconnect; tasks that run end with this. A cluster of our own is stopped and its folder removed."""
        for reference in self._pending:
            self._ray.cancel(reference, force=True)
        self._pending.clear()
        self._ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start_local(self, resources: Resources, workers: int | None) -> None:
        self._folder = _short_folder()
        self._ray.init(
            address=LOCAL,
            num_cpus=None if workers is None else workers * resources.cpus,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            _temp_dir=str(self._folder),
            log_to_driver=False,
            logging_level="ERROR",
        )

    def _connect(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        try:
            if host and port.isdigit():  # Ray itself tries for minutes, and then ends the process
                socket.create_connection((host, int(port)), _REACH_S).close()
            self._ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (OSError, OverflowError, RuntimeError, ValueError, SystemExit) as error:
            raise InputError(
                f"no Ray cluster at {address!r} ({first_line(error).rstrip('.')}); give HOST:PORT or auto"
            ) from error

    def _check(self, resources: Resources) -> None:
        """Raise InputError when no node can ever hold a task: Ray would wait without end."""
        needs = {"CPU": resources.cpus, "GPU": resources.gpus, "memory": resources.memory_mb * _MIB}
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if not any(all(node.get(name, 0) >= amount for name, amount in needs.items()) for node in nodes):
            have = "; ".join(
                f"{node.get('CPU', 0):g} cores, {node.get('GPU', 0):g} GPUs, {node.get('memory', 0) / _MIB:.0f} MiB"
                for node in nodes
            )
            raise InputError(
                f"no node of the cluster has {resources.cpus} cores, {resources.gpus:g} GPUs and "
                f"{resources.memory_mb} MiB for a task (nodes: {have}); lower --cpus, --gpus or --memory-mb"
            )


def _unpacking() -> Callable[[bytes], Record]:
    """Return the function that workers call; Ray sends it by value, as it is defined in a function.

    Ray puts the current folder before everything on the search path of its workers. In a checkout that would hide the
    installed packages, so it is taken out again before the first import of ours. Workers also work in this folder.
    """
    folder, known = os.getcwd(), set(sys.path)

    def unpack_and_perform(packed: bytes) -> Record:
        import os
        import pickle
        import sys

        if folder not in known:
            sys.path[:] = [path for path in sys.path if path != folder]
        if os.path.isdir(folder):
            os.chdir(folder)
        function, *arguments = pickle.loads(packed)
        record: Record = function(*arguments)
        return record

    return unpack_and_perform


def _import_ray(is_local: bool) -> Any:
    """Return the module ray. Raises InputError where it is not installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # without --gpus a GPU stays visible, as elsewhere
    if is_local:  # Ray reads this when it is imported: addresses of the machine itself, on Linux too
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
        import ray.exceptions
    except ModuleNotFoundError as error:
        raise InputError("--ray needs Ray: pip install '.[fleet]' in the checkout, or pip install ray") from error
    return ray


def _short_folder() -> Path:
    base = Path(tempfile.gettempdir())
    return Path(tempfile.mkdtemp(prefix="yolc_ray_", dir=base if len(str(base)) <= _LONGEST_FOLDER - 18 else "/tmp"))
