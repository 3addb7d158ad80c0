"""The sensor topics that the parameters switch on: the node subscribes to them, the replay reads them from a bag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perception_common.sensors.topics import SensorTopic

if TYPE_CHECKING:  # importing it needs ROS
    from loftr_ros.parameters import LoftrParameters

ALTITUDES = {
    "range": SensorTopic("altitude", "sensor_msgs/msg/Range", lambda s, m, _: s.add_range(m), 10),
    "float": SensorTopic(
        "altitude", "std_msgs/msg/Float64", lambda s, m, arrival: s.add_float_altitude(m, arrival), 10
    ),
    "fix": SensorTopic("altitude", "sensor_msgs/msg/NavSatFix", lambda s, m, _: s.add_fix(m), 10),
}
DEPTH = SensorTopic("depth/image", "sensor_msgs/msg/Image", lambda s, m, _: s.add_depth(m), 2)
ODOMETRY = SensorTopic("odometry", "nav_msgs/msg/Odometry", lambda s, m, _: s.add_odometry(m), 50)
IMU = SensorTopic("imu", "sensor_msgs/msg/Imu", lambda s, m, _: s.add_imu(m), 100)
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
