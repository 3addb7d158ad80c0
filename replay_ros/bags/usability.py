"""What this package can do with a bag: detect, match, scale, evaluate; and if not, why not and what helps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from replay_ros.bags.bag_report import TopicReport, Usability
from replay_ros.bags.reader import COMPRESSED_IMAGE, IMAGE, Bag, find_camera_info_topic, image_base, is_depth_topic

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
TOLERANCE_NS = 50_000_000  # as evaluate_motion associates


def assess_usability(
    bag: Bag, topics: Sequence[TopicReport], first: Mapping[str, Any], stamps: Mapping[str, Sequence[int]]
) -> Iterator[Usability]:
    """Tell for each use of a bag whether it is possible.

    first: the first message by topic. stamps: header stamps by topic, nanoseconds, in receive order.
    """
    by_name = {topic.name: topic for topic in topics}
    pictures = [topic for topic in topics if topic.type in (IMAGE, COMPRESSED_IMAGE)]
    usable = tuple(topic.name for topic in pictures if not topic.problem)
    yield _images(pictures, usable)
    yield _relative_poses(bag, by_name, usable, first)
    yield _scale(topics, first)
    images = np.sort(np.array(stamps[usable[0]] if usable else [], np.int64))
    yield _truth(
        "ground truth of the motion",
        topics,
        TRUTH_TYPES,
        "evaluate_motion also takes a TUM file (--truth)",
        images,
        stamps,
        TOLERANCE_NS,
    )
    yield _truth(
        "ground truth or earlier results of detection",
        topics,
        DETECTION_TYPES,
        "evaluate_detection takes truth from another bag (--truth-bag)",
        images,
        stamps,
        0,
    )


def _images(pictures: Sequence[TopicReport], usable: tuple[str, ...]) -> Usability:
    purpose = "detection and matching"
    if usable:
        cameras = [name for name in usable if image_base(name) == name or image_base(name) not in usable]
        advice = f"{len(cameras)} cameras: choose one with --image-topic" if len(cameras) > 1 else ""
        return Usability(purpose, True, usable, "", advice)
    reasons = "; ".join(f"{topic.name}: {topic.problem}" for topic in pictures)
    advice = "record a sensor_msgs/Image or CompressedImage"
    return Usability(purpose, False, (), reasons or "no image topic", advice)


def _relative_poses(
    bag: Bag, by_name: Mapping[str, TopicReport], images: tuple[str, ...], first: Mapping[str, Any]
) -> Usability:
    cameras: list[str] = []
    reasons: list[str] = []
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
        elif Camera.from_camera_info(first[name]).matches_size(*reversed(to_rgb(first[image]).shape[:2])):
            cameras.append(name)
        else:
            reasons.append(f"{name} is for another size than the images on {image}")
    if cameras:
        return Usability("relative poses", True, tuple(dict.fromkeys(cameras)), "")
    reason = "; ".join(dict.fromkeys(reasons)) or "no usable image topic"
    advice = "record camera_info of a calibrated camera beside the image" if images else ""
    return Usability("relative poses", False, (), reason, advice)


def _scale(topics: Sequence[TopicReport], first: Mapping[str, Any]) -> Usability:
    found = [
        topic.name
        for topic in topics
        if (topic.type in SCALE_TYPES and topic.count and not topic.problem)
        or (topic.type == IMAGE and topic.name in first and is_depth_topic(topic.name, first[topic.name]))
    ]
    purpose = "metric scale (altitude, position, odometry or depth)"
    if found:
        return Usability(purpose, True, tuple(found), "")
    problems = "; ".join(f"{each.name}: {each.problem}" for each in topics if each.type in SCALE_TYPES and each.problem)
    reason = problems or f"no messages of {_wanted(SCALE_TYPES)}, and no depth images"
    return Usability(purpose, False, (), reason, "without them translations have no length")


def _truth(
    purpose: str,
    topics: Sequence[TopicReport],
    types: tuple[str, ...],
    alternative: str,
    images: np.ndarray,
    stamps: Mapping[str, Sequence[int]],
    tolerance_ns: int,
) -> Usability:
    """images: (N,) int64, stamps of the images, ascending. What is called true comes first among the topics."""
    found = [topic for topic in topics if topic.type in types and topic.count and not topic.problem]
    if not found:
        return Usability(purpose, False, (), f"no messages of {_wanted(types)}", alternative)
    found.sort(key=lambda topic: ("truth" not in topic.name, topic.name))
    names = tuple(topic.name for topic in found)
    if not len(images):
        return Usability(purpose, True, names, "")
    shares = {name: _with_partner(images, stamps[name], tolerance_ns) for name in names}
    within = f"within {tolerance_ns / 1e9:g} s" if tolerance_ns else "with the same stamp"
    said = ", ".join(f"{name} for {count} of {len(images)} images" for name, count in shares.items())
    if not any(shares.values()):
        return Usability(purpose, False, (), f"{', '.join(names)}: no image has one {within}; compare the clocks")
    return Usability(purpose, True, names, "", f"{within}: {said}")


def _with_partner(images: np.ndarray, others: Sequence[int], tolerance_ns: int) -> int:
    """Count the stamps of images, (N,) int64, that have another stamp within the tolerance."""
    known = np.sort(np.array(others, np.int64))
    begins = np.searchsorted(known, images - tolerance_ns)
    ends = np.searchsorted(known, images + tolerance_ns, "right")
    return int(np.sum(begins < ends))


def _wanted(types: tuple[str, ...]) -> str:
    return " or ".join(name.replace("/msg/", "/") for name in types)
