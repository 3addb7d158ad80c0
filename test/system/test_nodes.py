"""What the nodes do with cameras as they are in the field."""

import contextlib
import time

import cv2
import numpy as np
import pytest
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from perception_common.images.conversion import fill_image
from replay_ros.live.processes import stop

pytestmark = pytest.mark.system
FAILED = 0


def by_stamp(messages):
    return {message.header.stamp.sec: message for message in messages}


def test_camera_info_missing_late_and_of_another_size(bench, start, picture):
    start("loftr_node", processing_mode="every", match_threshold=0.001, max_interval=0.0)
    bench.listen()
    camera = bench.camera()
    camera.wait_for(1)
    poses = bench.received["/loftr/relative_pose"]

    camera.send(picture(), info=False)
    first = camera.send(picture(), info=False)
    bench.until(lambda: len(poses) == 1)
    assert poses[0].geometry == FAILED
    assert "camera_info" in poses[0].reason
    bench.until(lambda: any("no camera_info on /camera_info" in p for p in bench.problems("/loftr_node")))

    camera.send_info(first, 320, 240)  # late: after its image
    bench.until(lambda: bench.node.count_subscribers("/camera_info"))
    camera.send(picture(), info=False)
    bench.until(lambda: len(poses) >= 3)
    assert "camera_info" not in poses[-1].reason
    bench.until(lambda: not any("camera_info" in p for p in bench.problems("/loftr_node")))

    header = camera.next_header()
    camera.send_info(header, 640, 480)  # of another camera
    camera.send(picture(), info=False)
    bench.until(lambda: any("is for 640x480, the image is 320x240" in p for p in bench.problems("/loftr_node")))
    assert "camera_info" not in poses[-1].reason  # the calibration of the right size is still used


def test_the_image_size_may_change_in_flight(bench, start, picture):
    start("perception", processing_mode="every", match_threshold=0.001, max_interval=0.0)
    bench.listen()
    camera = bench.camera()
    camera.wait_for(2)
    sizes = [(240, 320), (240, 320), (123, 257), (480, 640), (60, 80)]
    for size in sizes:
        camera.send(picture(*size))
    arrays = bench.received["/yolc/detections"]
    bench.until(lambda: len(arrays) == len(bench.received["/loftr/status"]) == len(sizes))
    assert [(array.image_height, array.image_width) for array in arrays] == sizes


def test_encodings_give_the_same_answers(bench, start, picture):
    """A gray scene looks the same in every encoding, so that the answers must agree."""
    start("perception", processing_mode="every", match_threshold=0.001, max_interval=0.0)
    bench.listen()
    camera = bench.camera()
    camera.wait_for(2)
    gray = picture()
    rgb = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)
    flat = np.full_like(gray, 90)
    padded = np.zeros((240, 3 * 320 + 7), np.uint8)
    padded[:, : 3 * 320] = rgb.reshape(240, -1)
    for encoding, data, step in (
        ("mono8", gray, 320),
        ("bgr8", rgb, 960),
        ("rgb8", padded, 967),
        ("bayer_rggb8", flat, 320),
        ("bayer_gbrg8", flat, 320),
    ):
        message = Image(header=camera.next_header(), height=240, width=320, encoding=encoding, step=step)
        message.data.frombytes(np.ascontiguousarray(data).tobytes())
        camera.images.publish(message)
    bad = Image(header=camera.next_header(), height=240, width=320, encoding="telepathic8", step=320)
    bad.data.frombytes(gray.tobytes())
    camera.images.publish(bad)
    last = camera.send(gray)

    arrays, statuses = bench.received["/yolc/detections"], bench.received["/loftr/status"]
    bench.until(lambda: len(arrays) == len(statuses) == 6)
    assert by_stamp(arrays).keys() == by_stamp(statuses).keys()
    assert bad.header.stamp.sec not in by_stamp(arrays)
    assert arrays[0].detections == arrays[1].detections == arrays[2].detections == arrays[-1].detections
    assert arrays[3].detections == arrays[4].detections
    for node in ("/yolc_node", "/loftr_node"):
        bench.until(lambda name=node: "telepathic8" in bench.diagnosis(name).get("last refusal", ""))
        assert bench.diagnosis(node)["images refused"] == "1"
    assert arrays[-1].header == last


