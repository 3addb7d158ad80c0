"""Live replay of a small simulated flight: the answers of the offline replay, the peak rate, and what goes wrong."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import cv2
import numpy as np
import psutil
import pytest

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.flight_path import FlightPathOptions
from flight_sim.scene import SceneOptions
from perception_common.errors import InputError
from perception_common.images.conversion import to_gray
from perception_common.resources import find_share
from replay_ros.bags.datasets.calibration import uncalibrated, unrectified_calibration
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.bags.messages import camera_info_message, header, image_message, new, stamp_of
from replay_ros.bags.reader import open_bag
from replay_ros.bags.topic_choice import IMAGE
from replay_ros.bags.writer import BagWriter
from replay_ros.live.replay import LiveOptions, replay_live
from replay_ros.offline.replay import OfflineOptions, replay_offline
from replay_ros.result.completeness import missing_answers
from replay_ros.result.peak_rate import PeakSearch
from replay_ros.result.replay_result import node_latencies, read_result, write_result

pytestmark = pytest.mark.system
REPLAY = find_share().parents[1] / "lib" / "yolc_ros" / "replay"
FLIGHT = FlightOptions(
    scene=SceneOptions(side=128.0, urbanity=0.6),
    path=FlightPathOptions(kind="survey", duration_s=3.0, altitude_m=30.0, pitch_deg=-80.0),
    camera=CameraOptions(width=256, height=192),
    frame_rate_hz=1.0,
)
PARAMETERS = """
/**/yolc_node: {ros__parameters: {score_threshold: 0.05, weights: none, precision: fp32, device: cpu}}
/**/loftr_node:
  ros__parameters:
    {max_side: 256, altitude: range, use_odometry: true, gimbal: pitch, gimbal_pitch: -80.0, precision: fp32,
     device: cpu}
