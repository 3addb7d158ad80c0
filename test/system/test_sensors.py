"""loftr_node beside sensors, as a process over DDS, on a small simulated flight."""

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, Range
from std_msgs.msg import Float64

from loftr_ros.base_frame import edge_between_bases, parse_mount
from loftr_ros.ros.messages import header_of, pose_message
from perception_common.geometry import inverse, matrix_from_quaternion, transform
from perception_common.images.conversion import fill_image
from perception_common.tum import read_tum
from yolc_ros.msg import Detection, DetectionArray, RelativePose
from yolc_ros.srv import MatchKeyframes

pytestmark = pytest.mark.system
EVERY = {"processing_mode": "every", "max_interval": 0.0}  # every image becomes a keyframe
RELIABLE = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)
MOUNT = "0.1 0.0 -0.05 0.7071068 -0.7071068 0.0 0.0"  # looks down from a base with x ahead and z up


class Vehicle:
    """Flies the small flight: publishes a frame with its camera_info and what else is asked for."""

    def __init__(self, bench, flight, kinds=()):
        self.bench, self.flight = bench, flight
        self.images = bench.node.create_publisher(Image, "image", RELIABLE)
        self.infos = bench.node.create_publisher(CameraInfo, "camera_info", RELIABLE)
        self.sensors = {topic: bench.node.create_publisher(kind, topic, RELIABLE) for topic, kind in kinds}
        self.poses = bench.received["/loftr/relative_pose"]
        bench.wait_until_matched(self.images, 1)
        for publisher in (self.infos, *self.sensors.values()):
            bench.until(publisher.get_subscription_count, what=f"a subscription to {publisher.topic_name}")

    def fly(self, frames, later_ns=0, **messages):
        """Publish frames, one when the last one is answered. messages: by topic, message(frame, header)."""
        for k in frames:
            header = header_of(self.flight.stamps_ns[k] + later_ns, "camera")
            for topic, make in messages.items():
                self.sensors[topic].publish(make(k, header))
            self.infos.publish(self._info(header))
            image = Image()
            fill_image(image, self.flight.images[k], header)
            answered = len(self.bench.received["/loftr/status"])
            self.images.publish(image)
            self.bench.until(lambda n=answered: len(self.bench.received["/loftr/status"]) > n, what="an answer")

    def _info(self, header):
        camera = self.flight.camera
        return CameraInfo(
            header=header,
            width=camera.width,
            height=camera.height,
            distortion_model=camera.model,
            d=list(camera.distortion),
            k=list(camera.K),
        )

    def height(self, k, header):
        return Range(header=header, range=float(self.flight.poses[k][2, 3]), min_range=0.1, max_range=200.0)

    def error(self, message, older, newer):
        """Distance of a relative pose from the true one between two frames, over its length."""
        true = self.flight.motion(older, newer)[:3, 3]
        return float(np.linalg.norm(position(message) - true) / np.linalg.norm(true))


def position(message):
    p = message.pose.pose.position
    return np.array([p.x, p.y, p.z])


def matrix(message):
    q = message.pose.pose.orientation
    return transform(matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w])), position(message))


@pytest.fixture
def fly_with(bench, start, small_flight):
    """Start the node with parameters, and a vehicle with publishers of so many kinds."""

    def begin(kinds=(), **parameters):
        start("loftr_node", **EVERY, **parameters)
        bench.listen()
        return Vehicle(bench, small_flight, kinds)

    return begin


def test_an_altitude_gives_metres_and_a_stale_one_is_said(bench, fly_with):
    vehicle = fly_with([("altitude", Range)], altitude="range")
    vehicle.fly(range(5), altitude=vehicle.height)
    bench.until(lambda: len(vehicle.poses) == 7)
    for message in vehicle.poses:
        assert message.scale_status == RelativePose.SCALE_ALTITUDE
        assert message.scale_reason == ""
        assert vehicle.error(message, message.older_id, message.newer_id) < 0.06
        assert message.pose.covariance[0] < 10.0
    statuses = bench.received["/loftr/status"]
    assert all(status.metric for status in statuses)
    assert statuses[-1].track_length > 2.0
    assert 0.0 < statuses[-1].reprojection_error < 2.0
    bench.until(lambda: bench.diagnosis("/loftr_node").get("scale") == "altitude")

    for number, k in enumerate((3, 2, 1)):  # back again, and the altimeter is silent
        vehicle.fly((k,), later_ns=(20 + 4 * number) * 10**9)
    bench.until(lambda: len(vehicle.poses) == 13)
    stale = next(message for message in vehicle.poses if (message.older_id, message.newer_id) == (6, 7))
    assert stale.scale_status == RelativePose.SCALE_UNKNOWN
    assert "old, more than 0.5 s" in stale.scale_reason
    assert np.linalg.norm(position(stale)) == pytest.approx(1.0)
    assert not bench.received["/loftr/status"][-1].metric
    bench.until(lambda: any("no scale: the altitude is" in problem for problem in bench.problems("/loftr_node")))


