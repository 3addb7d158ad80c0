"""Inspecting bags: rates, gaps, contents, and what they can be used for."""

import numpy as np
import pytest

from replay_ros.bags.datasets.calibration import Calibration, uncalibrated
from replay_ros.bags.datasets.ground_truth import Pose
from replay_ros.bags.inspection.inspect_bag import inspect_bag
from replay_ros.bags.inspection.report import describe_report
from replay_ros.bags.messages import (
    camera_info_message,
    image_message,
    load_types,
    new,
    range_message,
    world_pose_message,
)
from replay_ros.bags.reader import Topic, open_bag
from replay_ros.bags.sensor_messages import depth_message
from replay_ros.bags.storage.piece import Definition
from replay_ros.bags.writer import BagWriter

TYPES = load_types()
MS = 1_000_000


def image(stamp_ns, size=(4, 6), encoding="bgr8"):
    return image_message(TYPES, np.zeros((*size, 3), np.uint8), encoding, stamp_ns, "camera")


def calibrated(width=6, height=4):
    K = np.array([[5.0, 0, 2.5], [0, 5, 1.5], [0, 0, 1]])
    return Calibration(width, height, "plumb_bob", K, (0.0,) * 5, np.eye(3), np.hstack([K, np.zeros((3, 1))]))


def report_of(path, messages):
    """Write (topic, message, stamp) triples and report on the bag."""
    with BagWriter(path) as bag:
        for topic, message, stamp in messages:
            bag.write(topic, message, stamp)
    with open_bag(path) as bag:
        return inspect_bag(bag)


def topic(report, name):
    return next(each for each in report.topics if each.name == name)


def usability(report):
    return {each.purpose.split()[0]: each for each in report.usability}


def test_rate_gaps_order_and_delay_are_measured(tmp_path):
    received = [0, 100, 200, 500, 600]  # ms
    stamped = [0, 90, 200, 170, 560]
    triples = [("camera/image", image(h * MS), (r + 7) * MS) for r, h in zip(received, stamped, strict=True)]
    found = topic(report_of(tmp_path / "bag", triples), "/camera/image")
    assert (found.count, found.content, found.problem) == (5, "6x4 bgr8", "")
    assert found.rate_hz == pytest.approx(4 / 0.6)
    assert (found.largest_gap_s, found.largest_gap_at_s) == (pytest.approx(0.3), pytest.approx(0.2))
    assert (found.out_of_order, found.gaps) == (1, 1)
    assert (found.jump_s, found.jump_at_s) == (pytest.approx(0.03), pytest.approx(0.5))
    assert found.header_delay_s == pytest.approx(0.017)  # 7, 17, 7, 337, 47
    assert found.header_delay_max_s == pytest.approx(0.337)


def test_one_message_has_no_rate(tmp_path):
    found = topic(report_of(tmp_path / "bag", [("a", new(TYPES, "std_msgs/msg/String", data="x"), 5)]), "/a")
    assert (found.rate_hz, found.largest_gap_s, found.out_of_order, found.header_delay_s) == (None, None, None, None)


def test_a_complete_bag_is_usable_for_all(tmp_path):
    report = report_of(
        tmp_path / "bag",
        [
            ("camera/camera_info", camera_info_message(TYPES, calibrated(), 5, "camera"), 5),
            ("altitude", range_message(TYPES, 40.0, 5, "camera"), 5),
            ("camera/image", image(5), 5),
        ],
    )
    uses = usability(report)
    assert uses["detection"].topics == ("/camera/image",)
    assert uses["relative"].topics == ("/camera/camera_info",)
    assert uses["metric"].topics == ("/altitude",)
    assert "focal length 5.0 px, no distortion" in topic(report, "/camera/camera_info").content


