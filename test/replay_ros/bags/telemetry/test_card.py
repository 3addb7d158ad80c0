"""A folder of photographs becomes a bag that the nodes use without further files."""

import json
import math

import cv2
import numpy as np
import pytest
import yaml

from loftr_ros.parameters import LoftrParameters
from loftr_ros.sensors.suite import Sensors
from perception_common.errors import InputError
from perception_common.geometry import matrix_from_quaternion, pose_error, transform
from perception_common.node.parameter_file import read_parameters
from replay_ros.bags.making.make_bag import MakeBagOptions, make_bag
from replay_ros.bags.messages import stamp_of
from replay_ros.bags.own_parameters import find_own_parameters
from replay_ros.bags.reader import open_bag
from replay_ros.offline.replay import OfflineOptions, replay_offline

WIDTH, HEIGHT, FLOWN = 640, 360, 40.0
FOCAL = 20 / math.hypot(36, 24) * 1.25 * WIDTH  # 20 mm in 35 mm terms, on a sensor of 4:3
METRE = 1 / 6_371_000 * 180 / math.pi  # degrees of latitude


def ground(rng):
    """A plane with texture, 10 pixels a metre."""
    noise = rng.integers(0, 255, (1500, 1500), np.uint8)
    return cv2.resize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, fx=1.0, fy=1.0)