def test_compressed_images(bench, start, picture):
    start("perception", image_transport="compressed", processing_mode="every")
    bench.listen()
    camera = bench.camera()
    publisher = bench.node.create_publisher(CompressedImage, "/image/compressed", 10)
    bench.wait_until_matched(publisher, 2)
    for suffix in ("png", "jpeg"):
        message = CompressedImage(header=camera.next_header(), format=suffix)
        message.data.frombytes(cv2.imencode(f".{suffix}", picture())[1].tobytes())
        publisher.publish(message)
    bench.until(lambda: len(bench.received["/yolc/detections"]) == len(bench.received["/loftr/status"]) == 2)


def test_sift_in_place_of_the_network(bench, start, picture):
    start("loftr_node", model="sift", processing_mode="every", max_interval=0.0)
    bench.listen()
    camera = bench.camera()
    camera.wait_for(1)
    scene = picture(240, 400)
    for left in (0, 20, 40):
        camera.send(scene[:, left : left + 320].copy())
    pairs = bench.received["/loftr/correspondences"]
    bench.until(lambda: len(pairs) == 3)
    for pair in pairs:
        shift = 20 * (pair.newer.id - pair.older.id)
        assert (pair.model, pair.trained) == ("sift", True)
        assert len(pair.x0) > 30
        np.testing.assert_allclose(np.median(np.array(pair.x0) - pair.x1), shift, atol=0.5)
    bench.until(lambda: bench.diagnosis("/loftr_node").get("model") == "sift")


def test_two_cameras_in_two_namespaces(bench, start, picture):
    cameras = {}
    for namespace in ("/left", "/right"):
        start("perception", "-r", f"__ns:={namespace}", processing_mode="every")
        bench.listen(namespace)
        cameras[namespace] = bench.camera(namespace)
    sent = {}
    for number, (namespace, camera) in enumerate(cameras.items()):
        camera.wait_for(2)
        camera.stamp += 100 * number
        sent[namespace] = [camera.send(picture(seed=number)).stamp.sec for _ in range(3)]
    for namespace, stamps in sent.items():
        for topic in ("yolc/detections", "loftr/status"):
            received = bench.received[f"{namespace}/{topic}"]
            bench.until(lambda messages=received: len(messages) >= 3)
            assert [message.header.stamp.sec for message in received] == stamps
    bench.until(lambda: {"/left/yolc_node", "/right/loftr_node"} <= bench.diagnostics.keys())


def test_parameters_change_while_running(bench, start, picture):
    start("perception", processing_mode="every", match_threshold=0.001, max_interval=0.0)
    bench.listen()
    camera = bench.camera()
    camera.wait_for(2)
    pairs = bench.received["/loftr/correspondences"]
    for _ in range(2):
        camera.send(picture())
    bench.until(lambda: len(pairs) == 1)
    assert len(pairs[0].x0) > 5

    (result,) = bench.set_parameters("/loftr_node", max_matches=5)
    assert result.successful
    camera.send(picture())
    bench.until(lambda: len(pairs) >= 2)
    assert len(pairs[1].x0) == 5

    (result,) = bench.set_parameters("/loftr_node", match_threshold=2.0)
    assert not result.successful
    (result,) = bench.set_parameters("/loftr_node", lost_matches=1000)
    assert not result.successful
    assert "min_matches" in result.reason
    (result,) = bench.set_parameters("/yolc_node", model="yolc_w48")
    assert not result.successful
    assert "clean it up first" in result.reason


def test_the_life_cycle_through_its_services(bench, start, picture):
    CONFIGURE, CLEANUP, ACTIVATE, DEACTIVATE = 1, 2, 3, 4
    start("yolc_node", autostart="false")
    bench.listen()
    camera = bench.camera()
    assert bench.state("/yolc_node") == "unconfigured"
    for _ in range(2):
        assert bench.transition("/yolc_node", CONFIGURE)
        assert bench.transition("/yolc_node", ACTIVATE)
        camera.wait_for(1)
        bench.until(lambda: bench.node.count_publishers("/yolc/detections"))
        bench.clear()
        header = camera.send(picture())
        bench.until(lambda: bench.received["/yolc/detections"])
        assert bench.received["/yolc/detections"][0].header == header
        assert bench.transition("/yolc_node", DEACTIVATE)
        bench.until(lambda: camera.images.get_subscription_count() == 0)
        assert bench.transition("/yolc_node", CLEANUP)
        assert bench.state("/yolc_node") == "unconfigured"