@pytest.mark.parametrize(
    ("camera", "reason"),
    [
        (uncalibrated(6, 4), "the camera is not calibrated"),
        (calibrated(12, 8), "/camera/camera_info is calibrated for another size than the images on /camera/image"),
        (None, "no messages of sensor_msgs/CameraInfo"),
    ],
)
def test_relative_poses_need_a_fitting_camera(tmp_path, camera, reason):
    triples = [("camera/image", image(5), 5)]
    if camera is not None:
        triples.insert(0, ("camera/camera_info", camera_info_message(TYPES, camera, 5, "camera"), 5))
    use = usability(report_of(tmp_path / "bag", triples))["relative"]
    assert not use.usable
    assert reason in use.reason


def test_unreadable_images_are_not_usable_with_a_reason(tmp_path):
    strange = image(5)
    strange.encoding = "acme12"
    report = report_of(tmp_path / "bag", [("camera/image", strange, 5)])
    assert "unknown image encoding 'acme12'" in topic(report, "/camera/image").problem
    assert not usability(report)["detection"].usable
    assert "acme12" in usability(report)["detection"].reason


def test_messages_before_the_first_usable_one_are_counted_and_do_not_decide(tmp_path):
    cut = image(5, encoding="compressed-jpeg")
    cut.data = cut.data[:20]
    triples = [("camera/camera_info", camera_info_message(TYPES, uncalibrated(6, 4), 1, "camera"), 1)]
    triples += [("camera/image", cut, 2), ("camera/image", image(6, encoding="compressed-jpeg"), 3)]
    triples += [("camera/camera_info", camera_info_message(TYPES, calibrated(), 4, "camera"), 4)]
    report = report_of(tmp_path / "bag", triples)
    assert usability(report)["detection"].usable
    assert usability(report)["relative"].usable
    assert sum(topic(report, "/camera/image").unusable.values()) == 1
    text = describe_report(report)
    assert "1 messages are not usable: the camera is not calibrated (K is zero)" in text


@pytest.mark.parametrize("encoding", ["bgr8", "compressed-jpeg"])
def test_a_first_message_of_another_size_does_not_decide(tmp_path, encoding):
    triples = [("camera/camera_info", camera_info_message(TYPES, calibrated(99, 11), 1, "camera"), 1)]
    triples += [("camera/image", image(2, encoding=encoding), 2)]
    triples += [("camera/camera_info", camera_info_message(TYPES, calibrated(), 3, "camera"), 3)]
    assert usability(report_of(tmp_path / "bag", triples))["relative"].usable
    assert not usability(report_of(tmp_path / "other", triples[:2]))["relative"].usable


def test_a_first_image_of_another_size_does_not_decide(tmp_path):
    triples = [("camera/image", image(1, size=(8, 8)), 1), ("camera/image", image(2), 2)]
    triples += [("camera/camera_info", camera_info_message(TYPES, calibrated(), 3, "camera"), 3)]
    assert usability(report_of(tmp_path / "bag", triples))["relative"].usable