def seen_from(texture, east, north, yaw):
    """The picture of a camera that looks straight down; the ground's row 0 lies in the north."""
    c, s = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    per_pixel = 10 * FLOWN / FOCAL  # pixels of the ground
    right, down = np.array([c, s]) * per_pixel, np.array([-s, c]) * per_pixel  # in columns and rows of the ground
    middle = np.array([750 + 10 * east, 750 - 10 * north])
    start = middle - right * (WIDTH - 1) / 2 - down * (HEIGHT - 1) / 2
    return cv2.warpAffine(
        texture, np.column_stack([right, down, start]), (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )


@pytest.fixture
def card(tmp_path, photographs):
    """Eight photographs on a line to the east, in which the yaw of the last two is stated with its opposite."""
    texture = ground(np.random.default_rng(3))
    data = []
    for k in range(8):
        picture = cv2.cvtColor(seen_from(texture, 8.0 * k - 28.0, 2.0 * (k % 2), 80.0 + k), cv2.COLOR_GRAY2BGR)
        metadata = {
            "latitude": 46.0 + 2.0 * (k % 2) * METRE,
            "longitude": 10.0 + (8.0 * k - 28.0) * METRE / math.cos(math.radians(46.0)),
            "yaw": 80.0 + k - 180.0 * (k >= 6),
            "height": FLOWN,
            "time": f"2024:05:01 10:00:{k // 2:02}",
        }
        data.append(photographs.dji(image=picture, **metadata))
    return photographs.write_card(tmp_path / "card", data)


def test_a_card_becomes_a_bag_with_all_topics_and_true_values(card, tmp_path):
    summary = make_bag(MakeBagOptions(card, tmp_path / "bag"))
    topics = (
        "altitude",
        "camera/camera_info",
        "camera/image",
        "fix",
        "ground_truth/approximate_pose",
        "imu",
        "odometry",
    )
    assert summary.counts == {**{f"/{topic}": 8 for topic in topics}, "/telemetry/notes": 1}
    assert summary.timing == "times of the photographs, which are whole seconds"
    notes = " ".join(summary.notes)
    assert "contradicts the pictures in 2 of 8 checked pictures" in notes
    assert "DJI_0007.JPG, DJI_0008.JPG" in notes
    with open_bag(tmp_path / "bag") as bag:
        found = {topic: [item.message for item in bag.messages([topic])] for topic in topics}
        (said,) = bag.messages(["telemetry/notes"])
    assert said.message.data.splitlines()[: len(summary.notes) - 1] == list(summary.notes[:-1])
    start = 1714557600 * 10**9  # `date -u -d "2024-05-01 10:00:00" +%s`; two photographs share each second
    stamps = [stamp_of(message) for message in found["camera/image"]]
    assert stamps == [start + k * 500_000_000 for k in range(8)]
    for messages in found.values():
        assert [stamp_of(message) for message in messages] == stamps
    for k in range(8):
        info, fix, imu = found["camera/camera_info"][k], found["fix"][k], found["imu"][k]
        assert info.k[0] == pytest.approx(FOCAL, rel=0.02)  # refined by distances that fit it
        assert fix.latitude == pytest.approx(46.0 + 2.0 * (k % 2) * METRE, abs=1e-8)
        assert fix.position_covariance_type == 1
        assert fix.position_covariance[0] == 9.0
        top = -matrix_from_quaternion(np.array([getattr(imu.orientation, axis) for axis in "xyzw"]))[:, 1]
        yaw = math.degrees(math.atan2(top[0], top[1]))
        assert yaw == pytest.approx(80.0 + k, abs=1.5 if k >= 6 else 1e-6)  # what pictures and course show
        assert imu.header.frame_id == info.header.frame_id == "camera_optical"
        height = found["altitude"][k]
        assert (height.range, math.sqrt(height.variance)) == pytest.approx((40.0, math.hypot(0.5, 0.8)))
    last, pose = found["odometry"][-1], found["ground_truth/approximate_pose"][-1].pose
    assert (last.header.frame_id, last.child_frame_id) == ("map", "camera_optical")
    assert last.pose.pose.position.x == pytest.approx(56.0, rel=0.01)
    assert last.pose.pose == pose.pose
    assert np.sqrt(np.diag(last.pose.covariance.reshape(6, 6))[:3]) == pytest.approx([3, 3, math.hypot(0.5, 0.8)])
    assert last.twist.covariance[0] >= 1e6


def test_the_bag_brings_the_parameters_that_use_its_topics(card, tmp_path):
    make_bag(MakeBagOptions(card, tmp_path / "bag", limit=2))
    path = find_own_parameters(tmp_path / "bag")
    parameters = read_parameters(path, "loftr_node", LoftrParameters)
    assert (parameters.altitude, parameters.use_imu, parameters.base_frame) == ("range", True, "camera_optical")
    sensors = Sensors(parameters.sensors)
    with open_bag(tmp_path / "bag") as bag:
        assert all(sensors.add_range(item.message) for item in bag.messages(["altitude"]))
        assert all(sensors.add_imu(item.message) for item in bag.messages(["imu"]))


@pytest.mark.slow
def test_a_replay_with_these_parameters_has_poses_in_metres(card, tmp_path):
    make_bag(MakeBagOptions(card, tmp_path / "bag"))
    parameters = yaml.safe_load(find_own_parameters(tmp_path / "bag").read_text())
    parameters["/**/loftr_node"]["ros__parameters"]["model"] = "sift"
    (tmp_path / "sift.yaml").write_text(yaml.safe_dump(parameters))
    replay_offline(
        OfflineOptions(tmp_path / "bag", tmp_path / "answers", params_file=tmp_path / "sift.yaml", detection=False)
    )
    with open_bag(tmp_path / "answers") as bag:
        edges = [item.message for item in bag.messages(["loftr/relative_pose"])]
    assert len(edges) >= 4
    for edge in edges:
        older, newer = (
            round(2 * (stamp.sec % 10 + stamp.nanosec / 1e9)) for stamp in (edge.older_stamp, edge.newer_stamp)
        )
        true = math.hypot(8.0 * (newer - older), 2.0 * (newer % 2 - older % 2))
        position = edge.pose.pose.position
        assert edge.scale_status == edge.SCALE_ALTITUDE
        # Position and altitude are exact, and so is the focal length but for its refinement.
        assert math.hypot(position.x, position.y, position.z) == pytest.approx(true, rel=0.03)
        assert position.y < -0.9 * true  # the top of the image is nearly in the east


def test_what_is_given_overrides_what_the_drone_wrote(card, tmp_path):
    camera = tmp_path / "camera.yaml"
    camera.write_text(f"{{K: [500, 500, 320, 180], width: {WIDTH}, height: {HEIGHT}}}")
    summary = make_bag(MakeBagOptions(card, tmp_path / "bag", camera=camera, altitude="55", rate=2.0, limit=2))
    assert not any("camera_info is approximate" in note for note in summary.notes)
    with open_bag(tmp_path / "bag") as bag:
        assert bag.first_message("camera/camera_info").k[0] == 500
        assert bag.first_message("altitude").range == 55.0
        assert [item.stamp_ns for item in bag.messages(["camera/image"])] == [10**9, 15 * 10**8]


def test_the_telemetry_may_stay_unread(card, tmp_path):
    summary = make_bag(MakeBagOptions(card, tmp_path / "bag", telemetry=False))
    assert summary.counts == {"/camera/image": 8, "/camera/camera_info": 8}
    assert find_own_parameters(tmp_path / "bag") is None


def test_photographs_that_are_turned_upright_have_no_attitude(tmp_path, photographs):
    exif = photographs.exif_of(image={271: "DJI", 274: 6}, camera={37386: 3.61, 41989: 20})
    tags = {f"drone-dji:Gimbal{axis}Degree": -90.0 for axis in ("Yaw", "Pitch", "Roll")}
    data = photographs.jpeg_with(exif=exif, xmp=photographs.xmp_of({**tags, "drone-dji:RelativeAltitude": 30}))
    folder = photographs.write_card(tmp_path / "card", [data])
    summary = make_bag(MakeBagOptions(folder, tmp_path / "bag"))
    assert summary.counts == {
        "/camera/image": 1,
        "/camera/camera_info": 1,
        "/altitude": 1,
        "/telemetry/notes": 1,
    }
    assert any("turned upright" in note for note in summary.notes)
    with open_bag(tmp_path / "bag") as bag:
        info = bag.first_message("camera/camera_info")
    assert (info.width, info.height) == (48, 64)
    assert (info.k[2], info.k[5]) == (23.5, 31.5)


@pytest.mark.parametrize(
    "text",
    [
        "/**/loftr_node: {ros__parameters: {trajectory_file: /tmp/x}}",
        "/**: {ros__parameters: {weights: other.safetensors}}",
        "/**/loftr_node: {deeper: {ros__parameters: {weights: x}}}",
        "- a list",
    ],
)
def test_a_bag_may_only_choose_sensors(tmp_path, text):
    (tmp_path / "parameters.yaml").write_text(text)
    if text.startswith("-"):
        assert find_own_parameters(tmp_path) is not None  # the reader of parameters says what is wrong
        return
    with pytest.raises(InputError, match="may only choose its sensors"):
        find_own_parameters(tmp_path)


@pytest.mark.shared_data
def test_the_photographs_of_brighton_beach_turn_two_yaws(shared_data, tmp_path):
    folder = shared_data / "dji_photos_with_telemetry" / "images"
    summary = make_bag(MakeBagOptions(folder, tmp_path / "bag", max_side=64))
    notes = " ".join(summary.notes)
    assert "contradicts the pictures in 2 of 8 checked pictures" in notes
    assert "(DJI_0024.JPG, DJI_0025.JPG)" in notes
    with open_bag(tmp_path / "bag") as bag:
        focal = bag.first_message("camera/camera_info").k[0] / 64
    assert focal == pytest.approx(0.592, rel=0.05)  # by structure from motion


@pytest.mark.slow
@pytest.mark.shared_data
def test_the_photographs_of_brighton_beach_have_true_poses_in_metres_without_a_camera_file(shared_data, tmp_path):
    make_bag(MakeBagOptions(shared_data / "dji_photos_with_telemetry" / "images", tmp_path / "bag"))
    parameters = yaml.safe_load(find_own_parameters(tmp_path / "bag").read_text())
    parameters["/**/loftr_node"]["ros__parameters"] |= {"match_last": 1, "loop_checks": 0}
    (tmp_path / "parameters.yaml").write_text(yaml.safe_dump(parameters))
    replay_offline(
        OfflineOptions(tmp_path / "bag", tmp_path / "answers", tmp_path / "parameters.yaml", detection=False)
    )
    with open_bag(tmp_path / "answers") as bag:
        edges = [item.message for item in bag.messages(["loftr/relative_pose"])]
    poses = json.loads((shared_data / "odm_brighton_beach" / "poses.json").read_text())["poses"]
    world = [np.array(poses[f"DJI_{number:04}.JPG"]["T_enu_cam"]) for number in range(18, 26)]
    assert len(edges) == 7
    ratios = []
    for edge, older, newer in zip(edges, world, world[1:], strict=False):
        true = np.linalg.inv(older) @ newer
        position, q = edge.pose.pose.position, edge.pose.pose.orientation
        rotation = matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w]))
        found = transform(rotation, np.array([position.x, position.y, position.z]))
        assert edge.scale_status == edge.SCALE_ALTITUDE
        assert max(pose_error(found, true)) < 5.0
        ratios.append(np.linalg.norm(found[:3, 3]) / np.linalg.norm(true[:3, 3]))
    assert np.median(ratios) == pytest.approx(1.0, abs=0.05)
