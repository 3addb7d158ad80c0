"""Messages made without ROS."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from perception_common.resources import find_share
from perception_common.stamps import time_ns
from replay_ros.bags.datasets.calibration import uncalibrated
from replay_ros.bags.datasets.ground_truth import Pose
from replay_ros.bags.messages import (
    ENCODINGS,
    camera_info_message,
    header,
    image_message,
    load_types,
    new,
    range_message,
    stamp_of,
    world_pose_message,
)

TYPES = load_types()
OWN = sorted(name for name in TYPES.fielddefs if name.startswith("yolc_ros/msg/"))


def round_trip(message):
    data = TYPES.serialize_cdr(message, message.__msgtype__)
    return TYPES.deserialize_cdr(bytes(data), message.__msgtype__)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_images_of_every_encoding_survive_a_round_trip(encoding, size):
    """A smooth image, so that JPEG and the Bayer mosaic keep it."""
    y, x = np.mgrid[: size[0], : size[1]]
    image = np.stack([x * 3, y * 4, 120 + 0 * x], axis=-1).astype(np.uint8)  # BGR
    message = round_trip(image_message(TYPES, image, encoding, 1_234_567_890_123_456_789, "camera_optical"))
    assert stamp_of(message) == 1_234_567_890_123_456_789
    assert message.header.frame_id == "camera_optical"
    rgb = to_rgb(message).astype(int)
    assert rgb.shape == (*size, 3)
    expected = image[..., ::-1].astype(int)
    if encoding == "mono8":
        expected = np.repeat((expected @ [0.299, 0.587, 0.114])[..., None], 3, axis=-1)
    exact = encoding in ("bgr8", "rgb8", "compressed-png")
    difference = np.abs(rgb - expected)[2:-2, 2:-2]
    assert difference.max() <= (0 if exact else 1 if encoding == "mono8" else 8)


def test_the_rggb_mosaic_begins_with_red():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:] = (30, 20, 10)  # BGR
    mosaic = image_message(TYPES, image, "bayer_rggb8", 0, "").data.reshape(4, 4)
    np.testing.assert_array_equal(mosaic[:2, :2], [[10, 20], [20, 30]])


def test_an_unknown_encoding_lists_the_known():
    with pytest.raises(InputError, match="unknown encoding 'yuv'; choose one of bgr8"):
        image_message(TYPES, np.zeros((2, 2, 3), np.uint8), "yuv", 0, "")


@given(st.integers(0, (2**31 - 1) * 10**9))
def test_stamps_survive_to_the_nanosecond(stamp_ns):
    assert stamp_of(SimpleNamespace(header=header(TYPES, stamp_ns, ""))) == stamp_ns


def test_a_type_without_a_header_has_no_stamp():
    assert stamp_of(new(TYPES, "std_msgs/msg/Float64", data=1.0)) is None


def test_an_uncalibrated_camera_info_is_refused_as_a_camera():
    message = round_trip(camera_info_message(TYPES, uncalibrated(640, 480), 5, "camera"))
    assert (message.width, message.height) == (640, 480)
    with pytest.raises(InputError, match="not calibrated"):
        Camera.from_camera_info(message)


def test_a_pose_keeps_the_order_of_its_quaternion():
    pose = Pose(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3, 0.9]))
    message = round_trip(world_pose_message(TYPES, pose, 7, "map"))
    orientation = message.pose.orientation
    assert (orientation.x, orientation.y, orientation.z, orientation.w) == (0.1, 0.2, 0.3, 0.9)
    assert (message.pose.position.x, message.pose.position.z) == (1.0, 3.0)
    assert message.header.frame_id == "map"


def test_an_altitude_is_within_the_limits_of_its_message():
    message = round_trip(range_message(TYPES, 39.5, 7, "camera_optical"))
    assert message.min_range <= message.range <= message.max_range
    assert message.range == 39.5


def test_all_our_messages_are_there(repository):
    assert sorted(f"yolc_ros/msg/{file.stem}" for file in (repository / "msg").glob("*.msg")) == OWN


@pytest.mark.parametrize("name", OWN)
def test_types_have_the_hash_that_ros_computed_at_build_time(name):
    """With another hash a ROS subscriber would refuse the recorded messages."""
    description = find_share() / "msg" / f"{name.rsplit('/', 1)[1]}.json"
    if not description.is_file():
        pytest.skip("needs the installed package")
    hashes = {each["type_name"]: each["hash_string"] for each in json.loads(description.read_text())["type_hashes"]}
    assert TYPES.hash_rihs01(name) == hashes[name]


def test_the_error_for_a_folder_without_definitions_gives_advice(tmp_path):
    with pytest.raises(InputError, match=r"no message definitions in .*build the package"):
        load_types(tmp_path)


def test_a_broken_definition_is_named(tmp_path):
    (tmp_path / "Broken.msg").write_text("float32 [[[")
    with pytest.raises(InputError, match=r"Broken\.msg is not a message definition"):
        load_types(tmp_path)


@pytest.mark.parametrize("stamp_ns", [2**31 * 10**9, -(2**31) * 10**9 - 1, 10**30])
def test_a_stamp_that_a_header_cannot_hold_is_refused(stamp_ns):
    with pytest.raises(InputError, match="does not fit a ROS header"):
        header(TYPES, stamp_ns, "camera")


@pytest.mark.parametrize("stamp_ns", [2**31 * 10**9 - 1, -(2**31) * 10**9, 0])
def test_the_first_and_the_last_stamp_of_a_header_come_back(stamp_ns):
    made = header(TYPES, stamp_ns, "camera")
    data = TYPES.serialize_cdr(made, "std_msgs/msg/Header")
    assert time_ns(TYPES.deserialize_cdr(data, "std_msgs/msg/Header").stamp) == stamp_ns
