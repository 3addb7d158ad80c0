"""loftr_node beside a camera whose images do not all arrive: the counts in /diagnostics and the one warning."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image

from loftr_ros.ros.messages import header_of
from perception_common.images.conversion import fill_image

pytestmark = pytest.mark.system
NODE = "/loftr_node"
IMAGE = np.zeros((48, 64), np.uint8)
CAMERA = """
import array, time, rclpy
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("camera")
camera = node.create_publisher(Image, "image", QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT))
while camera.get_subscription_count() < 1:
    time.sleep(0.1)
time.sleep(2.0)
message = Image(height=480, width=640, step=1920, encoding="rgb8", data=array.array("B", bytes(480 * 1920)))
for k in range(60):
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(10**9 + k * 10**8, 10**9)
    camera.publish(message)
    time.sleep(0.1)
time.sleep(1.0)
rclpy.shutdown()
"""


def play(bench, camera, stamps):
    """Publish an image with each stamp (seconds), quicker than in the stamps."""
    for stamp in stamps:
        message = Image()
        fill_image(message, IMAGE, header_of(round(stamp * 1e9), "camera"))
        camera.images.publish(message)
        end = time.monotonic() + 0.02
        bench.until(lambda end=end: time.monotonic() > end)


def count(bench, key):
    return int(bench.diagnosis(NODE).get(key, -1))


def complaints(bench):
    return [problem for problem in bench.problems(NODE) if "lost before this node" in problem]


@pytest.fixture
def node(bench, start):
    reliable = {"qos_overrides./image.subscription.reliability": "reliable"}
    deep = {"qos_overrides./image.subscription.depth": 100}
    process = start("loftr_node", model="sift", **reliable, **deep)
    camera = bench.camera(qos=QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE))
    camera.wait_for(1)
    return process, camera


def test_a_camera_that_skips_stamps_is_said_once_with_the_remedy(bench, node):
    process, camera = node
    play(bench, camera, 1000 + np.arange(120)[np.arange(120) % 3 > 0] / 30)
    bench.until(lambda: count(bench, "images lost before this node") >= 35)
    assert count(bench, "images lost before this node") <= 40
    (problem,) = bench.until(lambda: complaints(bench))
    for words in ("fastdds_large_images.xml", "qos_overrides./image.subscription.reliability", "gaps in their stamps"):
        assert words in problem
    play(bench, camera, 1004 + np.arange(90)[np.arange(90) % 3 > 0] / 30)
    bench.until(lambda: count(bench, "images lost before this node") >= 60)
    assert process.log.read_text().count("lost before this node") == 1


def test_a_variable_rate_with_pauses_raises_no_alarm(bench, node):
    process, camera = node
    rng = np.random.default_rng(0)
    intervals = rng.uniform(0.03, 0.12, 120)
    intervals[::30] += 5.0
    play(bench, camera, 1000 + np.cumsum(intervals))
    bench.until(lambda: count(bench, "images received") == 120)
    assert count(bench, "images lost before this node") <= 3
    assert complaints(bench) == []
    assert "lost before this node" not in process.log.read_text()


def test_images_that_the_transport_loses_are_counted(bench, start):
    """A camera as most are, without our profile; how many images get lost depends on the machine."""
    start("loftr_node", model="sift")
    bench.until(lambda: bench.diagnosis(NODE).get("state") == "active")
    environment = {name: value for name, value in os.environ.items() if "DEFAULT_PROFILES_FILE" not in name}
    camera = subprocess.Popen([sys.executable, "-c", CAMERA], env=environment)
    try:
        bench.until(lambda: camera.poll() is not None, 120, "the end of the camera")
    finally:
        camera.kill()
        camera.wait()
    assert camera.returncode == 0
    bench.diagnostics.clear()
    bench.until(lambda: bench.diagnosis(NODE))
    received, lost = count(bench, "images received"), count(bench, "of these in the middleware")
    assert 54 <= received + lost <= 61
    if lost >= 20:
        (problem,) = complaints(bench)
        assert "between the camera and here" in problem