"""


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    """(bag, parameter file)."""
    folder = tmp_path_factory.mktemp("flight")
    write_flight(FlightBagOptions(folder / "flight", seed=5, flight=FLIGHT))
    (folder / "parameters.yaml").write_text(PARAMETERS)
    return folder / "flight", folder / "parameters.yaml"


@pytest.fixture(scope="module")
def live(flight, tmp_path_factory):
    """The options of a live replay in lockstep, and its result."""
    bag, parameters = flight
    folder = tmp_path_factory.mktemp("live")
    options = LiveOptions(bag, folder / "answers", params_file=parameters, node_log=folder / "nodes.log")
    return options, replay_live(options)


@pytest.fixture(scope="module")
def offline(flight, tmp_path_factory):
    options = OfflineOptions(flight[0], tmp_path_factory.mktemp("offline") / "answers", flight[1])
    replay_offline(options)
    return options


def messages(bag, topic):
    with open_bag(bag) as opened:
        return [item.message for item in opened.messages([topic])]


def both(live, offline, topic):
    """Pairs of messages that both replays wrote, in order."""
    of_live, of_cores = messages(live[0].out, topic), messages(offline.out, topic)
    assert len(of_live) == len(of_cores) > 0
    assert [stamp_of(message) for message in of_live] == [stamp_of(message) for message in of_cores]
    return list(zip(of_live, of_cores, strict=True))


def test_live_and_offline_find_the_same_boxes(live, offline):
    for a, b in both(live, offline, "/yolc/detections"):
        boxes = [[(d.center_x, d.center_y, d.size_x, d.size_y, d.score) for d in m.detections] for m in (a, b)]
        assert [d.class_id for d in a.detections] == [d.class_id for d in b.detections]
        np.testing.assert_allclose(*boxes, rtol=1e-4, atol=1e-3)


def test_live_and_offline_give_the_same_ids(live, offline):
    for a, b in both(live, offline, "/yolc/tracks"):
        for name in ("track_id", "status", "confirmed", "hits"):
            assert [getattr(each, name) for each in a.tracks] == [getattr(each, name) for each in b.tracks]
        places = [
            [(t.detection.center_x, t.detection.center_y, t.velocity_x, t.velocity_y) for t in m.tracks] for m in (a, b)
        ]
        np.testing.assert_allclose(*places, rtol=1e-3, atol=1e-2)
        assert a.camera_known == b.camera_known


def test_live_and_offline_make_the_same_keyframes_and_matches(live, offline):
    for a, b in both(live, offline, "/loftr/keyframe"):
        assert a.id == b.id
    for a, b in both(live, offline, "/loftr/correspondences"):
        assert (a.older.id, a.newer.id) == (b.older.id, b.newer.id)
        for name in ("x0", "y0", "x1", "y1", "confidence"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-3)


def test_live_and_offline_take_the_same_scale_from_the_sensors(live, offline):
    pairs = both(live, offline, "/loftr/relative_pose")
    for a, b in pairs:
        assert (a.geometry, a.scale_status, a.scale_reason) == (b.geometry, b.scale_status, b.scale_reason)
        p, q = a.pose.pose, b.pose.pose
        np.testing.assert_allclose(
            [p.position.x, p.position.y, p.position.z, p.orientation.x, p.orientation.y, p.orientation.z],
            [q.position.x, q.position.y, q.position.z, q.orientation.x, q.orientation.y, q.orientation.z],
            atol=1e-4,
        )
    assert any(a.scale_status for a, _ in pairs)  # some reading came through


def test_live_and_offline_give_the_same_odometry(live, offline):
    for a, b in both(live, offline, "/loftr/odometry"):
        assert (a.header.frame_id, a.child_frame_id) == (b.header.frame_id, b.child_frame_id)
        p, q = a.pose.pose.position, b.pose.pose.position
        np.testing.assert_allclose([p.x, p.y, p.z], [q.x, q.y, q.z], atol=1e-3)
        v, w = a.twist.twist.linear, b.twist.twist.linear
        np.testing.assert_allclose([v.x, v.y, v.z], [w.x, w.y, w.z], atol=1e-3)
        for name in ("pose", "twist"):
            np.testing.assert_allclose(getattr(a, name).covariance, getattr(b, name).covariance, rtol=1e-2, atol=1e-6)


def test_sift_is_the_same_live_and_offline(flight, tmp_path):
    parameters = tmp_path / "sift.yaml"
    parameters.write_text("/**/loftr_node: {ros__parameters: {model: sift, altitude: range}}")
    live = LiveOptions(flight[0], tmp_path / "live", params_file=parameters, node_log=tmp_path / "log", detection=False)
    offline = OfflineOptions(flight[0], tmp_path / "offline", parameters, detection=False)
    replay_live(live)
    replay_offline(offline)
    for a, b in both((live, None), offline, "/loftr/correspondences"):
        assert a.model == b.model == "sift"
        for name in ("x0", "y0", "x1", "y1", "confidence", "id0", "id1"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("intensity", ["percentile", "clahe"])
def test_images_of_12_bits_are_shown_the_same_live_and_offline(flight, tmp_path, intensity):
    """The exposure changes from image to image, so that each is shown in a window that depends on those before."""
    with open_bag(flight[0]) as source, BagWriter(tmp_path / "deep", "mcap") as bag:
        for item in source.messages(["/camera/camera_info"]):
            bag.write("/camera/camera_info", item.message, item.stamp_ns)
        for exposure, item in enumerate(source.messages(["/camera/image"]), start=6):
            gray = to_gray(item.message).astype(np.uint16) * exposure
            head = header(bag.types, item.stamp_ns, "camera_optical")
            fields = {"is_bigendian": 0, "encoding": "mono16", "step": 2 * gray.shape[1], "header": head}
            pixels = gray.ravel().view(np.uint8)
            picture = new(bag.types, IMAGE, height=gray.shape[0], width=gray.shape[1], data=pixels, **fields)
            bag.write("/camera/image", picture, item.stamp_ns)
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text(f"""
/**/yolc_node: {{ros__parameters: {{score_threshold: 0.05, weights: none, device: cpu, intensity: {intensity}}}}}
/**/loftr_node: {{ros__parameters: {{model: sift, intensity: {intensity}}}}}
""")
    live = LiveOptions(tmp_path / "deep", tmp_path / "live", params_file=parameters, node_log=tmp_path / "log")
    offline = OfflineOptions(tmp_path / "deep", tmp_path / "offline", parameters)
    replay_live(live)
    replay_offline(offline)
    for a, b in both((live, None), offline, "/loftr/correspondences"):
        for name in ("x0", "y0", "x1", "y1", "confidence", "id0", "id1"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for a, b in both((live, None), offline, "/yolc/detections"):
        boxes = [[(d.center_x, d.center_y, d.size_x, d.size_y, d.score) for d in m.detections] for m in (a, b)]
        np.testing.assert_allclose(*boxes, rtol=1e-4, atol=1e-3)
    assert (tmp_path / "log").read_text().count("mono16 images: the values") == 2  # once for each node


def test_the_result_has_the_times_of_each_node(live, tmp_path):
    _, result = live
    assert [(node.node, node.unanswered) for node in result.answers] == [("yolc_node", ()), ("loftr_node", ())]
    assert missing_answers(result) == ()
    assert result.timing.peak is None
    write_result(tmp_path / "result.json", result)
    assert read_result(tmp_path / "result.json") == result
    latency = node_latencies(result)
    assert set(latency) == {"/yolc_node", "/loftr_node"}
    for stages in latency.values():
        assert stages["conversion"]["p50_ms"] <= stages["conversion"]["p95_ms"] <= stages["conversion"]["p99_ms"]


def test_the_peak_rate_is_searched_through_the_same_nodes(flight, tmp_path):
    bag, parameters = flight
    search = PeakSearch(max_loss=0.05, budget_s=25.0, precision=0.2)
    result = replay_live(
        LiveOptions(
            *(bag, tmp_path / "answers", "rate", 4.0),
            params_file=parameters,
            matching=False,
            node_log=tmp_path / "nodes.log",
            peak=search,
        )
    )
    peak = result.timing.peak
    assert peak.trials
    assert all(trial.loss <= 0.05 for trial in peak.trials if peak.rate_hz and trial.rate_hz <= peak.rate_hz)
    assert peak.is_bounded == any(trial.loss > 0.05 for trial in peak.trials)
    # The bag holds the replay and nothing of the search.
    assert len(messages(tmp_path / "answers", "/camera/image")) == result.frames == 4
    assert len(messages(tmp_path / "answers", "/yolc/detections")) <= 4
    write_result(tmp_path / "result.json", result)
    assert read_result(tmp_path / "result.json") == result
    assert (tmp_path / "nodes.log").read_text().count("waiting for images") == 1


@contextmanager
def slow_replay(flight, out, bench):
    """A replay with 50 s between images, detection only; its node, and the number of images that were answered.

    That is 1, or 2 where DDS matched this listener too late for the first answer. The diagnostics do not tell: their
    timer waits for the simulated clock, which goes on with the second image.
    """
    bag, parameters = flight
    bench.listen()
    command = [sys.executable, REPLAY, bag, out, "--live", "--rate", "0.02", "--params-file", parameters]
    replay = subprocess.Popen(
        [*map(str, command), "--no-report", "--no-matching"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    nodes = []
    try:
        bench.until(lambda: bench.received["/yolc/detections"] or replay.poll(), 120, "an answer")
        nodes = psutil.Process(replay.pid).children()
        (node,) = nodes
        time.sleep(1.0)  # until the replay has the answer, too
        answered = stamp_of(bench.received["/yolc/detections"][-1])
        yield replay, node, [stamp_of(image) for image in messages(bag, "/camera/image")].index(answered) + 1
    finally:
        replay.kill()
        left = [node for node in nodes if node.is_running()]
        for node in left:
            node.kill()
    assert not left


def assert_answers_are_kept(out, images):
    """Check what an early end after so many images leaves."""
    result = read_result(out.with_name(f"{out.name}.json"))
    (node,) = result.answers
    assert (result.frames, node.answered) == (images, images)
    assert len(messages(out, "/yolc/detections")) == len(messages(out, "/camera/image")) == images
    assert sorted(path.name for path in out.parent.iterdir()) == ["out", "out.json", "out.nodes.log"]


def test_nodes_that_die_end_the_replay_and_the_answers_so_far_are_kept(flight, tmp_path, bench):
    with slow_replay(flight, tmp_path / "out", bench) as (replay, node, images):
        os.kill(node.pid, signal.SIGKILL)
        _, said = replay.communicate(timeout=60)
    assert replay.returncode == 3
    assert f"stopped after {images} images" in said.splitlines()[-1]
    assert f"by signal 9: look at {tmp_path / 'out.nodes.log'}" in said.splitlines()[-1]
    assert_answers_are_kept(tmp_path / "out", images)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_replay_within_seconds_and_keeps_the_answers(flight, tmp_path, bench, number):
    with slow_replay(flight, tmp_path / "out", bench) as (replay, _, images):
        start = time.monotonic()
        replay.send_signal(number)
        replay.send_signal(number)  # a terminal and `ros2 launch` send one each
        _, said = replay.communicate(timeout=60)
        seconds = time.monotonic() - start
    assert replay.returncode == 130
    assert f"stopped after {images} images: it was interrupted" in said.splitlines()[-1]
    assert_answers_are_kept(tmp_path / "out", images)
    assert seconds < 8.0  # 1.7 s on a machine of two cores with a load of 8, and for the end of the interpreter


def test_live_and_offline_count_the_same_of_an_odd_bag(tmp_path):
    """A camera that publishes zeros first, an image that is cut, stamps that repeat, start over and are missing."""
    picture = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (300, 700, 3)).astype(np.uint8), (0, 0), 1.5)
    stamps = [1, 1, 2, 3, 1, 2, 0, 0]
    K = np.array([[220.0, 0, 119.5], [0, 220.0, 89.5], [0, 0, 1]])
    with BagWriter(tmp_path / "flight") as bag:
        for number, stamp in enumerate(stamps):
            received = number * 10**9
            of_camera = uncalibrated(240, 180) if number < 3 else unrectified_calibration(240, 180, K, [0.0] * 5)
            info = camera_info_message(bag.types, of_camera, stamp * 10**9, "camera")
            bag.write("/camera/camera_info", info, received)
            view = picture[60:240, 40 * number : 40 * number + 240]
            image = image_message(bag.types, view, "compressed-jpeg", stamp * 10**9, "camera")
            if number in (0, 6):
                image.data = image.data[: len(image.data) // 2]
            bag.write("/camera/image/compressed", image, received)
    (tmp_path / "p.yaml").write_text("/**/loftr_node: {ros__parameters: {model: sift}}")
    bag, parameters = tmp_path / "flight", tmp_path / "p.yaml"
    live = replay_live(
        LiveOptions(bag, tmp_path / "live", params_file=parameters, detection=False, node_log=tmp_path / "log")
    )
    offline = replay_offline(OfflineOptions(bag, tmp_path / "offline", parameters, detection=False))
    assert live.answers == offline.answers
    (node,) = live.answers
    assert (node.images, node.answered, node.refused[0].images) == (8, 6, (0, 6))
    assert (live.stamps, live.pairs_without_camera) == (offline.stamps, offline.pairs_without_camera)
    assert live.pairs_without_camera == 0
    assert missing_answers(live) == missing_answers(offline) != ()
    of_live, of_cores = (messages(tmp_path / name, "/loftr/status") for name in ("live", "offline"))
    assert [(a.decision, a.keyframe_id, a.reason) for a in of_live] == [
        (b.decision, b.keyframe_id, b.reason) for b in of_cores
    ]


def test_nodes_that_do_not_answer_in_time_are_named(flight, tmp_path):
    bag, parameters = flight
    hasty = LiveOptions(
        bag, tmp_path / "out", params_file=parameters, answer_timeout=1e-3, node_log=tmp_path / "nodes.log"
    )
    with pytest.raises(InputError, match=r"did not answer image 1 within 0\.001 s .*nodes\.log"):
        replay_live(hasty)
    children = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    assert not [child for child in children if "perception" in " ".join(child.cmdline())]
