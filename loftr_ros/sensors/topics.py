"""The sensor topics that the parameters switch on: the node subscribes to them, the replay reads them from a bag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perception_common.sensors.topics import ALTITUDES, IMU, SensorTopic

if TYPE_CHECKING:  # importing it needs ROS
    from loftr_ros.parameters import LoftrParameters

DEPTH = SensorTopic("depth/image", "sensor_msgs/msg/Image", lambda s, m, _: s.add_depth(m), 2)
ODOMETRY = SensorTopic("odometry", "nav_msgs/msg/Odometry", lambda s, m, _: s.add_odometry(m), 50)
DETECTIONS = SensorTopic("yolc/detections", "yolc_ros/msg/DetectionArray", lambda s, m, _: s.add_detections(m), 10)


def sensor_topics(parameters: LoftrParameters) -> tuple[SensorTopic, ...]:
    """Return the topics that are switched on."""
    found = [ALTITUDES[parameters.altitude]] if parameters.altitude in ALTITUDES else []
    optional = (
        (parameters.use_depth, DEPTH),
        (parameters.use_odometry, ODOMETRY),
        (parameters.use_imu, IMU),
        (parameters.use_detections, DETECTIONS),
    )
    return (*found, *(topic for is_on, topic in optional if is_on))
