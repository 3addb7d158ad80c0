"""Inputs of loftr_node in a bag: the topics of its sensors, and the mount of its camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from loftr_ros.base_frame import parse_mount
from loftr_ros.parameters import LoftrParameters
from loftr_ros.sensors.topics import DEPTH, DETECTIONS, SensorTopic, sensor_topics
from loftr_ros.sensors.transform_tree import TransformTree
from perception_common.errors import InputError
from replay_ros.bags.reader import Bag

TF_TOPICS = ("/tf", "/tf_static")


def find_sensors(bag: Bag, parameters: LoftrParameters, resolve: Callable[[str], str]) -> dict[str, SensorTopic]:
    """Return the sensors that the parameters switch on, by their topic in the bag.

    A sensor is on the topic of its name (`resolve` makes it absolute), else on the only topic of its type, except for
    depth images: any Image may be the only one. Missing detections are left out, since the replay makes its own. Raises
    InputError for a sensor that is missing.
    """
    found = {}
    for sensor in sensor_topics(parameters):
        name = resolve(sensor.name)
        names = [topic.name for topic in bag.of_type(sensor.type)]
        if name not in names:
            if sensor is DETECTIONS:
                continue
            if len(names) != 1 or sensor is DEPTH:
                there = ", ".join(names) or "none"
                raise InputError(
                    f"{bag.path} has no {name}, and not one topic of {sensor.type} but {there}: "
                    "switch the sensor off in the parameters, or rename the topic"
                )
            name = names[0]
        found[name] = sensor
    return found


class BagMountLookup:
    """T_base_optical by stamp, from the parameters or from the transforms in a bag."""

    def __init__(self, base_frame: str, base_from_optical: str):
        self._fixed = parse_mount(base_from_optical) if base_from_optical else None
        self._base_frame = base_frame
        self._tree = TransformTree()

    def add(self, topic: str, message: Any) -> None:
        """Add a tf2_msgs/TFMessage of one of TF_TOPICS."""
        for each in message.transforms:
            self._tree.add(each, is_static=topic == "/tf_static")

    def lookup(self, optical_frame: str, stamp_ns: int) -> np.ndarray | None:
        """Return T_base_optical (4, 4) at a stamp; None where it is unknown or not wanted."""
        if self._fixed is not None or not self._base_frame:
            return self._fixed
        return self._tree.lookup(self._base_frame, optical_frame, stamp_ns)
