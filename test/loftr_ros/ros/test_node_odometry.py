"""loftr_node publishes odometry where it knows a motion in metres, and nothing where it does not."""

from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from nav_msgs.msg import Odometry

from loftr_ros.ros import transform_output
from loftr_ros.ros.messages import header_of
from loftr_ros.ros.node import LoftrNode
from loftr_ros.ros.transform_output import OtherPublishers
from perception_common.geometry import matrix_from_quaternion, transform
from perception_common.node import transforms
from perception_common.node.problems import Problems

ON_BASE = {"altitude": "float", "gimbal": "pitch", "gimbal_pitch": "-75.0", "sensor_max_age": "1.0"}
MOUNT = {"base_from_optical": "0 0 0 0.7071 -0.7071 0 0"}  # looks down, the top of its image ahead
SECOND = 10**9


def add_altitudes(bench):
    for stamp in range(12):
        bench.node._frontend.sensors.add_float_altitude(SimpleNamespace(data=50.0), stamp * SECOND)


def matrix(message):
    p, q = message.pose.pose.position, message.pose.pose.orientation
    return transform(matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w])), np.array([p.x, p.y, p.z]))


@pytest.mark.parametrize("bench", [ON_BASE | MOUNT], indirect=True)
def test_a_flight_in_metres_gives_odometry_and_a_failed_pair_gives_none(bench):
    bench.calibrate()
    add_altitudes(bench)
    bench.fly(0)
    assert bench.node.describe()["odometry"] == "a trajectory begins"
    bench.fly(1)
    bench.until(lambda: len(bench.odometry) == 1)
    found = bench.odometry[0]
    assert found.header.stamp == bench.statuses[1].header.stamp
    assert (found.header.frame_id, found.child_frame_id) == ("loftr_odom", "base_link")
    way = bench.flight.poses[1][:3, 3] - bench.flight.poses[0][:3, 3]
    moved = np.linalg.norm(way)
    ahead, up = matrix(found)[[0, 2], 3]  # a level frame
    assert ahead == pytest.approx(np.linalg.norm(way[:2]), rel=0.1)
    assert up == pytest.approx(way[2], abs=0.05 * moved)
    assert np.trace(np.reshape(found.pose.covariance, (6, 6))[:3, :3]) < (0.2 * moved) ** 2
    seconds = (bench.flight.stamps_ns[1] - bench.flight.stamps_ns[0]) / SECOND
    v = found.twist.twist.linear
    assert np.linalg.norm([v.x, v.y, v.z]) == pytest.approx(moved / seconds, rel=0.1)
    assert bench.node.describe()["odometry"] == "published"

    noise = np.random.default_rng(1).integers(0, 256, bench.flight.images[0].shape, np.uint8)
    bench.send(noise, bench.flight.stamps_ns[1] + SECOND)
    assert bench.node.describe()["odometry"].startswith("no pose")
    assert bench.statuses[-1].decision == bench.statuses[-1].LOST
    bench.fly(2)  # the track is found again
    bench.until(lambda: len(bench.odometry) == 2)
    assert bench.odometry[1].header.stamp == bench.statuses[-1].header.stamp
    assert np.reshape(bench.odometry[1].twist.covariance, (6, 6))[0, 0] >= 1e4  # not the step before it


@pytest.mark.parametrize("bench", [MOUNT], indirect=True)
def test_a_flight_without_metres_gives_no_odometry(bench):
    bench.calibrate()
    for k in range(3):
        bench.fly(k)
    assert bench.node.describe()["odometry"].startswith("no length was measured yet")
    assert bench.odometry == []


@pytest.mark.parametrize("bench", [ON_BASE | {"tf_timeout": "0.0"}], indirect=True)
def test_a_flight_without_the_mount_gives_no_odometry_of_the_base(bench):
    bench.calibrate()
    add_altitudes(bench)
    for k in range(3):
        bench.fly(k)
    assert bench.node.describe()["odometry"] == "the mount of the camera in base_link is unknown"
    assert bench.odometry == []


def sent(parent, child, second):
    header = SimpleNamespace(frame_id=parent, stamp=SimpleNamespace(sec=second, nanosec=0))
    return SimpleNamespace(header=header, child_frame_id=child)


def test_transforms_of_others_are_told_from_ours():
    others = OtherPublishers()
    assert others.publish(sent("odom", "base_link", 1)) == ""
    others.add(SimpleNamespace(transforms=[sent("odom", "base_link", 1), sent("map", "odom", 1)]))
    assert others.publish(sent("odom", "base_link", 2)) == ""
    others.add(SimpleNamespace(transforms=[sent("/map", "/base_link", 2)]))
    assert others.publish(sent("odom", "base_link", 3)) == "map"
    same = OtherPublishers()  # another node with the same parent is another one all the same
    same.publish(sent("odom", "base_link", 1))
    same.add(SimpleNamespace(transforms=[sent("odom", "base_link", 7)]))
    assert same.publish(sent("odom", "base_link", 2)) == "odom"


def test_the_transform_is_published_until_another_node_publishes_it(monkeypatch):
    """With stand-ins for the middleware, as tf2_msgs may be missing."""
    monkeypatch.setattr(transforms, "TFMessage", lambda transforms: SimpleNamespace(transforms=transforms))
    published, listeners, said = [], {}, []
    node = SimpleNamespace(
        create_publisher=lambda kind, topic, qos: SimpleNamespace(publish=published.append),
        create_subscription=lambda kind, topic, callback, qos: listeners.setdefault(topic, callback),
        destroy_subscription=lambda subscription: None,
        destroy_publisher=lambda publisher: None,
    )
    problems = Problems(said.append)
    output = transform_output.TransformOutput(node, problems)

    def odometry(second):
        return Odometry(header=header_of(second * SECOND, "odom"), child_frame_id="base_link")

    for second in (1, 2):
        output.publish(odometry(second))
        listeners["/tf"](published[-1])  # what we publish comes back
    assert [(m.transforms[0].header.stamp.sec, m.transforms[0].child_frame_id) for m in published] == [
        (1, "base_link"),
        (2, "base_link"),
    ]
    listeners["/tf_static"](SimpleNamespace(transforms=[sent("map", "base_link", 0)]))
    for second in (3, 4):
        output.publish(odometry(second))
    assert len(published) == 2
    assert len(said) == 1
    assert said[0].startswith("another node publishes map -> base_link on /tf")
    assert problems.active() == tuple(said)
    output.destroy()
    assert problems.active() == ()


def test_publish_tf_without_tf2_msgs_fails_at_configure_and_says_what_to_install(monkeypatch):
    monkeypatch.setattr(transforms, "TFMessage", None)
    rclpy.init(args=["test", "--ros-args", "-p", "model:=sift", "-p", "publish_tf:=true", "-p", "autostart:=false"])
    node = LoftrNode()
    try:
        assert node.trigger_configure() == rclpy.lifecycle.TransitionCallbackReturn.FAILURE
        assert "install ros-jazzy-tf2-msgs" in node._failure
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
