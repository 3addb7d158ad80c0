"""Stages of the nodes outside their networks: conversion, geometry, building and publishing messages."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from loftr_ros.geometry.scale.result import unknown_scale
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.matcher import Matcher
from loftr_ros.parameters import LoftrParameters
from loftr_ros.results import KeyframeInfo, PairResult
from loftr_ros.ros.messages import correspondences_message, relative_pose_message
from loftr_ros.tracks.keypoint_ids import KeypointIds, name_matches
from perception_common.backends.devices import choose_device
from perception_common.images.conversion import fill_image, to_gray, to_rgb
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport, take_turns
from replay_ros.benchmarks.publisher import ListenedPublisher, publishing
from replay_ros.benchmarks.subjects.lite import match_with_cached
from replay_ros.benchmarks.synthetic import (
    crowded_frame,
    synthetic_camera,
    synthetic_detections,
    synthetic_matches,
    textured_pair,
)
from replay_ros.benchmarks.untrained import untrained_lite_detector, untrained_loftr
from yolc_ros.ros.messages import detections_message

OVERHEAD_AIM = 10.0  # milliseconds per frame
READING = "reading the image message"
Task = Callable[[], object]


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Time every stage of both nodes for one frame; a subscriber in another process receives the results."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")  # keep the traffic on this machine
    width, height = plan.node_frame
    message = image_message(width, height)
    with publishing(plan.fast_rounds + 1) as publisher:
        detection, matching = detection_tasks(plan, message, publisher), matching_tasks(plan, message, publisher)
        seconds = take_turns(detection | matching, plan.fast_rounds, "stages")
        lost = publisher.count_lost()
    totals = [
        Measurement.milliseconds(name, [sum(each) for each in zip(*(seconds[stage] for stage in stages), strict=True)])
        for name, stages in (
            ("yolc_node beside its network", tuple(detection)),
            ("loftr_node beside its network, one pair", (READING, *matching)),
        )
    ]
    seconds |= take_turns(network_tasks(plan), plan.rounds, "stages, networks")
    return SubjectReport(
        subject="stages",
        conditions=f"both nodes, a bgr8 frame of {width}x{height}, {plan.detections} detections, {plan.matches} "
        "matches (a fifth of them outliers); the results go to a reliable subscriber in another process",
        rows=(*(Measurement.milliseconds(name, values) for name, values in seconds.items()), *totals),
        checks=(
            Check("messages that did not arrive", "equality", lost, 0),
            *(Check(total.name, "aim", total.median, OVERHEAD_AIM, "ms") for total in totals),
        ),
        notes=(f"{READING}: deserialisation by rclpy, without the transport",),
    )


def image_message(width: int, height: int) -> Image:
    """Return a bgr8 image message."""
    message = Image()
    fill_image(message, crowded_frame(width, height), Header(frame_id="camera"))
    message.encoding = "bgr8"
    return message


def detection_tasks(plan: BenchmarkPlan, message: Image, publisher: ListenedPublisher) -> dict[str, Task]:
    """Return the stages of yolc_node outside its network, in its order."""
    data = serialize_message(message)
    width, height = plan.node_frame
    detections = synthetic_detections(plan.detections, width, height)
    build = partial(detections_message, message.header, (width, height), detections, "yolc_lite", True, 0.1)
    built = build()
    return {
        READING: lambda: deserialize_message(data, Image),
        "conversion to RGB": lambda: to_rgb(message),
        "building detections": build,
        "sending detections": lambda: publisher.publish("benchmark/detections", built),
    }


def matching_tasks(plan: BenchmarkPlan, message: Image, publisher: ListenedPublisher) -> dict[str, Task]:
    """Return the stages of loftr_node after reading the message and outside its network, in its order."""
    width, height = plan.node_frame
    camera = synthetic_camera(width, height)
    matches = synthetic_matches(plan.matches, camera)
    points0, points1 = matches.points0, matches.points1
    estimate = partial(estimate_relative_pose, points0, points1, camera, camera, LoftrParameters().two_view)
    named = name_matches(KeypointIds(), KeypointIds(), points0, points1, 0)
    older, newer = (KeyframeInfo(number, 0, "camera", width, height, camera) for number in (0, 1))
    scale, dynamic = unknown_scale("no source"), np.zeros(len(matches), bool)
    pair = PairResult(
        older=older,
        newer=newer,
        matches=matches,
        ids0=named.ids0,
        ids1=named.ids1,
        motion=estimate(),
        scale=scale,
        dynamic=dynamic,
    )
    build = partial(pair_messages, pair)
    built_correspondences, built_pose = build()

    def publish_pair() -> None:
        publisher.publish("benchmark/correspondences", built_correspondences)
        publisher.publish("benchmark/relative_pose", built_pose)

    return {
        "conversion to gray": lambda: to_gray(message),
        "relative pose": estimate,
        "keypoint ids": lambda: name_matches(named.keypoints0, KeypointIds(), points0, points1, named.next_id),
        "building correspondences and pose": build,
        "sending correspondences and pose": publish_pair,
    }


def pair_messages(pair: PairResult) -> tuple[Any, Any]:
    """Return the correspondences and the relative pose of a pair as messages."""
    return correspondences_message(pair, "loftr_lite", True), relative_pose_message(pair)


def network_tasks(plan: BenchmarkPlan) -> dict[str, Task]:
    """Return the network stages of both nodes with the lite variants, from image to results as arrays."""
    width, height = plan.node_frame
    frame = crowded_frame(width, height)
    detector = untrained_lite_detector(frame, plan.detections)
    settings = LoftrParameters().matcher
    matcher = Matcher.from_network(untrained_loftr("loftr_lite"), choose_device("cpu"), settings)
    image0, image1 = textured_pair(width, height)
    match = partial(match_with_cached, matcher, matcher.encode(image0), image1)
    return {
        "network of yolc_node: yolc_lite with LSM": lambda: detector.detect(frame),
        f"network of loftr_node: loftr_lite, max_side {settings.max_side}": match,
    }
