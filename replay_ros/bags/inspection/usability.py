"""What this package can do with a bag (detect, match, scale, evaluate), and if it cannot, why and what to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from perception_common.cameras.camera import Camera
from perception_common.cameras.plausibility import foreign_topic, oddities
from perception_common.errors import InputError
from replay_ros.bags.inspection.report import TopicReport, Usability
from replay_ros.bags.reader import Bag
from replay_ros.bags.topic_choice import (
    COMPRESSED_IMAGE,
    IMAGE,
    find_camera_info_topic,
    is_depth_topic,
    raw_image_topic,
)

SCALE_TYPES = (
    "sensor_msgs/msg/Range",
    "std_msgs/msg/Float64",
    "sensor_msgs/msg/NavSatFix",
    "nav_msgs/msg/Odometry",
)
TRUTH_TYPES = (
    "geometry_msgs/msg/PoseStamped",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
    "geometry_msgs/msg/TransformStamped",
    "nav_msgs/msg/Odometry",
)
DETECTION_TYPES = ("yolc_ros/msg/DetectionArray", "vision_msgs/msg/Detection2DArray")
POSE_TOLERANCE_NS = 50_000_000  # the default of evaluate_motion


def assess_usability(
    bag: Bag,
    topics: Sequence[TopicReport],
    first_messages: Mapping[str, Any],
    header_stamps: Mapping[str, Sequence[int]],
    image_sizes: Mapping[str, Collection[tuple[int, int]]],
    calibrations: Mapping[str, Collection[Any]],
) -> tuple[Usability, ...]:
    """Return for each use of a bag whether it is possible.

    bag: only its list of topics is read. first_messages: by topic. header_stamps: by topic, nanoseconds, in the order
    of receiving. image_sizes: (width, height) of the images, by topic. calibrations: usable CameraInfo messages, one of
    each size, by topic.
    """
    image_topics = [topic for topic in topics if topic.type in (IMAGE, COMPRESSED_IMAGE)]
    usable = tuple(topic.name for topic in image_topics if not topic.problem)
    image_stamps = np.sort(np.array(header_stamps[usable[0]] if usable else [], np.int64))
    assess_truth = partial(_assess_truth, topics=topics, image_stamps=image_stamps, header_stamps=header_stamps)
    return (
        _assess_images(image_topics, usable),
        _assess_relative_poses(
            bag, {topic.name: topic for topic in topics}, usable, first_messages, image_sizes, calibrations
        ),
        _assess_scale(topics, first_messages),
        assess_truth(
            "ground truth of the motion",
            types=TRUTH_TYPES,
            tolerance_ns=POSE_TOLERANCE_NS,
            alternative="evaluate_motion also takes a TUM file (--truth)",
        ),
        assess_truth(
            "ground truth or earlier results of detection",
            types=DETECTION_TYPES,
            tolerance_ns=0,
            alternative="evaluate_detection takes truth from another bag (--truth-bag)",
        ),
    )


def _assess_images(image_topics: Sequence[TopicReport], usable: tuple[str, ...]) -> Usability:
    purpose = "detection and matching"
    if usable:
        cameras = [name for name in usable if raw_image_topic(name) == name or raw_image_topic(name) not in usable]
        advice = f"{len(cameras)} cameras: choose one with --image-topic" if len(cameras) > 1 else ""
        return Usability(purpose, usable=True, topics=usable, advice=advice)
    reasons = "; ".join(f"{topic.name}: {topic.problem}" for topic in image_topics)
    advice = "record a sensor_msgs/Image or CompressedImage"
    return Usability(purpose, usable=False, reason=reasons or "no image topic", advice=advice)


def _assess_relative_poses(
    bag: Bag,
    by_name: Mapping[str, TopicReport],
    images: tuple[str, ...],
    first_messages: Mapping[str, Any],
    image_sizes: Mapping[str, Collection[tuple[int, int]]],
    calibrations: Mapping[str, Collection[Any]],
) -> Usability:
    """Assess whether an image topic has a calibrated camera: for some of its images, as the node looks for each.

    images: the usable image topics.
    """
    purpose = "relative poses"
    cameras: list[str] = []
    reasons: list[str] = []
    warnings: list[str] = []
    for image in images:
        try:
            name = find_camera_info_topic(bag, image)
        except InputError as error:
            reasons.append(str(error))
            continue
        if name is None:
            reasons.append("no messages of sensor_msgs/CameraInfo")
        elif by_name[name].problem:
            reasons.append(f"{name}: {by_name[name].problem}")
        elif fitting := [info for info in calibrations[name] if _fits(info, image_sizes[image])]:
            cameras.append(name)
            warnings += foreign_topic(name, raw_image_topic(image))
            warnings += oddities(fitting[0], first_messages[image].header.frame_id)
        else:
            reasons.append(f"{name} is calibrated for another size than the images on {image} have")
    if cameras:
        advice = "; ".join(dict.fromkeys(warnings))
        return Usability(purpose, usable=True, topics=tuple(dict.fromkeys(cameras)), advice=advice)
    reason = "; ".join(dict.fromkeys(reasons)) or "no usable image topic"
    advice = "record camera_info of a calibrated camera beside the image" if images else ""
    return Usability(purpose, usable=False, reason=reason, advice=advice)


def _fits(info: Any, sizes: Collection[tuple[int, int]]) -> bool:
    camera = Camera.from_camera_info(info)
    return any(camera.matches_size(width, height) for width, height in sizes)


def _assess_scale(topics: Sequence[TopicReport], first_messages: Mapping[str, Any]) -> Usability:
    purpose = "metric scale (altitude, position, odometry or depth)"
    found = tuple(
        topic.name
        for topic in topics
        if topic.count
        and (
            (topic.type in SCALE_TYPES and not topic.problem)
            or (topic.type == IMAGE and is_depth_topic(topic.name, first_messages.get(topic.name)))
        )
    )
    if found:
        return Usability(purpose, usable=True, topics=found)
    problems = "; ".join(f"{each.name}: {each.problem}" for each in topics if each.type in SCALE_TYPES and each.problem)
    reason = problems or f"no messages of {_ros_names(SCALE_TYPES)}, and no depth images"
    return Usability(purpose, usable=False, reason=reason, advice="without them translations have unknown scale")


def _assess_truth(
    purpose: str,
    *,
    topics: Sequence[TopicReport],
    types: tuple[str, ...],
    image_stamps: np.ndarray,
    header_stamps: Mapping[str, Sequence[int]],
    tolerance_ns: int,
    alternative: str,
) -> Usability:
    """Assess whether images have ground truth of these types within a tolerance of their stamps.

    image_stamps: (N,) int64, nanoseconds, ascending. alternative: advice without such topics. Topics with "truth" in
    their name come first.
    """
    found = [topic for topic in topics if topic.type in types and topic.count and not topic.problem]
    if not found:
        return Usability(purpose, usable=False, reason=f"no messages of {_ros_names(types)}", advice=alternative)
    found.sort(key=lambda topic: ("truth" not in topic.name, topic.name))
    names = tuple(topic.name for topic in found)
    if not len(image_stamps):
        return Usability(purpose, usable=True, topics=names)
    matched = {name: _count_with_partner(image_stamps, header_stamps[name], tolerance_ns) for name in names}
    within = f"within {tolerance_ns / 1e9:g} s" if tolerance_ns else "with the same stamp"
    if not any(matched.values()):
        reason = f"{', '.join(names)}: no image has one {within}; compare the clocks"
        return Usability(purpose, usable=False, reason=reason)
    counts = ", ".join(f"{name} for {count} of {len(image_stamps)} images" for name, count in matched.items())
    return Usability(purpose, usable=True, topics=names, advice=f"{within}: {counts}")


def _count_with_partner(images: np.ndarray, others: Sequence[int], tolerance_ns: int) -> int:
    """Count the stamps of images, (N,) int64, that have another stamp within the tolerance."""
    ordered = np.sort(np.array(others, np.int64))
    begins = np.searchsorted(ordered, images - tolerance_ns)
    ends = np.searchsorted(ordered, images + tolerance_ns, "right")
    return int(np.sum(begins < ends))


def _ros_names(types: tuple[str, ...]) -> str:
    return " or ".join(name.replace("/msg/", "/") for name in types)
