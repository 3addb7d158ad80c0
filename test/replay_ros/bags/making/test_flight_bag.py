"""The bag of a simulated flight: its topics, its ground truth, and that it is repeatable."""

import itertools

import numpy as np
import pytest

from flight_sim.flight import CameraOptions, FlightOptions, start_flight
from flight_sim.flight_path import FlightPathOptions
from perception_common.geometry import matrix_from_quaternion
from replay_ros.bags.making.flight import ORIGIN, FlightBagOptions, heading, write_flight
from replay_ros.bags.reader import open_bag

pytest.importorskip("pymap3d")

SMALL = FlightOptions(
    path=FlightPathOptions(duration_s=4.0, altitude_m=60.0),
    camera=CameraOptions(width=320, height=180),
    frame_rate_hz=1.0,
)


@pytest.fixture(scope="module")
def flown(tmp_path_factory):
    path = tmp_path_factory.mktemp("flight") / "bag"
    assert write_flight(FlightBagOptions(path, seed=3, flight=SMALL)) == 5
    with open_bag(path) as bag:
        return {name: [item.message for item in bag.messages([name])] for name in bag.topics}


def position(pose):
    return np.array([pose.position.x, pose.position.y, pose.position.z])


def test_every_frame_has_all_topics_with_one_stamp(flown):
    assert set(flown) == {
        *("/camera/image", "/camera/camera_info", "/altitude", "/odometry"),
        *("/ground_truth/pose", "/ground_truth/detections", "/ground_truth/tracks", "/ground_truth/objects"),
        *("/fix", "/imu"),
    }
    stamps = [[(m.header.stamp.sec, m.header.stamp.nanosec) for m in messages] for messages in flown.values()]
    assert stamps[0] == [(1 + second, 0) for second in range(5)]
    assert all(each == stamps[0] for each in stamps)


def test_the_ground_truth_is_that_of_the_simulator(flown):
    flight = start_flight(3, SMALL)
    for index, (pose, info) in enumerate(zip(flown["/ground_truth/pose"], flown["/camera/camera_info"], strict=True)):
        truth = flight.path.pose_at(float(index))
        np.testing.assert_allclose(position(pose.pose), truth[:3, 3])
        q = pose.pose.orientation
        np.testing.assert_allclose(matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w])), truth[:3, :3], atol=1e-9)
        np.testing.assert_allclose(info.k.reshape(3, 3), flight.camera.matrix)
    boxes = flight.frame(2).truth.boxes.clearly_visible()
    message = flown["/ground_truth/detections"][2]
    assert [each.class_id for each in message.detections] == boxes.class_ids.tolist()
    for each, (x0, _, x1, _) in zip(message.detections, boxes.xyxy, strict=True):
        assert each.center_x == pytest.approx((x0 + x1) / 2 + 0.5)
        assert each.size_x == pytest.approx(x1 - x0)
    tracks = flown["/ground_truth/tracks"][2].tracks
    assert [each.track_id for each in tracks] == boxes.ids.tolist()
    assert [each.detection for each in tracks] == message.detections


def test_altitude_has_small_noise(flown):
    heights = np.array([position(pose.pose)[2] for pose in flown["/ground_truth/pose"]])
    measured = np.array([message.range for message in flown["/altitude"]])
    assert np.abs(measured / heights - 1).max() < 0.1
    assert (measured != heights.astype(np.float32)).all()


def test_odometry_starts_at_zero_and_drifts_little(flown):
    first = flown["/odometry"][0].pose.pose
    np.testing.assert_allclose(position(first), 0, atol=1e-9)
    truth = [position(pose.pose) for pose in flown["/ground_truth/pose"]]
    flown_length = sum(np.linalg.norm(b - a) for a, b in itertools.pairwise(truth))
    seen = [position(message.pose.pose) for message in flown["/odometry"]]
    odometry_length = sum(np.linalg.norm(b - a) for a, b in itertools.pairwise(seen))
    assert odometry_length == pytest.approx(flown_length, rel=0.1)


def test_the_same_seed_gives_the_same_messages(flown, tmp_path):
    write_flight(FlightBagOptions(tmp_path / "again", seed=3, flight=SMALL, frames=2))
    with open_bag(tmp_path / "again") as bag:
        for item in bag.messages(["/camera/image", "/altitude"]):
            before = flown[item.topic][item.message.header.stamp.sec - 1]
            if item.topic == "/altitude":
                assert item.message.range == before.range
            else:
                np.testing.assert_array_equal(item.message.data, before.data)


def test_the_heading_of_a_nadir_camera_is_the_direction_of_the_top_of_the_image():
    nadir_north = np.eye(4)
    nadir_north[:3, :3] = np.array([[1, 0, 0], [0, -1, 0], [0, 0, -1]])  # x east, y south, z down
    assert heading(nadir_north) == pytest.approx(np.pi / 2)


def test_positions_and_attitudes_are_near_the_truth_and_objects_are_exact(flown):
    flight = start_flight(3, SMALL)
    for index, (fix, imu) in enumerate(zip(flown["/fix"], flown["/imu"], strict=True)):
        pose = flight.path.pose_at(float(index))
        measured = ORIGIN.to_enu(fix.latitude, fix.longitude, fix.altitude)
        assert 0 < np.linalg.norm(measured - pose[:3, 3]) < 7.0
        q = imu.orientation
        turn = matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w])) @ pose[:3, :3].T
        assert 0 < np.degrees(np.arccos((np.trace(turn) - 1) / 2)) < 5.0
        assert imu.header.frame_id == "camera_optical"
    boxes = flight.frame(2).truth.boxes.clearly_visible()
    message = flown["/ground_truth/objects"][2]
    assert [each.track_id for each in message.objects] == boxes.ids.tolist()
    np.testing.assert_allclose([position_of(each) for each in message.objects], boxes.position)


def position_of(each):
    return each.position.x, each.position.y
