"""Objects on the ground as messages."""

import math

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("yolc_ros.msg", reason="the messages exist only after a build")

from builtin_interfaces.msg import Time
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from perception_common.geometry import matrix_from_quaternion
from yolc_ros.detector import Detections
from yolc_ros.georeference.geodesy import LocalFrame
from yolc_ros.georeference.objects import GroundObjects
from yolc_ros.ros.messages import DETECTIONS, OBJECT_FIX, OBJECT_MARKERS, OBJECTS, frame_messages

FRAME = LocalFrame(56.0, 10.0, 80.0)
COVARIANCE = np.array([[4.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.25]])


def objects(frame=FRAME):
    nowhere = np.full(3, math.nan)
    return GroundObjects(
        ids=np.array([7, 0]),
        status=np.array([0, 1]),
        reasons=("", "the ray points above the horizon"),
        places=np.array([[1.0, 2.0, -50.0], nowhere]),
        covariances=np.array([COVARIANCE, np.full((3, 3), math.nan)]),
        geodetic=np.array([[56.1, 10.1, 30.0], nowhere]),
        observations=np.array([5, 0]),
        moving=np.array([True, False]),
        velocities=np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        velocity_covariances=np.array([np.eye(3), np.zeros((3, 3))]),
        frame=frame,
    )


def messages(found, wants=lambda topic: True):
    detections = Detections(
        boxes=np.array([[10, 20, 30, 40], [50, 5, 60, 9]], np.float32),
        scores=np.array([0.9, 0.5], np.float32),
        labels=np.array([3, 0]),
        region=np.array([-1, -1]),
        regions=(),
        class_names=("pedestrian", "people", "bicycle", "car"),
    )
    header = Header(stamp=Time(sec=5, nanosec=6), frame_id="camera")
    image = np.zeros((60, 80, 3), np.uint8)
    built = frame_messages(
        header, image, detections, model="m", trained=True, seconds=0.1, wants=wants, objects=found, map_frame="map"
    )
    return list(built)


def test_objects_come_before_the_detections_with_the_stamp_of_the_image():
    topics = [topic for topic, _ in messages(objects())]
    assert topics.index(OBJECTS) < topics.index(DETECTIONS)
    located = dict(messages(objects()))[OBJECTS]
    assert (located.header.stamp.sec, located.header.stamp.nanosec, located.header.frame_id) == (5, 6, "map")
    assert (located.origin_latitude, located.origin_longitude, located.origin_height) == (56.0, 10.0, 80.0)
    first, second = located.objects
    assert (first.track_id, first.status, first.observations, first.moving) == (7, 0, 5, True)
    assert (first.detection.class_name, first.detection.center_x) == ("car", 20.0)
    assert (first.position.x, first.position.y, first.position.z) == (1.0, 2.0, -50.0)
    np.testing.assert_array_equal(first.covariance.reshape(3, 3), COVARIANCE)
    assert (first.latitude, first.longitude, first.height) == (56.1, 10.1, 30.0)
    assert (first.velocity.x, first.velocity_covariance[0]) == (3.0, 1.0)
    assert (second.status, second.reason) == (1, "the ray points above the horizon")
    assert math.isnan(second.position.x)


def test_markers_show_places_and_velocities():
    markers = dict(messages(objects()))[OBJECT_MARKERS].markers
    assert markers[0].action == Marker.DELETEALL
    assert [each.type for each in markers[1:]] == [Marker.SPHERE, Marker.TEXT_VIEW_FACING, Marker.ARROW]
    sphere, text, arrow = markers[1:]
    q, scale = sphere.pose.orientation, sphere.scale
    R = matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w]))
    shape = R @ np.diag((np.array([scale.x, scale.y, scale.z]) / 4) ** 2) @ R.T  # two standard deviations to each side
    np.testing.assert_allclose(shape, COVARIANCE, atol=1e-9)
    assert text.text == "car 7"
    assert (arrow.points[1].x, arrow.points[1].y) == (4.0, 2.0)


def test_each_located_object_is_a_fix_for_maps():
    (fix,) = (message for topic, message in messages(objects()) if topic == OBJECT_FIX)
    assert (fix.latitude, fix.longitude, fix.altitude) == (56.1, 10.1, 30.0)
    assert (fix.header.stamp.sec, fix.header.frame_id, fix.status.status) == (5, "map", 0)
    np.testing.assert_array_equal(fix.position_covariance.reshape(3, 3), COVARIANCE)
    assert fix.position_covariance_type == fix.COVARIANCE_TYPE_KNOWN


def test_places_without_a_latitude_are_no_fix():
    found = objects(None)
    found.geodetic[:] = math.nan
    assert OBJECT_FIX not in dict(messages(found))


def test_nothing_is_published_while_georeferencing_is_off_and_markers_only_on_demand():
    assert not {OBJECTS, OBJECT_MARKERS, OBJECT_FIX} & {topic for topic, _ in messages(None)}
    assert not {OBJECT_MARKERS, OBJECT_FIX} & dict(messages(objects(), wants=lambda topic: False)).keys()


def test_without_an_origin_its_fields_are_nan():
    assert math.isnan(dict(messages(objects(None)))[OBJECTS].origin_latitude)
