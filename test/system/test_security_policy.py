"""config/security/policy.xml allows what the running nodes do, and nothing else."""

import contextlib
import importlib.util
from types import SimpleNamespace
from xml.etree import ElementInclude, ElementTree

import pytest

from loftr_ros.bridges import rtabmap, swarm_slam
from loftr_ros.sensors.topics import DEPTH, DETECTIONS, ODOMETRY
from perception_common.resources import find_config
from perception_common.sensors.topics import ALTITUDES, IMU
from yolc_ros.bridges import vision
from yolc_ros.msg import DetectionArray, Keyframe
from yolc_ros.srv import MatchKeyframes

pytestmark = pytest.mark.system

POLICY = find_config("security/policy.xml")
KINDS = {  # attribute of the policy: the function of rclpy that tells the same of a running node
    "publish": "get_publisher_names_and_types_by_node",
    "subscribe": "get_subscriber_names_and_types_by_node",
    "reply": "get_service_names_and_types_by_node",
    "request": "get_client_names_and_types_by_node",
}
TF = {("subscribe", "/tf"), ("subscribe", "/tf_static")}


def enclaves():
    tree = ElementTree.parse(POLICY)
    ElementInclude.include(tree.getroot(), base_url=str(POLICY))
    return {each.get("path"): each.findall("profiles/profile") for each in tree.iter("enclave")}


def allowed(node, namespace=""):
    """What the policy allows a node in a namespace, as (kind, full name)."""
    (profile,) = (each for each in enclaves()[f"/yolc_ros/{node}"] if each.get("node") == node)
    assert profile.get("ns") == "/"
    found = set()
    for rules in profile:
        for kind in KINDS:
            if rules.get(kind) == "ALLOW":
                names = [each.text.replace("~", f"{namespace}/{node}", 1) for each in rules]
                found |= {(kind, name if name.startswith("/") else f"{namespace}/{name}") for name in names}
    return found


def observed(observer, node, namespace=""):
    """What a running node does, as (kind, full name); empty while it is not known."""
    if (node, namespace or "/") not in observer.get_node_names_and_namespaces():
        return set()
    return {(kind, name) for kind, ask in KINDS.items() for name, _ in getattr(observer, ask)(node, namespace or "/")}


def not_here(node, namespace=""):
    """What a node does only where a package is installed that is missing here."""
    missing = set()
    if not importlib.util.find_spec("vision_msgs") and node == "yolc_node":
        missing.add(("publish", f"{namespace}/yolc/detections_2d"))
    has_tf = importlib.util.find_spec("tf2_msgs") is not None
    if not has_tf or node == "yolc_node":  # with attitude_frame in place of use_imu
        missing |= TF
    if not has_tf and node == "loftr_node":
        missing.add(("publish", "/tf"))
    return missing


EVERYTHING_ON = {
    **dict.fromkeys(("use_depth", "use_odometry", "use_imu", "use_detections", "georeference", "use_sim_time"), "true"),
    "altitude": "range",
    "base_frame": "base_link",
    "publish_tf": "true" if importlib.util.find_spec("tf2_msgs") else "false",
}


def test_the_policy_is_what_the_nodes_do(bench, start):
    """One process with raw and one with compressed images; all sensors are on."""
    namespaces = {"/a": "raw", "/b": "compressed"}
    for namespace, transport in namespaces.items():
        start("perception", "-r", f"__ns:={namespace}", "-p", f"image_transport:={transport}", **EVERYTHING_ON)
    other_image = {"/a": "image/compressed", "/b": "image"}
    for namespace in namespaces:
        for node in ("yolc_node", "loftr_node"):
            wanted = allowed(node, namespace) - not_here(node, namespace)
            wanted.remove(("subscribe", f"{namespace}/{other_image[namespace]}"))
            with contextlib.suppress(AssertionError):  # the comparison below tells more
                bench.until(lambda: observed(bench.node, node, namespace) == wanted, 120)  # noqa: B023
            assert observed(bench.node, node, namespace) == wanted


def test_every_sensor_topic_is_allowed():
    names = {each.name for each in (*ALTITUDES.values(), DEPTH, ODOMETRY, IMU, DETECTIONS)}
    assert {("subscribe", f"/{name}") for name in names} <= allowed("loftr_node")


@pytest.mark.parametrize(
    ("module", "make", "messages"),
    [
        (rtabmap, rtabmap.RtabmapBridge, {"Info": Keyframe, "AddLink": MatchKeyframes}),
        (
            swarm_slam,
            swarm_slam.SwarmSlamBridge,
            dict.fromkeys(("IntraRobotLoopClosure", "KeyframeOdom", "LocalKeyframeMatch"), Keyframe),
        ),
        (vision, vision.VisionMsgsBridge, {"Detection2DArray": DetectionArray}),
    ],
)
def test_the_policy_is_what_the_bridges_do(bench, monkeypatch, module, make, messages):
    """Messages of ours take the place of those that are not installed: only the names count."""
    monkeypatch.setattr(module, "load_messages", lambda *_: SimpleNamespace(**messages))
    node = make()
    try:
        name = node.get_name()
        bench.until(lambda: observed(node, name), 10, "the node knows itself")
        expected = allowed(name) - {("subscribe", "/clock")} - TF  # with use_sim_time and base_frame
        assert observed(node, name) == expected
    finally:
        node.destroy_node()


def test_every_node_has_an_enclave_of_its_own_and_perception_has_both():
    found = {path: [each.get("node") for each in profiles] for path, profiles in enclaves().items()}
    assert found.pop("/yolc_ros/perception") == ["yolc_node", "loftr_node"]
    assert all(path == f"/yolc_ros/{nodes[0]}" and len(nodes) == 1 for path, nodes in found.items())
    assert len(found) == 5
