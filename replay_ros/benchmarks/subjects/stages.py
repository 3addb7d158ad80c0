"""What the nodes do beside their networks: conversion, geometry, building and sending messages, at real sizes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import rclpy
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from loftr_ros.geometry.scale.sources import unknown_scale
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.matcher import Matcher, Matches
from loftr_ros.parameters import LoftrParameters
from loftr_ros.results import KeyframeInfo, PairResult
from loftr_ros.ros.messages import correspondences_message, relative_pose_message
from loftr_ros.tracks.keypoint_ids import KeypointIds, name_matches
from perception_common.backends.devices import choose_device
from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.images.conversion import fill_image, to_gray, to_rgb
from perception_common.node.base import RESULT_QOS
from perception_common.node.transport import raise_malloc_thresholds, use_large_image_profile
from replay_ros.benchmarks import listener
from replay_ros.benchmarks.measurement import Check, Measurement, Plan, Report, take_turns
from replay_ros.benchmarks.subjects.lite import lite_detector, match_with_kept
from replay_ros.benchmarks.subjects.memory import child_environment
from replay_ros.benchmarks.untrained import crowded_frame, textured_pair, untrained_loftr
from yolc_ros.classes import VISDRONE_CLASSES
from yolc_ros.clusters import Region
from yolc_ros.detector import Detections
from yolc_ros.ros.messages import detections_message

OVERHEAD_AIM = 10.0  # milliseconds for a frame
DISCOVERY_SECONDS = 20.0
YOLC_STAGES = ("reading the image message", "conversion to RGB", "building detections", "sending detections")
LOFTR_STAGES = (
    "reading the image message",
    "conversion to gray",
    "relative pose",
    "keypoint ids",
    "building correspondences and pose",
    "sending correspondences and pose",
)
Task = Callable[[], object]


def measure(plan: Plan) -> Report:
    """Time every stage of both nodes for one frame; a subscriber in another process takes the answers."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")  # nobody else wants to see this
    use_large_image_profile()
    raise_malloc_thresholds()
    with publishing(plan.fast_rounds + 1) as (publish, lost):
        fast = take_turns(stage_tasks(plan, publish), plan.fast_rounds, "stages")
        missing = lost()
    slow = take_turns(network_tasks(plan), plan.rounds, "stages, networks")
    totals = [
        Measurement.milliseconds(name, [sum(seconds) for seconds in zip(*(fast[s] for s in stages), strict=True)])
        for name, stages in (
            ("yolc_node beside its network", YOLC_STAGES),
            ("loftr_node beside its network, one pair", LOFTR_STAGES),
        )
    ]
    width, height = plan.node_frame
    return Report(
        subject="stages",
        conditions=f"both nodes, a bgr8 frame of {width}x{height}, {plan.detections} detections, {plan.matches} "
        "matches (a fifth of them wrong); the answers go to a subscriber in another process, reliable",
        rows=(*(Measurement.milliseconds(name, seconds) for name, seconds in (fast | slow).items()), *totals),
        checks=(
            Check("messages that did not arrive", "equality", missing, 0),
            *(Check(total.name, "aim", total.median, OVERHEAD_AIM, "ms") for total in totals),
        ),
        notes=("reading the image message: rclpy's, from the bytes; without the transport",),
    )


def stage_tasks(plan: Plan, publish: Callable[[str, Any], None]) -> dict[str, Task]:
    """The stages of both nodes outside of their networks, in the nodes' order."""
    width, height = plan.node_frame
    header = Header(frame_id="camera")
    message = Image()
    fill_image(message, crowded_frame(width, height), header)
    message.encoding = "bgr8"
    data = serialize_message(message)

    detections = made_up_detections(plan.detections, width, height)
    detection_array = partial(detections_message, header, (width, height), detections, "yolc_lite", True, 0.1)

    camera = Camera.from_matrix(np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]]), width, height)
    matches = made_up_matches(plan.matches, camera)
    points = matches.points0, matches.points1
    estimate = partial(estimate_relative_pose, *points, camera, camera, LoftrParameters().two_view)
    motion = estimate()
    named = name_matches(KeypointIds(), KeypointIds(), *points, 0)
    older, newer = (KeyframeInfo(number, 0, "camera", width, height, camera) for number in (0, 1))
    scale, dynamic = unknown_scale("no source"), np.zeros(len(matches), bool)
    pair = PairResult(older, newer, matches, named.ids0, named.ids1, motion, scale, dynamic)

    def pair_messages() -> tuple[Any, Any]:
        return correspondences_message(pair, "loftr_lite", True), relative_pose_message(pair)

    built_detections, (built_correspondences, built_pose) = detection_array(), pair_messages()

    def send_pair() -> None:
        publish("benchmark/correspondences", built_correspondences)
        publish("benchmark/relative_pose", built_pose)

    return {
        "reading the image message": lambda: deserialize_message(data, Image),
        "conversion to RGB": lambda: to_rgb(message),
        "building detections": detection_array,
        "sending detections": lambda: publish("benchmark/detections", built_detections),
        "conversion to gray": lambda: to_gray(message),
        "relative pose": estimate,
        "keypoint ids": lambda: name_matches(named.keypoints0, KeypointIds(), *points, named.next_id),
        "building correspondences and pose": pair_messages,
        "sending correspondences and pose": send_pair,
    }


