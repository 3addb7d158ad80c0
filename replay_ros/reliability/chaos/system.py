"""The system that the faults are done to: both nodes, a camera, files on a small disk of their own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter

from perception_common.resources import find_weights
from replay_ros.reliability.bench import ANSWERS, Bench, RemoteCamera, kill
from replay_ros.reliability.camera import CameraState
from replay_ros.reliability.chaos.small_disk import SmallDisk

CAMERA = CameraState()
_SERVICE_SECONDS = 60.0


class System:
    """Both nodes and a camera. disk: where loftr_node writes its trajectory; None where no disk can be mounted."""

    def __init__(self, bench: Bench, disk: SmallDisk | None):
        self.bench, self.disk = bench, disk
        self.weights = bench.folder / "weights.safetensors"
        shipped = find_weights("yolc_lite")
        assert shipped is not None
        shutil.copyfile(shipped, self.weights)
        self.trajectory = (disk.folder if disk else bench.folder) / "trajectory.txt"
        self.nodes: dict[str, subprocess.Popen] = {}
        for name in ANSWERS:
            self.start_node(name)
        self.camera: RemoteCamera = bench.start_camera(CAMERA)

    def start_node(self, name: str) -> None:
        """Start a node, as a respawning launch file does after its death."""
        own: dict[str, dict[str, object]] = {
            "yolc_node": {"lsm": "none", "weights": self.weights, "model": "yolc_lite"},
            "loftr_node": {"model": "sift", "trajectory_file": self.trajectory, "max_interval": 0.5},
        }
        self.nodes[name] = self.bench.start_node(name, num_threads=1, **own[name])

    def restart_camera(self) -> None:
        """Start another camera in the place of one that was killed."""
        self.camera = self.bench.start_camera(CAMERA)

    def kill_node(self, name: str) -> None:
        """Kill a node (SIGKILL)."""
        kill(self.nodes[name])

    def pause(self, process: subprocess.Popen, seconds: float) -> None:
        """Stop a process (SIGSTOP) for some seconds; then it goes on."""
        process.send_signal(signal.SIGSTOP)
        self.bench.listen(seconds)
        process.send_signal(signal.SIGCONT)

    def change_state(self, name: str, transition: int) -> bool:
        """Request a lifecycle transition; returns whether it succeeded."""
        request = ChangeState.Request()
        request.transition.id = transition
        response = self._call(ChangeState, f"{name}/change_state", request)
        return response is not None and response.success

    def set_parameters(self, name: str, values: dict[str, Any]) -> bool:
        """Set parameters together; returns whether the node took them."""
        request = SetParametersAtomically.Request(
            parameters=[Parameter(key, value=value).to_parameter_msg() for key, value in values.items()]
        )
        response = self._call(SetParametersAtomically, f"{name}/set_parameters_atomically", request)
        return response is not None and response.result.successful

    def answers_since(self, then: float) -> dict[str, int]:
        """Count the answers of each node that were received after `then`, seconds of the system's clock."""
        return {name: sum(a.arrival_s > then for a in answers) for name, answers in self.bench.answers.items()}

    def recovery_seconds(self, then: float, limit: float) -> float:
        """Return the seconds from `then` until both nodes answered an image again; infinity after `limit`."""
        if not self.bench.until(lambda: all(self.bench.answered_after(name, then) for name in ANSWERS), limit):
            return float("inf")
        firsts = (min(a.arrival_s for a in self.bench.answers[name] if a.arrival_s > then) for name in ANSWERS)
        return max(firsts) - then

    def _call(self, kind: type, name: str, request: Any) -> Any:
        client = self.bench.node.create_client(kind, name)
        try:
            end = time.monotonic() + _SERVICE_SECONDS
            if not self.bench.until(client.service_is_ready, _SERVICE_SECONDS):
                return None
            future = client.call_async(request)
            self.bench.until(future.done, end - time.monotonic())
            return future.result() if future.done() else None
        finally:
            self.bench.node.destroy_client(client)
