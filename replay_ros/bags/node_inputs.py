"""Inputs of the nodes in a bag: the topics of their sensors and of the transforms."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from loftr_ros.sensors.topics import DEPTH, DETECTIONS
from perception_common.errors import InputError
from perception_common.sensors.topics import FIX, SensorTopic
from replay_ros.bags.reader import Bag

TF_TOPICS = ("/tf", "/tf_static")


def find_sensors(bag: Bag, sensors: Iterable[SensorTopic], resolve: Callable[[str], str]) -> dict[str, SensorTopic]:
    """Return the sensors that a node's parameters switch on, by their topic in the bag.

    A sensor is on the topic of its name (`resolve` makes it absolute), else on the only topic of its type, except for
    depth images: any Image may be the only one. Missing detections are left out, since the replay makes its own, and
    so are missing positions, without which objects are located from the point below the camera. Raises InputError for
    another sensor that is missing.
    """
    found = {}
    for sensor in sensors:
        name = resolve(sensor.name)
        names = [topic.name for topic in bag.of_type(sensor.type)]
        if name not in names:
            if sensor is DETECTIONS or (sensor is FIX and not names):
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
