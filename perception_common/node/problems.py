"""Current problems of a node: logged once when they begin, listed in the diagnostics while they last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perception_common.timing.lost_images import LostImages


class Problems:
    """The active problems by key; thread-safe. `log` gets one line when a problem begins."""

    def __init__(self, log: Callable[[str], None]):
        self._log = log
        self._lock = threading.Lock()
        self._active: dict[str, str] = {}

    def report(self, key: str, text: str) -> None:
        """Begin or update the problem `key`; `text` is one line with its cause and what to do."""
        with self._lock:
            is_new = key not in self._active
            self._active[key] = text
        if is_new:
            self._log(text)

    def resolve(self, key: str) -> None:
        """End the problem `key`, if it is active."""
        with self._lock:
            self._active.pop(key, None)

    def active(self) -> tuple[str, ...]:
        """Return the texts of the active problems, oldest first."""
        with self._lock:
            return tuple(self._active.values())


def incompatible_qos(topic: str, info: Any) -> str:
    """Describe a publisher whose QoS does not match, from rclpy's QoSRequestedIncompatibleQoSInfo."""
    policy = str(getattr(info.last_policy_kind, "name", info.last_policy_kind))
    policy = policy.removeprefix("RMW_QOS_POLICY_").lower()
    return (
        f"a publisher of {topic} has an incompatible QoS ({policy}) and nothing arrives from it: "
        f"set the parameter qos_overrides.{topic}.subscription.{policy}"
    )


def missing_images(topic: str, timeout: float, publishers: int) -> str:
    """Describe an image topic on which nothing arrived for `timeout` seconds, with so many publishers."""
    if publishers:
        hint = f"it has {publishers} publisher(s): do they send, with a compatible QoS?"
    else:
        hint = "it has no publisher: is the camera running, is 'image' remapped?"
    return f"no image on {topic} for {timeout:g} s: {hint}"


def lost_images(topic: str, received: int, lost: LostImages, middleware: str, profile: Path) -> str:
    """Describe images that were lost before the node.

    middleware: identifier of the RMW implementation. profile: of Fast DDS, for the camera's process.
    """
    remedy = (
        f"{_remedy(middleware, profile)}, or, if the camera publishes reliably, set the parameter "
        f"qos_overrides.{topic}.subscription.reliability to reliable; see docs/lossless_images.md"
    )
    counted = f"{lost.total} of {lost.total + received} images on {topic} were lost before this node"
    if 2 * lost.in_middleware >= lost.total:
        return f"{counted}, between the camera and here: {remedy}"
    return f"{counted}, by the gaps in their stamps: the camera skips them, or a relay before it loses them: {remedy}"


def several_publishers(topic: str) -> str:
    """Describe a topic on which several publishers send images by turns."""
    return (
        f"several publishers send images on {topic}, which are taken for those of one camera: "
        f"give each camera a topic of its own (ros2 topic info -v {topic} lists them)"
    )


def _remedy(middleware: str, profile: Path) -> str:
    """Return what to change for large images with a middleware; the reasons are in docs/lossless_images.md."""
    if "fastrtps" in middleware:
        return f"start the camera's process with FASTRTPS_DEFAULT_PROFILES_FILE={profile}"
    if "cyclonedds" in middleware:
        return (
            "let Cyclone DDS receive with larger buffers here (sysctl net.core.rmem_max, and SocketReceiveBufferSize "
            "in the file of CYCLONEDDS_URI)"
        )
    return "send compressed images, or fewer of them"
