"""What the parameters of loftr_node mean: settings of the front end, and topics of sensors."""

import dataclasses

import pytest

pytest.importorskip("rclpy")

from loftr_ros.frontend import FrontendSettings
from loftr_ros.parameters import LoftrParameters
from loftr_ros.sensors.topics import sensor_topics
from perception_common.errors import InputError


class Recorder:
    """Stands where Sensors stand; remembers which method took what."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *values: self.calls.append((name, values)) or True


def test_each_sensor_has_its_topic_once_it_is_switched_on():
    assert sensor_topics(LoftrParameters()) == ()
    on = LoftrParameters(use_depth=True, use_odometry=True, use_imu=True, use_detections=True, base_frame="base_link")
    recorder = Recorder()
    for topic in sensor_topics(on):
        assert topic.add(recorder, topic.name, 7)
    assert recorder.calls == [
        ("add_depth", ("depth/image",)),
        ("add_odometry", ("odometry",)),
        ("add_imu", ("imu",)),
        ("add_detections", ("yolc/detections",)),
    ]


@pytest.mark.parametrize(
    ("kind", "type_name", "call"),
    [
        ("range", "sensor_msgs/msg/Range", ("add_range", ("message",))),
        ("float", "std_msgs/msg/Float64", ("add_float_altitude", ("message", 7))),
        ("fix", "sensor_msgs/msg/NavSatFix", ("add_fix", ("message",))),
    ],
)
def test_an_altitude_has_one_topic_of_the_type_that_is_chosen(kind, type_name, call):
    (topic,) = sensor_topics(LoftrParameters(altitude=kind))
    assert (topic.name, topic.type) == ("altitude", type_name)
    recorder = Recorder()
    topic.add(recorder, "message", 7)
    assert recorder.calls == [call]


def flat(value, prefix=""):
    """All settings below a dataclass by their path."""
    if not dataclasses.is_dataclass(value):
        return {prefix: value}
    parts = (flat(getattr(value, f.name), f"{prefix}.{f.name}") for f in dataclasses.fields(value))
    return {path: leaf for part in parts for path, leaf in part.items()}


OF_THE_NODE = {  # not of the front end
    *(
        "model",
        "weights",
        "weights_sha256",
        "device",
        "precision",
        "num_threads",
        "processing_mode",
        "queue_size",
        "intensity",
        "backend",
        "providers",
        "cuda_graphs",
    ),
    *("image_transport", "input_timeout", "autostart", "altitude", "use_depth", "use_odometry", "use_imu"),
    *("use_detections", "map_frame", "trajectory_file", "base_frame", "base_from_optical", "tf_timeout"),
    *("odom_frame", "publish_tf", "base_from_imu"),
}
OTHER = {
    "loop_store": {"loop_store": "somewhere"},
    "altitude_along": {"altitude_along": "beam"},
    "dynamic_classes": {"dynamic_classes": "car, bus"},
    "estimator": {"estimator": "opencv"},
    "gimbal": {"gimbal": "pitch"},
    "rotation": {"rotation": "off"},
    "gimbal_pitch": {"gimbal": "pitch", "gimbal_pitch": -45.0},
}


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(LoftrParameters) if f.name not in OF_THE_NODE])
def test_every_parameter_reaches_the_front_end(name):
    default = LoftrParameters()
    value = getattr(default, name)
    changed = OTHER.get(name) or {name: value + 1 if isinstance(value, int) else value * 0.5 + 0.02}
    before, after = flat(default.frontend), flat(LoftrParameters(**changed).frontend)
    assert before.keys() == after.keys()
    assert len([path for path in before if before[path] != after[path]]) == 1


def test_the_defaults_are_those_of_the_cores_but_for_what_is_meant():
    cores, node = flat(FrontendSettings()), flat(LoftrParameters().frontend)
    different = {path for path in cores if cores[path] != node[path]}
    assert different == {".matcher.threshold", ".matcher.max_matches"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_interval": 6.0}, "longer than max_interval"),
        ({"lost_matches": 500}, "more than min_matches"),
        ({"use_imu": True}, "give base_frame"),
        ({"base_from_optical": "0 0 0 0 0 0 1"}, "give base_frame too"),
        ({"base_from_imu": "0 0 0 0 0 0 1"}, "set use_imu too"),
        ({"base_from_imu": "0 0 0 1", "use_imu": True, "base_frame": "base"}, "base_from_imu is '0 0 0 1'"),
        ({"odom_frame": "base", "base_frame": "base"}, "another one than base_frame"),
        ({"base_from_optical": "0 0 0", "base_frame": "base_link"}, "seven numbers"),
    ],
)
def test_values_that_do_not_go_together_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        LoftrParameters(**values)