def test_the_altitude_of_mavros_has_no_stamp_and_counts_when_it_comes(bench, fly_with):
    vehicle = fly_with([("altitude", Float64)], altitude="float", use_sim_time="false", sensor_max_age=60.0)
    now = bench.node.get_clock().now().nanoseconds - vehicle.flight.stamps_ns[0]
    vehicle.fly((0, 1), later_ns=now, altitude=lambda k, _: Float64(data=float(vehicle.flight.poses[k][2, 3])))
    bench.until(lambda: len(vehicle.poses) == 1)
    assert vehicle.poses[0].scale_status == RelativePose.SCALE_ALTITUDE
    assert vehicle.error(vehicle.poses[0], 0, 1) < 0.06


def test_odometry_gives_metres_and_the_edges_of_the_base(bench, fly_with):
    edges = []
    bench.node.create_subscription(RelativePose, "loftr/relative_pose_base", edges.append, RELIABLE)
    mount = parse_mount(MOUNT)

    def odometry(k, header):
        message = Odometry(header=header, child_frame_id="base_link")
        message.header.frame_id = "odom"
        message.pose.pose = pose_message(vehicle.flight.poses[k] @ inverse(mount))
        return message

    vehicle = fly_with([("odometry", Odometry)], use_odometry="true", base_frame="base_link", base_from_optical=MOUNT)
    vehicle.fly(range(2), odometry=odometry)
    bench.until(lambda: len(vehicle.poses) == len(edges) == 1)
    (camera,), (base,) = vehicle.poses, edges
    assert camera.scale_status == base.scale_status == RelativePose.SCALE_ODOMETRY
    assert vehicle.error(camera, 0, 1) < 0.05
    assert (base.header.frame_id, base.header.stamp) == ("base_link", camera.header.stamp)
    expected, covariance = edge_between_bases(
        matrix(camera), camera.pose.covariance.reshape(6, 6), mount, is_metric=True
    )
    np.testing.assert_allclose(matrix(base), expected, atol=1e-9)
    np.testing.assert_allclose(base.pose.covariance.reshape(6, 6), covariance, atol=1e-9)


def test_matches_on_detected_vehicles_are_flagged(bench, fly_with):
    vehicle = fly_with([("yolc/detections", DetectionArray)], use_detections="true")

    def detections(_, header):
        car = Detection(class_name="car", score=0.9, center_x=100.0, center_y=120.0, size_x=120.0, size_y=160.0)
        return DetectionArray(header=header, image_width=320, image_height=240, detections=[car], trained=True)

    vehicle.fly(range(2), **{"yolc/detections": detections})
    pairs = bench.received["/loftr/correspondences"]
    bench.until(lambda: pairs)
    dynamic, inlier = (np.array(flags, bool) for flags in (pairs[0].dynamic, pairs[0].inlier))
    points = [np.column_stack([pairs[0].x0, pairs[0].y0]), np.column_stack([pairs[0].x1, pairs[0].y1])]
    off = np.min([np.max(np.abs(p - (100, 120)) / (60, 80), axis=1) for p in points], axis=0)  # 1: the edge of the box
    assert (off < 1).sum() > 20
    assert dynamic[off < 1].all()
    assert (off > 1.5).sum() > 20
    assert not dynamic[off > 1.5].any()
    assert inlier[~dynamic].any()
    bench.until(lambda: bench.diagnosis("/loftr_node"))
    assert not any("moving things" in problem for problem in bench.problems("/loftr_node"))


def test_keyframes_are_matched_on_request(bench, fly_with, tmp_path):
    path = tmp_path / "flight.txt"
    vehicle = fly_with(trajectory_file=path, match_last=1)

    def ask(older, newer):
        request = MatchKeyframes.Request(older_id=older, newer_id=newer)
        return bench.call(MatchKeyframes, "/match_keyframes", request)

    assert not ask(0, 1).success  # nothing seen yet
    vehicle.fly(range(4))
    response = ask(1, 3)
    assert response.success
    assert response.message == ""
    assert (response.relative_pose.older_id, response.relative_pose.newer_id) == (1, 3)
    assert response.relative_pose.geometry != RelativePose.GEOMETRY_FAILED
    assert len(response.correspondences.x0) == response.relative_pose.matches > 100
    unknown = ask(1, 77)
    assert not unknown.success
    assert "there is no keyframe 77" in unknown.message

    (result,) = bench.set_parameters("/loftr_node", keyframe_memory_mb=1)
    assert result.successful
    vehicle.fly((4,))
    evicted = ask(0, 4)  # its features had to go, and its image is encoded again
    assert evicted.success, evicted.message

    read = read_tum(path)
    np.testing.assert_array_equal(read.stamps_ns, vehicle.flight.stamps_ns)
    np.testing.assert_allclose(np.linalg.norm(np.diff(read.positions, axis=0), axis=1), 1.0)  # steps of no scale
    assert path.read_text().count("# not metric") == 4


def test_parameters_that_contradict_each_other_are_refused_together(bench, start):
    start("loftr_node", autostart="false")
    for values, words in (
        ({"use_imu": True}, "give base_frame"),
        ({"base_from_optical": MOUNT}, "give base_frame too"),
        ({"base_from_optical": "1 2 3", "base_frame": "base_link"}, "seven numbers"),
    ):
        request_results = bench.set_parameters_atomically("/loftr_node", **values)
        assert not request_results.successful
        assert words in request_results.reason
    accepted = bench.set_parameters_atomically("/loftr_node", use_imu=True, base_frame="base_link")
    assert accepted.successful
