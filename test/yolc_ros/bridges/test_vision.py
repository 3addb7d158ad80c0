"""Conversion to vision_msgs: class names, scores, and boxes in original pixels."""

from types import SimpleNamespace

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from yolc_ros.bridges.vision import detections_2d
from yolc_ros.msg import Detection, DetectionArray, Track, TrackArray

TRUE_DEFINITIONS = {  # ros-perception/vision_msgs at e77fa2d
    "Point2D": "float64 x\nfloat64 y",
    "Pose2D": "vision_msgs/Point2D position\nfloat64 theta",
    "BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "ObjectHypothesisWithPose": "ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose",
    "Detection2D": ("std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox2D bbox\nstring id"),
    "Detection2DArray": "std_msgs/Header header\nDetection2D[] detections",
}


def stand_in():
    """vision_msgs.msg from its definitions; missing fields have default values, as in rclpy."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in TRUE_DEFINITIONS.items():
        store.register(get_types_from_msg(definition, f"vision_msgs/msg/{name}"))
    of = store.types
    header = of["std_msgs/msg/Header"](of["builtin_interfaces/msg/Time"](7, 8), "camera")
    pose = of["geometry_msgs/msg/Pose"](
        of["geometry_msgs/msg/Point"](0.0, 0.0, 0.0), of["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    )
    rest = {
        "Pose2D": {"theta": 0.0},
        "ObjectHypothesisWithPose": {"pose": of["geometry_msgs/msg/PoseWithCovariance"](pose, np.zeros(36))},
        "Detection2D": {"header": header},
        "Detection2DArray": {"header": header},
    }

    def maker(name):
        return lambda **fields: of[f"vision_msgs/msg/{name}"](**{**fields, **rest.get(name, {})})

    return SimpleNamespace(**{name: maker(name) for name in TRUE_DEFINITIONS}), store


def test_every_detection_is_converted():
    messages, store = stand_in()
    given = DetectionArray(
        detections=[
            Detection(class_name="car", score=0.75, center_x=100.5, center_y=50.0, size_x=20.0, size_y=10.0),
            Detection(class_name="van", score=0.5, center_x=3.0, center_y=4.0, size_x=2.0, size_y=6.0),
        ]
    )
    made = detections_2d(given, messages)
    read = store.deserialize_cdr(store.serialize_cdr(made, made.__msgtype__), made.__msgtype__)
    assert (read.header.stamp.sec, read.header.frame_id) == (7, "camera")
    car, van = read.detections
    assert (car.results[0].hypothesis.class_id, car.results[0].hypothesis.score) == ("car", 0.75)
    assert (car.bbox.center.position.x, car.bbox.center.position.y) == (100.5, 50.0)
    assert (car.bbox.size_x, car.bbox.size_y) == (20.0, 10.0)
    assert van.results[0].hypothesis.class_id == "van"


def test_ids_are_those_of_the_tracks():
    def box(x, score):
        return Detection(class_name="car", score=score, center_x=x, center_y=50.0, size_x=20.0, size_y=10.0)

    given = DetectionArray(detections=[box(100.0, 0.75), box(160.0, 0.75), box(220.0, 0.5), box(300.0, 0.4)])
    tracks = [
        Track(track_id=7, status=Track.TRACKED, detection=box(158.0, 0.75)),  # smoothed
        Track(track_id=9, status=Track.NEW, detection=box(101.0, 0.75)),
        Track(track_id=11, status=Track.LOST, detection=box(220.0, 0.5)),
    ]
    messages, _ = stand_in()
    made = detections_2d(given, messages, TrackArray(tracks=tracks))
    assert [each.id for each in made.detections] == ["9", "7", "", ""]


def test_an_empty_array_is_converted_to_an_empty_array():
    messages, _ = stand_in()
    assert detections_2d(DetectionArray(), messages).detections == []
