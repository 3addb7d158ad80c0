"""Soak: many small images through both nodes over DDS, in lockstep; memory, descriptors and threads must not grow."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tqdm import tqdm

from perception_common.images.conversion import fill_image
from replay_ros.reliability.bench import ANSWERS, START_SECONDS, Bench, running_bench
from replay_ros.reliability.camera import camera_info, make_ground, picture
from replay_ros.reliability.report import ReliabilityReport, limit

MIB = 2**20
SLOPE_LIMIT = 1.0  # MiB for 10,000 images
_SIZE = (64, 48)  # pixels
_IN_FLIGHT = 4  # images that wait for answers at a time
_FRAME_NS = 100_000_000  # between stamps
_ANSWER_SECONDS = 20.0  # after which an image counts as unanswered
_SAMPLES = 200  # of memory, descriptors and threads over the run
_WARM_UP = 0.3  # share of the run before memory is judged
# Images of the moving camera to advance by. The map grows with the flight, by about 3 KB a keyframe up to 10,000
# keyframes, so the camera nearly stands while memory is judged: a leak by image shows, the map hardly.
_FAST, _SLOW = 1.0, 0.02
# The keyframe store fills up within the warm-up. SIFT needs no network, so that images take milliseconds. It finds a
# few dozen matches in such small images: with the default limits each image would be a keyframe.
_PARAMETERS: dict[str, dict[str, object]] = {
    "yolc_node": {"lsm": "none"},
    "loftr_node": {
        "model": "sift",
        "keyframe_memory_mb": 1,
        "max_side": 0,
        "min_matches": 5,
        "lost_matches": 5,
        "max_interval": 60.0,
    },
}


@dataclass(frozen=True)
class Sample:
    """A process after `frames` images. memory: resident, bytes."""

    frames: int
    memory: int
    descriptors: int
    threads: int


def run_soak(frames: int, folder: Path) -> ReliabilityReport:
    """Send `frames` images of 64x48 to both nodes. folder: gets the logs of the nodes."""
    with running_bench(folder) as bench:
        common: dict[str, object] = {"processing_mode": "every", "num_threads": 1}
        processes = {
            name: psutil.Process(
                bench.start_node(
                    name, **common, **_PARAMETERS[name], **{"qos_overrides./image.subscription.reliability": "reliable"}
                ).pid
            )
            for name in ANSWERS
        }
        sender = _Sender(bench)
        bench.require(lambda: sender.images.get_subscription_count() == len(ANSWERS), START_SECONDS, "a subscription")
        bench.require(sender.is_answered_first, START_SECONDS, "a first answer of both nodes")
        samples: dict[str, list[Sample]] = {name: [] for name in processes}
        start = time.monotonic()
        for number in tqdm(range(frames), unit="frame", desc="soak", disable=None):
            sender.send(_FAST if number < _WARM_UP * frames else _SLOW)
            if number % max(1, frames // _SAMPLES) == 0:
                for name, process in processes.items():
                    samples[name].append(sample(number, process))
        sender.settle()
        seconds = time.monotonic() - start
        bench.listen(2.5)  # the diagnostics of the end
        return _report(frames, seconds, samples, sender.unanswered, {name: bench.diagnosis(name) for name in ANSWERS})


class _Sender:
    """Sends images; at most `_IN_FLIGHT` wait for answers."""

    def __init__(self, bench: Bench):
        qos = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)
        self.images = bench.node.create_publisher(Image, "image", qos)
        self.unanswered = dict.fromkeys(ANSWERS, 0)
        self._infos = bench.node.create_publisher(CameraInfo, "camera_info", qos)
        self._bench = bench
        self._ground = make_ground(2048, _SIZE[1])
        self._place = 0.0
        self._stamp = time.time_ns()
        self._waiting: dict[str, deque[int]] = {name: deque() for name in ANSWERS}

    def is_answered_first(self) -> bool:
        """Send an image a second until both nodes answered one."""
        if time.time_ns() > self._stamp:
            self._stamp = time.time_ns() + 10**9
            self._publish(_FAST)
        return all(self._bench.answers.values())

    def send(self, step: float) -> None:
        """Send an image; step: see _FAST."""
        self._wait(_IN_FLIGHT - 1)
        self._stamp += _FRAME_NS
        for waiting in self._waiting.values():
            waiting.append(self._stamp)
        self._publish(step)

    def settle(self) -> None:
        self._wait(0)

    def _publish(self, step: float) -> None:
        header = Header(frame_id="camera_optical")
        header.stamp.sec, header.stamp.nanosec = divmod(self._stamp, 10**9)
        message = Image()
        fill_image(message, picture(self._ground, int(self._place), *_SIZE), header)
        self._infos.publish(camera_info(header, *_SIZE))
        self.images.publish(message)
        self._place += step

    def _wait(self, allowed: int) -> None:
        """Wait until at most `allowed` images of each node are unanswered; a late one counts as unanswered."""
        if not self._bench.until(lambda: self._left() <= allowed, _ANSWER_SECONDS):
            for name, waiting in self._waiting.items():
                while len(waiting) > allowed:
                    waiting.popleft()
                    self.unanswered[name] += 1

    def _left(self) -> int:
        for name, waiting in self._waiting.items():
            answers = self._bench.answers[name]
            while answers:
                stamp = answers.popleft().stamp_ns
                if stamp in waiting:
                    waiting.remove(stamp)
        return max(map(len, self._waiting.values()))


def sample(frames: int, process: psutil.Process) -> Sample:
    """Look at a process."""
    return Sample(frames, process.memory_info().rss, process.num_fds(), process.num_threads())


def slope_mib(samples: list[Sample]) -> float:
    """Return the growth of the memory after the warm-up, MiB for 10,000 images (least squares)."""
    judged = samples[round(_WARM_UP * len(samples)) :]
    if len(judged) < 2:
        return float("nan")
    slope = np.polyfit([each.frames for each in judged], [each.memory / MIB for each in judged], 1)[0]
    return float(slope) * 10_000


def _report(
    frames: int,
    seconds: float,
    samples: dict[str, list[Sample]],
    unanswered: dict[str, int],
    diagnoses: dict[str, dict[str, str]],
) -> ReliabilityReport:
    figures: dict[str, float | int | str] = {
        "images": frames,
        "seconds": seconds,
        "images per second": frames / seconds,
        "keyframes": diagnoses["loftr_node"].get("keyframes made", "unknown"),
    }
    limits = []
    for name, taken in samples.items():
        judged = taken[round(_WARM_UP * len(taken)) :]
        counted = sum(int(diagnoses[name].get(f"images {word}", 0)) for word in ("dropped", "refused"))
        figures |= {
            f"{name}: memory, first and last [MiB]": f"{taken[0].memory / MIB:.1f}, {taken[-1].memory / MIB:.1f}",
            f"{name}: descriptors": f"{judged[0].descriptors} to {judged[-1].descriptors}",
            f"{name}: threads": f"{judged[0].threads} to {judged[-1].threads}",
            f"{name}: images without an answer": unanswered[name],
            f"{name}: images counted as dropped or refused": counted,
        }
        limits += [
            limit(f"{name}: growth of memory", slope_mib(taken), SLOPE_LIMIT, "MiB for 10,000 images"),
            limit(f"{name}: growth of descriptors", judged[-1].descriptors - judged[0].descriptors, 0),
            limit(f"{name}: growth of threads", judged[-1].threads - judged[0].threads, 0),
            limit(f"{name}: images neither answered nor counted", abs(unanswered[name] - counted), 0),
        ]
    width, height = _SIZE
    return ReliabilityReport(
        "soak", f"{frames} images of {width}x{height} in lockstep, yolc_lite without LSM and SIFT", figures, limits
    )
