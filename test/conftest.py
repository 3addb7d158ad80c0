"""What several tests stand on."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from flight_sim.flight import CameraOptions, FlightOptions, start_flight
from flight_sim.flight_path import FlightPathOptions
from flight_sim.scene import SceneOptions
from perception_common.cameras.camera import Camera
from perception_common.node.transport import use_large_image_profile

# Before any ROS or torch: tests talk to this machine only, and threads that wait do not take the cores.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
_WORKER = os.environ.get("PYTEST_XDIST_WORKER")  # gw0, gw1, ... where several processes share the tests
if _WORKER:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# A ROS domain for the tests of this process and the nodes that they start: workers of one run never hear each other,
# and runs beside each other rarely do. Linux leaves the ports of domains 0 to 101 free.
os.environ["ROS_DOMAIN_ID"] = str(1 + (os.getppid() + int(_WORKER[2:]) if _WORKER else os.getpid()) % 100)
use_large_image_profile()  # Fast DDS reads it once in a process, whichever test comes first

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Let a test that is marked `alone` wait until the other workers of pytest-xdist finish theirs, and they for it."""
    if not _WORKER:
        return (yield)
    folder = item.config._tmp_path_factory.getbasetemp().parent  # that of all workers
    with (folder / "gate.lock").open("w") as gate, (folder / "machine.lock").open("w") as machine:
        fcntl.flock(gate, fcntl.LOCK_EX)  # so that nobody overtakes a test that waits for the whole machine
        fcntl.flock(machine, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        return (yield)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images that lies beside the checkout in development and CI."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real images are not there ({folder})")
    return folder


@pytest.fixture
def without_curves(monkeypatch):
    """Trainings draw no plot of their values, which takes two seconds each time."""
    monkeypatch.setattr("perception_common.training.progress.draw_curves", lambda records, path: None)


@dataclass(frozen=True, eq=False)
class SmallFlight:
    """Five frames of a simulated flight, 2 s apart. images: gray. depths: (H, W) metres along the optical axis.

    poses: T_world_camera (4, 4), z above ground.
    """

    camera: Camera
    stamps_ns: tuple[int, ...]
    images: tuple[np.ndarray, ...]
    depths: tuple[np.ndarray, ...]
    poses: tuple[np.ndarray, ...]

    def motion(self, older: int, newer: int) -> np.ndarray:
        """The true pose (4, 4) of the camera of a frame in that of an older one, metres."""
        return np.linalg.inv(self.poses[older]) @ self.poses[newer]


@pytest.fixture(scope="session")
def small_flight() -> SmallFlight:
    """A survey at 320x240 over a quiet place."""
    options = FlightOptions(
        scene=SceneOptions(urbanity=0.3),
        path=FlightPathOptions(duration_s=8.0, altitude_m=50.0, pitch_deg=-75.0),
        camera=CameraOptions(320, 240),
        frame_rate_hz=0.5,
        degradation_strength=0.3,
    )
    flight = start_flight(3, options)
    frames = list(flight)
    pinhole = flight.camera
    return SmallFlight(
        Camera.from_matrix(pinhole.matrix, pinhole.width, pinhole.height, pinhole.distortion),
        tuple(round((1 + frame.stamp_s) * 1e9) for frame in frames),
        tuple(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) for frame in frames),
        tuple(frame.truth.depth for frame in frames),
        tuple(frame.truth.T_world_camera for frame in frames),
    )
