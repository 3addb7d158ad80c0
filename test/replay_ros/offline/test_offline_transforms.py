"""Offline replay of a flight with a gimbal: slow transforms, and a static one that comes after the last image."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.flight_path import FlightPathOptions
from flight_sim.scene import SceneOptions
from loftr_ros.base_frame import edge_between_bases
from perception_common.geometry import matrix_from_quaternion, so3_exp, transform
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.bags.messages import stamp_of
from replay_ros.bags.reader import open_bag
from replay_ros.bags.sensor_messages import transforms_message
from replay_ros.bags.writer import BagWriter
from replay_ros.offline.replay import OfflineOptions, replay_offline

pytestmark = pytest.mark.slow
SECOND = 10**9
FLIGHT = FlightOptions(
    scene=SceneOptions(side=128.0, urbanity=0.6),
    path=FlightPathOptions(kind="survey", duration_s=3.0, altitude_m=30.0, pitch_deg=-80.0),
    camera=CameraOptions(width=256, height=192),
    frame_rate_hz=1.0,
)
PARAMETERS = """
/**/loftr_node:
  ros__parameters: {model: sift, max_side: 256, max_interval: 0.0, altitude: range, base_frame: body}
"""
T_GIMBAL_CAMERA = transform(so3_exp(np.array([0.2, 1.0, -0.4])), np.array([0.0, 0.1, 0.05]))


def gimbal(seconds):
    """T_body_gimbal (4, 4), sent every two seconds; it turns at a constant rate about a fixed axis in between."""
    return transform(so3_exp(np.array([0.0, 0.1, 0.3]) * seconds), np.array([0.02 * seconds, 0.0, 0.0]))


def with_transforms(flight, out):
    """Copy a bag; add the gimbal on /tf at 0.5 Hz, 0.3 s late, and the camera on /tf_static at the end."""
    with open_bag(flight) as bag, BagWriter(out) as writer:
        (topic,) = (topic for topic in bag.topics.values() if topic.type == "sensor_msgs/msg/Image")
        first = next(iter(bag.messages([topic.name]))).message
        start, frame, kind = stamp_of(first), first.header.frame_id, "tf2_msgs/msg/TFMessage"
        end = bag.end_ns + 3 * SECOND
        events = [(raw.stamp_ns, raw.topic, raw.data) for raw in bag.raw_messages()]
        for seconds in (0, 2, 4):
            sent = transforms_message(writer.types, "body", {"gimbal": gimbal(seconds)}, start + seconds * SECOND)
            data = writer.types.serialize_cdr(sent, kind)
            events.append((start + seconds * SECOND + 3 * SECOND // 10, "/tf", data))
        static = transforms_message(writer.types, "gimbal", {frame: T_GIMBAL_CAMERA}, end)
        events.append((end, "/tf_static", writer.types.serialize_cdr(static, kind)))
        for each in bag.topics.values():
            writer.declare_copy(each)
        for name in ("/tf", "/tf_static"):
            writer.declare(name, kind)
        for stamp, name, data in sorted(events, key=lambda event: event[0]):
            writer.write_raw(name, data, stamp)
    return start


def mount_at(seconds):
    slerp = Slerp([0, 2, 4], Rotation.from_matrix([gimbal(s)[:3, :3] for s in (0, 2, 4)]))
    at = transform(slerp(seconds).as_matrix(), np.array([0.02 * seconds, 0.0, 0.0]))
    return at @ T_GIMBAL_CAMERA


def matrix(message):
    p, q = message.pose.pose.position, message.pose.pose.orientation
    return transform(matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w])), np.array([p.x, p.y, p.z]))


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transforms")
    write_flight(FlightBagOptions(folder / "flight", seed=5, flight=FLIGHT))
    (folder / "parameters.yaml").write_text(PARAMETERS)
    return OfflineOptions(folder / "flight", folder / "out", folder / "parameters.yaml", detection=False)


def test_every_pair_has_its_base_edge_with_the_mount_at_the_stamps_of_its_images(options, tmp_path):
    start = with_transforms(options.bag, tmp_path / "moving")
    result = replay_offline(replace(options, bag=tmp_path / "moving", out=tmp_path / "out"))
    with open_bag(tmp_path / "out") as bag:
        cameras = [item.message for item in bag.messages(["/loftr/relative_pose"])]
        bases = {(m.older_id, m.newer_id): m for m in (i.message for i in bag.messages(["/loftr/relative_pose_base"]))}
    assert len(cameras) == len(bases) >= 3
    for camera in cameras:
        stamps = (camera.older_stamp, camera.newer_stamp)
        mounts = [mount_at((stamp.sec * SECOND + stamp.nanosec - start) / SECOND) for stamp in stamps]
        metric = camera.scale_status != 0
        covariance = np.array(camera.pose.covariance).reshape(6, 6)
        expected, _ = edge_between_bases(matrix(camera), covariance, *mounts, is_metric=metric)
        np.testing.assert_allclose(matrix(bases[camera.older_id, camera.newer_id]), expected, atol=1e-6)
    assert not any("base edge" in reason for reason in result.left_out)


def test_base_edges_without_transforms_are_counted(options):
    result = replay_offline(options)
    counts = [count for reason, count in result.left_out.items() if reason.startswith("no base edge")]
    assert counts == [result.topics["/loftr/relative_pose"]]
    assert "/loftr/relative_pose_base" not in result.topics
