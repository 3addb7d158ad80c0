"""Bridges over DDS: what they say where their messages are missing, what they pass on, and what they tell of it.

Where the messages of the other package matter, plain objects take their place, and its topics are called directly.
Their content is tested in test/*/bridges.
"""

import importlib.util
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Transform
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Header

from loftr_ros.bridges import rtabmap, swarm_slam
from perception_common.resources import find_share
from yolc_ros.bridges import vision
from yolc_ros.msg import DetectionArray, Keyframe, RelativePose, TrackArray
from yolc_ros.srv import MatchKeyframes

pytestmark = pytest.mark.system

BIN = find_share().parents[1] / "lib" / "yolc_ros"


@pytest.mark.parametrize(
    ("name", "package", "install"),
    [
        ("rtabmap_bridge", "rtabmap_msgs", "apt install ros-jazzy-rtabmap-msgs"),
        ("vision_msgs_bridge", "vision_msgs", "apt install ros-jazzy-vision-msgs"),
        (  # rosdistro has no package of Swarm-SLAM
            "swarm_slam_bridge",
            "cslam_common_interfaces",
            "build Swarm-SLAM (https://github.com/MISTLab/Swarm-SLAM, no apt package) in a workspace",
        ),
    ],
)
def test_a_bridge_without_its_messages_says_in_one_line_what_to_install(name, package, install):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    told = subprocess.run([sys.executable, BIN / name], capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 1
    assert told.stderr.strip().splitlines() == [
        f"{name}: {package} is not installed: {install}, and source its setup first"
    ]


class Outlet:
    """Takes the place of a publisher or client of a type that is not installed."""

    srv_name = "/rtabmap/rtabmap/add_link"

    def __init__(self):
        self.sent = []

    def publish(self, message):
        self.sent.append(message)

    def call_async(self, request):
        self.sent.append(request)

    def service_is_ready(self):
        return True


@pytest.fixture
def bridge(bench, monkeypatch):
    """Start a bridge of a module beside the bench, with messages in place of those that are not installed."""
    executor = SingleThreadedExecutor()
    made = []

    def make(module, kind, **messages):
        monkeypatch.setattr(module, "load_messages", lambda *_: SimpleNamespace(**messages))
        node = kind()
        made.append(node)
        executor.add_node(node)
        return node

    def until(condition, what):
        bench.until(lambda: executor.spin_once(timeout_sec=0.05) or condition(), 30, what)

    yield SimpleNamespace(make=make, until=until)
    for node in made:
        node.destroy_node()


def callback_of(node, topic):
    (found,) = (each.callback for each in node.subscriptions if each.topic_name == topic)
    return found


def metric_pose(older, newer, **fields):
    """A relative pose between keyframes at two whole seconds, one metre along x."""
    given = {"geometry": 1, "scale_status": 1, "inliers": 100, **fields}
    message = RelativePose(header=Header(frame_id="camera"), **given)
    message.older_stamp.sec, message.newer_stamp.sec = older, newer
    message.pose.pose.position.x = message.pose.pose.orientation.w = 1.0
    message.pose.covariance = np.eye(6).ravel()
    return message


def at(seconds):
    header = Header()
    header.stamp.sec = seconds
    return header


def test_rtabmap_gets_loops_like_other_links_each_once(bench, bridge, monkeypatch):
    calls = Outlet()
    monkeypatch.setattr(rtabmap.RtabmapBridge, "create_client", lambda *_: calls)
    link = lambda: SimpleNamespace(transform=Transform())  # noqa: E731
    request = SimpleNamespace(Request=lambda: SimpleNamespace(link=link()))
    node = bridge.make(rtabmap, rtabmap.RtabmapBridge, Info=Keyframe, AddLink=request)
    poses = bench.node.create_publisher(RelativePose, "loftr/relative_pose", 10)
    bridge.until(lambda: poses.get_subscription_count(), "a subscription")
    unscaled = metric_pose(20, 50, loop=True, scale_status=0)
    twice = metric_pose(10, 50, loop=True)
    for message in (metric_pose(30, 50), metric_pose(40, 50), unscaled, twice, twice):
        poses.publish(message)
    bridge.until(lambda: bench.diagnosis("/rtabmap_bridge").get("loops received") == "3", "three loops")
    for node_id, seconds in enumerate((10, 20, 30, 40, 50), 1):
        callback_of(node, "/rtabmap/info")(SimpleNamespace(header=at(seconds), ref_id=node_id))
    assert sorted((each.link.from_id, each.link.to_id) for each in calls.sent) == [(1, 5), (3, 5)]
    bridge.until(lambda: bench.diagnosis("/rtabmap_bridge")["loops passed on"] == "1", "the counts")
    told = bench.diagnosis("/rtabmap_bridge")
    assert (told["relative poses received"], told["relative poses passed on"]) == ("2", "1")
    assert told["relative poses refused: both keyframes are at one node of RTAB-Map or at two neighbours"] == "1"
    assert told["loops refused: RTAB-Map has a link between both nodes already"] == "1"
    assert told["loops refused"] == "2"
    assert told["waiting for"] == "/rtabmap/info"


def test_swarm_slam_gets_loops_unasked_and_no_pair_twice(bench, bridge, monkeypatch):
    closures = Outlet()
    create = swarm_slam.SwarmSlamBridge.create_publisher
    monkeypatch.setattr(
        swarm_slam.SwarmSlamBridge,
        "create_publisher",
        lambda self, kind, topic, *rest: closures if topic.startswith("cslam") else create(self, kind, topic, *rest),
    )
    closure = lambda: SimpleNamespace(transform=Transform())  # noqa: E731
    node = bridge.make(
        swarm_slam,
        swarm_slam.SwarmSlamBridge,
        IntraRobotLoopClosure=closure,
        KeyframeOdom=Keyframe,
        LocalKeyframeMatch=Keyframe,
    )

    def match(request, response):
        """Answers as loftr_node: keyframes 7 and 8 of ours are at 10 and 50 s, 9 at 60 s."""
        stamps = {7: 10, 8: 50, 9: 60}
        response.success = True
        response.relative_pose = metric_pose(stamps[request.older_id], stamps[request.newer_id])
        return response

    service = bench.node.create_service(MatchKeyframes, "match_keyframes", match)
    poses = bench.node.create_publisher(RelativePose, "loftr/relative_pose", 10)
    keyframes = bench.node.create_publisher(Keyframe, "loftr/keyframe", 10)
    bridge.until(lambda: poses.get_subscription_count() and keyframes.get_subscription_count(), "subscriptions")
    for message in (metric_pose(30, 50), metric_pose(10, 50, loop=True), metric_pose(50, 10, loop=True)):
        poses.publish(message)
    for own_id, seconds in ((7, 10), (8, 50), (9, 60)):
        keyframes.publish(Keyframe(header=at(seconds), id=own_id))
    bridge.until(lambda: bench.diagnosis("/swarm_slam_bridge").get("loops received") == "2", "two loops")
    for keyframe_id, seconds in enumerate((10, 50, 60)):
        odometry = SimpleNamespace(header=at(seconds))
        callback_of(node, "/cslam/keyframe_odom")(SimpleNamespace(odom=odometry, id=keyframe_id))
    (loop,) = closures.sent
    assert (loop.keyframe0_id, loop.keyframe1_id, loop.success) == (0, 1, True)
    assert loop.transform.translation.x == pytest.approx(1.0)

    for pair in ((0, 1), (2, 0)):
        request = SimpleNamespace(keyframe0_id=pair[0], keyframe1_id=pair[1])
        callback_of(node, "/cslam/local_keyframe_match")(request)
    bridge.until(lambda: len(closures.sent) == 3, "answers to both requests")
    answers = {(each.keyframe0_id, each.keyframe1_id): each for each in closures.sent[1:]}
    assert not answers[0, 1].success  # the back end has it already
    assert answers[2, 0].success
    assert answers[2, 0].transform.translation.x == pytest.approx(-1.0)

    bridge.until(lambda: bench.diagnosis("/swarm_slam_bridge")["requests passed on"] == "1", "the counts")
    told = bench.diagnosis("/swarm_slam_bridge")
    repeated = "refused: Swarm-SLAM has a loop closure of both keyframes already"
    assert (told["loops passed on"], told[f"loops {repeated}"]) == ("1", "1")
    assert (told["requests received"], told[f"requests {repeated}"]) == ("2", "1")
    bench.node.destroy_service(service)


def test_the_bridge_of_detections_counts_them_and_their_tracks(bench, bridge, monkeypatch):
    monkeypatch.setattr(vision, "detections_2d", lambda message, *_: message)
    bridge.make(vision, vision.VisionMsgsBridge, Detection2DArray=DetectionArray)
    detections = bench.node.create_publisher(DetectionArray, "yolc/detections", 10)
    tracks = bench.node.create_publisher(TrackArray, "yolc/tracks", 10)
    bridge.until(lambda: detections.get_subscription_count() and tracks.get_subscription_count(), "subscriptions")

    def told(key):
        return bench.diagnosis("/vision_msgs_bridge").get(key)

    for number, stamps in enumerate(((1, 1), (2, 7), (3, None)), 1):  # of detections and tracks
        if stamps[1] is not None:
            tracks.publish(TrackArray(header=at(stamps[1])))
            bridge.until(lambda: told("tracks received") == str(min(number, 2)), "the tracks")  # noqa: B023
        detections.publish(DetectionArray(header=at(stamps[0])))
        bridge.until(lambda: told("detections passed on") == str(number), "the detections")  # noqa: B023
    assert told("tracks passed on") == "1"
    assert told("tracks refused: the next detections have another stamp or frame") == "1"
    assert bench.diagnostics["/vision_msgs_bridge"].level == DiagnosticStatus.OK
