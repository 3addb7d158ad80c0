"""The nodes of a live replay as a process: started on the topics of a bag, monitored, and stopped."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perception_common.errors import InputError
from perception_common.sensors.topics import SensorTopic
from replay_ros.live.processes import HASTE_S, running, stop


@dataclass(frozen=True)
class NodeTopics:
    """Which topics of the bag the nodes read. sensors: of the nodes, by the topic in the bag."""

    image: str
    is_compressed: bool
    camera_info: str | None
    sensors: dict[str, SensorTopic]


@dataclass(frozen=True)
class NodeLaunch:
    """How to start the nodes. log: file for what they print, None for our own output."""

    executable: str
    arguments: tuple[str, ...]
    log: Path | None


@dataclass(frozen=True)
class LiveNodes:
    """Running nodes. process: None when they were not started here."""

    process: subprocess.Popen | None = None
    log: Path | None = None

    @property
    def hint(self) -> str:
        """Where to look for the cause of a failure."""
        return f"look at {self.log}" if self.log else "look at what they printed"

    def end_now(self) -> None:
        """End the nodes within about a second, as after Ctrl-C: the image in progress is not waited for."""
        if self.process is not None:
            stop(self.process, HASTE_S)

    def check(self) -> None:
        """Raise InputError when the process has ended."""
        if self.process is not None and (status := self.process.poll()) is not None:
            how = f"by signal {-status}" if status < 0 else f"with status {status}"
            raise InputError(f"the nodes ended during the replay {how}: {self.hint}")


def node_arguments(topics: NodeTopics, params_file: Path | None, namespace: str, is_lockstep: bool) -> tuple[str, ...]:
    """Return the ROS arguments with which the nodes read the topics of the bag, on simulated time."""
    # A parameter file overrides an earlier -p, and then also later ones (rcl), so the file comes first.
    ros = ["--params-file", str(params_file)] if params_file else []
    remaps = {"image": topics.image, "image/compressed": topics.image}
    remaps |= {"camera_info": topics.camera_info} if topics.camera_info else {}
    remaps |= {sensor.name: topic for topic, sensor in topics.sensors.items()}
    if namespace:
        ros += ["-r", f"__ns:={namespace}"]
    for name, topic in remaps.items():
        ros += ["-r", f"{name}:={topic}"]
    ros += ["-p", "use_sim_time:=true", "-p", f"image_transport:={'compressed' if topics.is_compressed else 'raw'}"]
    if is_lockstep:  # no message may be lost in transit
        for topic in (topics.image, *filter(None, [topics.camera_info]), *topics.sensors):
            ros += ["-p", f"qos_overrides.{topic}.subscription.reliability:=reliable"]
        ros += ["-p", "processing_mode:=every"]
    return tuple(ros)


@contextmanager
def running_nodes(launch: NodeLaunch | None) -> Iterator[LiveNodes]:
    """Run the nodes while the block lasts; None: use running nodes."""
    if launch is None:
        yield LiveNodes()
    elif launch.log is None:
        with running(launch.executable, ["--ros-args", *launch.arguments]) as process:
            yield LiveNodes(process)
    else:
        with (
            launch.log.open("wb") as log,
            running(launch.executable, ["--ros-args", *launch.arguments], log) as process,
        ):
            yield LiveNodes(process, launch.log)
