"""Faults of files under loftr_node: trajectories on a disk that is full, and weights that are broken."""

from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from loftr_ros.ros.node import LoftrNode
from loftr_ros.trajectory import tum_file
from perception_common.tum import read_tum
from yolc_ros.srv import MatchKeyframes

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
SCENE = np.kron(np.random.default_rng(0).integers(0, 255, (40, 80), np.uint8), np.ones((8, 8), np.uint8))


@pytest.fixture
def node():
    rclpy.init()
    node = LoftrNode()
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def configure(node, **values):
    results = node.set_parameters([Parameter(name, value=value) for name, value in values.items()])
    assert all(result.successful for result in results), results
    return node.trigger_configure()


def fly(node, *seconds):
    """Process one image a second of a camera that moves sideways; returns what the node did with it."""
    header = Header()
    for second in seconds:
        header.stamp.sec = second
        node.process(header, np.ascontiguousarray(SCENE[:200, 10 * second : 10 * second + 240]))


def stamps(path):
    return [stamp // 10**9 for stamp in read_tum(path).stamps_ns.tolist()]


def test_images_are_answered_while_the_disk_is_full_and_nothing_is_lost(node, tmp_path, monkeypatch):
    """Stamps jump while the disk is full, so that another file is due; afterwards both files are whole."""
    path = tmp_path / "flight.txt"
    assert configure(node, model="sift", trajectory_file=str(path), max_interval=0.0) == SUCCESS
    assert node.trigger_activate() == SUCCESS
    fly(node, 5, 6)
    warnings = []
    monkeypatch.setattr(node.problems, "_log", warnings.append)
    real_write, real_open = tum_file.os.write, tum_file.os.open

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tum_file.os, "write", full)
    monkeypatch.setattr(tum_file.os, "open", full)
    fly(node, 7)
    node.forget()  # what the base class does when stamps jump back
    fly(node, 2, 3)
    (warning,) = [line for line in warnings if "trajectory" in line]
    assert "No space left on device" in warning
    assert warning in node.problems.active()
    assert node.describe()["keyframes made"] == "5"

    monkeypatch.setattr(tum_file.os, "write", real_write)
    monkeypatch.setattr(tum_file.os, "open", real_open)
    fly(node, 4)
    assert not [line for line in node.problems.active() if "trajectory" in line]
    assert (stamps(path), stamps(tmp_path / "flight_2.txt")) == ([5, 6, 7], [2, 3, 4])


def test_problems_of_the_input_are_over_with_it(node):
    assert configure(node, model="sift") == SUCCESS
    assert node.trigger_activate() == SUCCESS
    for name in ("input", "image", "camera", "calibration", "scale", "detections"):
        node.problems.report(name, name)
    assert node.trigger_deactivate() == SUCCESS
    assert node.problems.active() == ()


def test_a_reconfigured_node_keeps_the_trajectories_that_it_recorded(node, tmp_path):
    path = tmp_path / "flight.txt"
    for first in (1, 3):
        assert configure(node, model="sift", trajectory_file=str(path), max_interval=0.0) == SUCCESS
        assert node.trigger_activate() == SUCCESS
        fly(node, first, first + 1)
        assert node.trigger_deactivate() == SUCCESS
        assert node.trigger_cleanup() == SUCCESS
    assert (stamps(path), stamps(tmp_path / "flight_2.txt")) == ([1, 2], [3, 4])


def test_ids_of_a_node_that_was_configured_before_mean_nothing_else(node):
    """A client that asks for old keyframes gets no match of new ones."""
    assert configure(node, model="sift", max_interval=0.0) == SUCCESS
    assert node.trigger_activate() == SUCCESS
    fly(node, 1, 2, 3)
    assert node._match(MatchKeyframes.Request(older_id=0, newer_id=1)).success
    before = node._frontend.next_ids
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    fly(node, 4, 5)
    answer = node._match(MatchKeyframes.Request(older_id=0, newer_id=1))
    assert (answer.success, answer.message) == (False, "keyframe 0 is no longer kept: kept are 3 to 4, 2 of them")
    again = node._match(MatchKeyframes.Request(older_id=3, newer_id=4))
    assert again.success
    assert min(*again.correspondences.id0, *again.correspondences.id1) >= before.keypoint > 0


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty"])
def test_weights_that_were_damaged_while_the_node_ran(node, tmp_path, damage):
    """The node keeps working until it is configured anew, then says what is wrong, then takes whole ones."""
    weights = tmp_path / "loftr.safetensors"
    whole = (Path(__file__).parents[3] / "weights/loftr_lite.safetensors").read_bytes()
    weights.write_bytes(whole)
    assert configure(node, weights=str(weights)) == SUCCESS
    broken = {"cut": whole[: len(whole) // 2], "flipped": b"\xff" * 16 + whole[16:], "text": b"hello", "empty": b""}
    weights.write_bytes(broken[damage])
    assert node.trigger_activate() == SUCCESS
    fly(node, 1)
    assert node.describe()["keyframes made"] == "1"
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS
    assert node.trigger_configure() == FAILURE
    assert str(weights) in node._failure
    assert "\n" not in node._failure
    assert node.state == "unconfigured"
    weights.write_bytes(whole)
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    assert node._failure == ""