def test_a_topic_that_cannot_be_decoded_is_named_and_bars_nothing(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.declare_copy(Topic("/gimbal", "acme_msgs/msg/Gimbal", 1, (), Definition("ros2msg", "float99 yaw")))
        bag.write_raw("/gimbal", b"\0\1\0\0data", 4)
        bag.write("camera/image", image(5), 5)
    with open_bag(tmp_path / "bag") as bag:
        report = inspect_bag(bag)
    assert topic(report, "/gimbal").problem == "there is no definition of acme_msgs/msg/float99"
    assert usability(report)["detection"].usable


def test_what_is_left_out_stands_in_the_report(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write("camera/image", image(5), 5)
    (tmp_path / "bag" / "metadata.yaml").write_text("")
    with open_bag(tmp_path / "bag") as bag:
        report = inspect_bag(bag)
    assert "note: metadata.yaml cannot be used (it is empty): the files are read" in describe_report(report)


def test_all_sizes_of_raw_images_are_reported(tmp_path):
    triples = [("camera/image", image(n, size), n) for n, size in ((5, (4, 6)), (6, (8, 12)), (7, (4, 6)))]
    assert topic(report_of(tmp_path / "bag", triples), "/camera/image").content == "6x4 bgr8, 12x8 bgr8"


def test_repeated_and_missing_stamps_are_counted(tmp_path):
    triples = [("camera/image", image(stamp), received) for received, stamp in ((10, 0), (20, 7), (30, 7))]
    report = report_of(tmp_path / "bag", triples)
    found = topic(report, "/camera/image")
    assert (found.repeated, found.unstamped, found.out_of_order) == (1, 1, 0)
    assert "1 headers have no stamp (0)" in describe_report(report)
    assert "1 headers repeat the stamp" in describe_report(report)


def test_of_several_cameras_one_must_be_chosen(tmp_path):
    triples = [(f"{side}/{name}", image(5, encoding=encoding), 5) for side, name, encoding in CAMERAS]
    use = usability(report_of(tmp_path / "bag", triples))["detection"]
    assert (use.usable, use.advice) == (True, "2 cameras: choose one with --image-topic")


CAMERAS = (
    ("left", "image", "bgr8"),
    ("right", "image", "bgr8"),
    ("right", "image/compressed", "compressed-png"),  # the same images, compressed
)


def test_a_topic_without_messages_is_named(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.declare("camera/image", "sensor_msgs/msg/Image")
        bag.write("words", new(TYPES, "std_msgs/msg/String", data="x"), 5)
    with open_bag(tmp_path / "bag") as bag:
        use = usability(inspect_bag(bag))["detection"]
    assert use.reason.startswith("/camera/image: no messages: check that it was published")
    assert use.advice == "record a sensor_msgs/Image or CompressedImage"


def test_depth_images_give_scale(tmp_path):
    depth = depth_message(TYPES, np.full((4, 6), 2.0, np.float32), 5, "camera")
    report = report_of(tmp_path / "bag", [("depth/image", depth, 5), ("camera/image", image(5), 5)])
    assert usability(report)["metric"].topics == ("/depth/image",)
    assert usability(report)["detection"].topics == ("/camera/image",)


@pytest.mark.parametrize(("offset_ms", "with_truth"), [(0, 3), (40, 3), (150, 2), (5000, 0)])
def test_ground_truth_is_counted_within_a_tolerance_of_image_stamps(tmp_path, offset_ms, with_truth):
    triples = []
    for number in range(3):
        stamp = (1000 + 100 * number) * MS
        triples.append(("camera/image", image(stamp), stamp))
        pose = world_pose_message(TYPES, Pose(np.zeros(3), np.array([0, 0, 0, 1.0])), stamp + offset_ms * MS, "map")
        triples += [("ground_truth/pose", pose, stamp), ("a/pose", pose, stamp)]
    truth = next(use for use in report_of(tmp_path / "bag", triples).usability if "motion" in use.purpose)
    assert truth.usable == (with_truth > 0)
    if with_truth:
        assert truth.topics == ("/ground_truth/pose", "/a/pose")
        assert f"/ground_truth/pose for {with_truth} of 3 images" in truth.advice
    else:
        assert "no image has one within 0.05 s; compare the clocks" in truth.reason


def test_a_sensor_out_of_range_is_not_usable(tmp_path):
    report = report_of(tmp_path / "bag", [("altitude", range_message(TYPES, -3.0, 5, "camera"), 5)])
    assert "not between 0 and 10000 m" in topic(report, "/altitude").problem
    assert not usability(report)["metric"].usable


def test_the_text_lists_topics_and_uses(tmp_path):
    report = report_of(tmp_path / "bag", [("camera/image", image(5, encoding="compressed-jpeg"), 5)])
    text = describe_report(report)
    assert "/camera/image  sensor_msgs/msg/CompressedImage\n    6x4 compressed, bgr8; jpeg compressed bgr8" in text
    assert "yes detection and matching: /camera/image" in text