def test_transitions_that_no_state_allows_are_refused_and_both_nodes_live(bench, start, picture):
    process = start("perception", processing_mode="every")
    bench.listen()
    camera = bench.camera()
    camera.wait_for(2)
    for node in ("/yolc_node", "/loftr_node"):
        for number in (1, 3, 3, 2, 0, 5, 6, 8, 77):  # an active node can only be deactivated (4) and shut down (7)
            assert not bench.transition(node, number)
        assert bench.state(node) == "active"
    header = camera.send(picture())
    bench.until(lambda: bench.received["/yolc/detections"] and bench.received["/loftr/status"])
    assert bench.received["/loftr/status"][0].header == header
    log = process.log.read_text()
    assert "Traceback" not in log
    assert log.count("transition number 3 is not allowed in state active: refused") == 2  # once for each node


def test_weights_that_cannot_be_loaded_are_one_line_and_can_be_corrected(bench, start, tmp_path):
    CONFIGURE = 1
    process = start("yolc_node", weights=tmp_path / "nowhere.safetensors")
    bench.until(lambda: "nowhere.safetensors" in bench.diagnostics.get("/yolc_node", Missing).message)
    assert bench.state("/yolc_node") == "unconfigured"
    assert b"Traceback" not in process.log.read_bytes()
    (result,) = bench.set_parameters("/yolc_node", weights="none")
    assert result.successful
    assert bench.transition("/yolc_node", CONFIGURE)


class Missing:
    message = ""


@pytest.mark.parametrize("executable", ["yolc_node", "loftr_node", "perception"])
def test_sigint_ends_a_node_cleanly(bench, start, executable, picture):
    process = start(executable)
    camera = bench.camera()
    camera.wait_for(1)
    camera.send(picture())
    assert stop(process) == 0
    assert b"Traceback" not in process.log.read_bytes()


def test_an_incompatible_qos_is_said_and_can_be_overridden(bench, start, picture):
    best_effort = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    start("yolc_node", **{"qos_overrides./image.subscription.reliability": "reliable"})
    camera = bench.camera(qos=best_effort)
    bench.until(lambda: bench.diagnosis("/yolc_node").get("state") == "active", 90)
    problem = bench.until(lambda: [p for p in bench.problems("/yolc_node") if "incompatible QoS" in p])[0]
    assert "/image " in problem
    assert "qos_overrides./image.subscription.reliability" in problem
    assert camera.images.get_subscription_count() == 0


def test_a_wrong_parameter_ends_the_start_with_one_line(start):
    process = start("yolc_node", lsm="sometimes")
    assert process.wait(60) == 1
    assert "choose one of none" in process.log.read_text().splitlines()[-1]


@pytest.mark.alone
def test_1080p_at_30_hz_best_effort_arrives_without_loss(bench, start, picture):
    """Whatever the network costs: most images are skipped by min_interval. A busy machine gets three attempts."""
    start("loftr_node", processing_mode="every", min_interval=50.0, max_interval=60.0, queue_size=200)
    camera = bench.camera(qos=QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT))
    camera.wait_for(1)
    image = np.ascontiguousarray(np.repeat(picture(1080, 1920)[:, :, None], 3, axis=2))
    message = Image()
    fill_image(message, image, camera.next_header())
    sent = 0

    def publish():
        nonlocal sent
        sent += 1
        message.header.stamp.nanosec = sent * 1000
        camera.images.publish(message)

    def count(what):
        return int(bench.diagnosis("/loftr_node").get(what, 0))

    def has_begun():
        publish()
        with contextlib.suppress(AssertionError):
            bench.until(lambda: count("images answered"), 3)
        return count("images answered")

    bench.until(has_begun)
    for _ in range(3):
        with contextlib.suppress(AssertionError):
            bench.until(lambda: False, 2)  # until the diagnostics have counted what came before
        before = count("images received")
        due = time.monotonic()
        for _ in range(90):
            publish()
            due += 1 / 30
            time.sleep(max(0.0, due - time.monotonic()))
        with contextlib.suppress(AssertionError):
            bench.until(lambda expected=before + 90: count("images received") == expected, 5)
            break
    assert count("images received") - before == 90
    bench.until(lambda: count("images answered") == count("images received"), 30)
    assert count("images dropped") == 0
