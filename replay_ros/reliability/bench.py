"""Nodes and a camera as processes, and a listener that notes their answers, for reliability runs over DDS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from perception_common.errors import InputError
from perception_common.node.runner import starting_ros
from perception_common.stamps import stamp_ns
from replay_ros.benchmarks.machine import child_environment
from replay_ros.live.processes import find_executable, hear_sigint, stop
from replay_ros.outputs import DETECTIONS, DIAGNOSTICS, OUTPUTS, STATUS
from replay_ros.reliability import camera, recorder
from replay_ros.reliability.camera import CameraState

ANSWERS = {"yolc_node": DETECTIONS, "loftr_node": STATUS}
"""The topic on which a node gives one answer for each image."""
_RELIABLE = QoSProfile(depth=1000, reliability=QoSReliabilityPolicy.RELIABLE)
START_SECONDS = 120.0  # longest wait for a node that starts; a busy machine takes a minute
_KEPT_ANSWERS = 1_000_000  # of each node


@dataclass(frozen=True)
class Answer:
    """The answer of a node. stamp_ns: of the image. arrival_s: seconds of the system's clock at reception."""

    stamp_ns: int
    arrival_s: float

    @property
    def latency(self) -> float:
        """Seconds from the stamp to the reception, for stamps of the system's clock."""
        return self.arrival_s - self.stamp_ns / 1e9


class _HasHeader(Protocol):
    header: Any


class Bench:
    """Listens to the nodes. `answers[name]`: those of a node, the oldest first; `diagnoses[name]`: its latest."""

    def __init__(self, node: Node, stack: ExitStack, folder: Path):
        """folder: gets the logs of the processes."""
        self.node = node
        self.folder = folder
        self.answers: dict[str, deque[Answer]] = {name: deque(maxlen=_KEPT_ANSWERS) for name in ANSWERS}
        self.diagnoses: dict[str, dict[str, str]] = {}
        self._stack = stack
        self._started = 0
        self._processes: dict[Path, subprocess.Popen] = {}  # by the log
        self._executor = SingleThreadedExecutor()  # rclpy.spin_once would add and remove the node at every call
        self._executor.add_node(node)
        stack.callback(self._executor.shutdown)
        for name, topic in ANSWERS.items():
            node.create_subscription(OUTPUTS[topic], topic, partial(self._keep, name), _RELIABLE)
        node.create_subscription(DiagnosticArray, DIAGNOSTICS, self._keep_diagnosis, _RELIABLE)

    def start_node(self, name: str, **parameters: object) -> subprocess.Popen:
        """Start a node's executable with parameters; it is stopped when the bench ends."""
        given = [word for key, value in parameters.items() for word in ("-p", f"{key}:={value}")]
        return self._start([sys.executable, str(find_executable(name)), "--ros-args", *given], name)

    def start_camera(self, state: CameraState) -> RemoteCamera:
        """Start a camera."""
        command = [sys.executable, str(Path(camera.__file__)), json.dumps(asdict(state))]
        return RemoteCamera(self._start(command, "camera"))

    def start_recorder(self, bag: Path) -> subprocess.Popen:
        """Start to record the answers in a bag."""
        return self._start([sys.executable, str(Path(recorder.__file__)), str(bag)], "recorder")

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Receive messages until the condition holds; False when it does not within `seconds`."""
        end = time.monotonic() + seconds
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._executor.spin_once(timeout_sec=min(left, 0.05))
        return True

    def require(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Receive messages until the condition holds.

        Raises InputError when it does not within `seconds`, and when a process ended by itself meanwhile.
        """
        self.until(lambda: condition() or bool(self._failure()), seconds)
        if not condition():
            cause = self._failure() or f"it did not happen within {seconds:g} s"
            raise InputError(f"{what} is missing: {cause}; the logs are in {self.folder}")

    def listen(self, seconds: float) -> None:
        """Receive messages for `seconds`."""
        self.until(lambda: False, seconds)

    def answered_after(self, name: str, then: float) -> bool:
        """Tell whether the latest answer of a node was received after `then`, seconds of the system's clock."""
        answers = self.answers[name]
        return bool(answers) and answers[-1].arrival_s > then

    def diagnosis(self, name: str) -> dict[str, str]:
        """Return the latest diagnostics of a node as words; empty when there are none yet."""
        return self.diagnoses.get(f"/{name}", {})

    def _start(self, command: Sequence[str], name: str) -> subprocess.Popen:
        self._started += 1
        path = self.folder / f"{self._started:03}_{name}.log"
        log = self._stack.enter_context(path.open("wb"))
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            env=child_environment(),
            start_new_session=True,  # Ctrl-C reaches only us; we then stop the processes in order
            preexec_fn=hear_sigint,
        )
        self._stack.callback(end, process)
        self._processes[path] = process
        return process

    def _failure(self) -> str:
        """Say which process ended with an error of its own, with the last line of its log; "" where none did."""
        for log, process in self._processes.items():
            if (process.poll() or 0) > 0:
                lines = log.read_text(errors="replace").splitlines()
                return f"{log.stem} ended: {lines[-1] if lines else 'it said nothing'}"
        return ""

    def _keep(self, name: str, message: _HasHeader) -> None:
        self.answers[name].append(Answer(stamp_ns(message.header), time.time()))

    def _keep_diagnosis(self, message: DiagnosticArray) -> None:
        for status in message.status:
            level = int.from_bytes(status.level, "little") if isinstance(status.level, bytes) else int(status.level)
            self.diagnoses[status.name] = {
                "level": str(level),
                "message": status.message,
                **{pair.key: pair.value for pair in status.values},
            }


@dataclass(frozen=True)
class RemoteCamera:
    """A running camera."""

    process: subprocess.Popen

    def change(self, **values: object) -> None:
        """Change what the camera sends, by the names of `CameraState`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(values) + "\n")
        self.process.stdin.flush()

    def finish(self) -> None:
        """End the camera in order."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


@contextmanager
def running_bench(folder: Path) -> Iterator[Bench]:
    """Make a bench; all that it started is stopped at the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"  # load goes to this machine only
    with starting_ros(signal_handler_options=SignalHandlerOptions.NO):  # Ctrl-C raises KeyboardInterrupt here
        node = rclpy.create_node("reliability")
    try:
        with ExitStack() as stack:
            yield Bench(node, stack, folder)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def end(process: subprocess.Popen) -> None:
    """End a process in any state: a stopped one goes on first."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
    stop(process)


def kill(process: subprocess.Popen) -> None:
    """Kill a process (SIGKILL) and wait for its end."""
    process.kill()
    process.wait()