def network_tasks(plan: Plan) -> dict[str, Task]:
    """What the nodes count as their network stage, with the lite variants: from the image to results as arrays."""
    width, height = plan.node_frame
    frame = crowded_frame(width, height)
    detector = lite_detector(frame, plan.detections)
    settings = LoftrParameters().matcher
    matcher = Matcher.from_network(untrained_loftr("loftr_lite"), choose_device("cpu"), settings)
    image0, image1 = textured_pair(width, height)
    kept = matcher.encode(image0)
    return {
        "network of yolc_node: yolc_lite with LSM": lambda: detector.detect(frame),
        f"network of loftr_node: loftr_lite, max_side {settings.max_side}": partial(
            match_with_kept, matcher, kept, image1
        ),
    }


def made_up_detections(count: int, width: int, height: int) -> Detections:
    """So many detections in an image and in its two regions."""
    rng = np.random.default_rng(0)
    corners = rng.uniform((0, 0), (width * 0.9, height * 0.9), (count, 2))
    sides = rng.uniform(8, 0.1 * min(width, height), (count, 2))
    return Detections(
        boxes=np.concatenate([corners, corners + sides], axis=1).astype(np.float32),
        scores=np.sort(rng.uniform(0.3, 1, count))[::-1].astype(np.float32),
        labels=rng.integers(0, len(VISDRONE_CLASSES), count),
        region=rng.integers(-1, 2, count),
        regions=(Region(0, 0, width // 4, height // 4, 9.0, 1.5), Region(width // 2, 0, width, height // 2, 9.0, 1.5)),
        class_names=VISDRONE_CLASSES,
    )


def made_up_matches(count: int, camera: Camera) -> Matches:
    """Matches of two views of a rolling landscape with 0.7 px of noise; the last fifth of them are wrong."""
    rng = np.random.default_rng(0)
    width, height = camera.width, camera.height
    points0 = rng.uniform((0, 0), (width - 1, height - 1), (count, 2))
    depth = rng.uniform(30, 60, (count, 1))
    scene = np.column_stack([camera.rays(points0), np.ones(count)]) * depth + (2.0, 0.5, 0.2)
    projected = scene @ camera.matrix.T
    points1 = projected[:, :2] / projected[:, 2:] + rng.normal(0, 0.7, (count, 2))
    wrong = count // 5
    points1[count - wrong :] = rng.uniform((0, 0), (width - 1, height - 1), (wrong, 2))
    return Matches(
        points0=points0.astype(np.float32),
        points1=points1.astype(np.float32),
        confidence=np.linspace(1, 0.2, count, dtype=np.float32),
        spread=np.full(count, 0.5, np.float32),
        cells0=np.arange(count),
        cells1=np.arange(count),
        size0=(width, height),
        size1=(width, height),
    )


@contextmanager
def publishing(messages: int) -> Iterator[tuple[Callable[[str, Any], None], Callable[[], int]]]:
    """Publishers on the listener's topics, with the listener in a process of its own, which takes so many from each.

    Yields publish(topic, message), and a function that waits for the listener and returns how many it missed. Raises
    InputError when the listener is not found.
    """
    command = [sys.executable, str(listener.__file__), str(messages)]
    rclpy.init()
    node = rclpy.create_node("benchmark")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=child_environment())
    try:
        publishers = {topic: node.create_publisher(kind, topic, RESULT_QOS) for topic, kind in listener.TOPICS.items()}
        deadline = time.monotonic() + DISCOVERY_SECONDS
        while not all(publisher.get_subscription_count() for publisher in publishers.values()):
            if time.monotonic() > deadline or process.poll() is not None:
                raise InputError("stages: the subscriber in another process was not found; is ROS set up?")
            time.sleep(0.05)

        def lost() -> int:
            output, _ = process.communicate(timeout=2 * listener.SILENCE)
            return sum(messages - count for count in json.loads(output).values())

        yield lambda topic, message: publishers[topic].publish(message), lost
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
        node.destroy_node()
        rclpy.try_shutdown()
