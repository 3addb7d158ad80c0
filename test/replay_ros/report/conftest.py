"""A small output bag that has every kind of message, its report, and a browser to open it in."""

import dataclasses
import shutil

import cv2
import numpy as np
import pytest

from perception_common.geometry import inverse, quaternion_from_matrix, so3_exp, transform
from replay_ros.bags.datasets.calibration import uncalibrated
from replay_ros.bags.datasets.ground_truth import Pose
from replay_ros.bags.messages import camera_info_message, header, image_message, world_pose_message
from replay_ros.bags.writer import BagWriter
from replay_ros.report.build import read_content
from replay_ros.report.to_html import write_html

SECOND = 10**9
SIZE = (320, 240)
FRAMES = 12
EVERY = 3  # frames from keyframe to keyframe
LOST_FRAME = 5  # without detections
SWITCH_FRAME = 8  # from which an object has another id
WRONG_PAIR = (1, 2)  # keyframes; the estimated direction is off by 20 degrees
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


@dataclasses.dataclass(frozen=True)
class Kind:
    """The parts that an output bag has."""

    truth: bool = True
    detection: bool = True
    matching: bool = True
    trained: bool = True
    frames: int = FRAMES


def blank(types, type_name, /, **given):
    """Return a message with the given fields; the others are zero or empty."""
    return types.types[type_name](
        **{field: given.get(field, _zero(types, kind)) for field, kind in types.fielddefs[type_name][1]}
    )


def _zero(types, kind):
    tag = kind[0].name
    if tag == "NAME":
        return blank(types, kind[1])
    if tag == "BASE":
        return "" if kind[1][0] == "string" else False if kind[1][0] == "bool" else 0
    (inner, _), length = kind[1]
    return [] if inner.name == "NAME" else np.zeros(length or 0)


def camera_pose(index):
    """Pose (4, 4) of a nadir camera on a curved path, 30 m above ground."""
    down = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
    turn = so3_exp(np.array([0, 0, 0.05 * index]))
    return transform(turn @ down, np.array([2.0 * index, 0.15 * index**2, 30.0]))


def relative_pose(types, older, newer, stamps):
    step = inverse(camera_pose(older * EVERY)) @ camera_pose(newer * EVERY)
    direction = step[:3, 3] / np.linalg.norm(step[:3, 3])
    if (older, newer) == WRONG_PAIR:
        direction = so3_exp(np.array([0, 0, np.radians(20.0)])) @ direction
    pose = world_pose_message(types, Pose(direction, quaternion_from_matrix(step[:3, :3])), stamps[newer], "").pose
    covariance = np.diag([1e-4] * 6)
    covariance[:3, :3] += 1e4 * np.outer(direction, direction)
    with_covariance = blank(types, "geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=covariance.ravel())
    return blank(
        types,
        "yolc_ros/msg/RelativePose",
        header=header(types, stamps[newer], "camera"),
        older_id=older,
        newer_id=newer,
        older_stamp=header(types, stamps[older], "").stamp,
        newer_stamp=header(types, stamps[newer], "").stamp,
        pose=with_covariance,
        geometry=1,
        matches=40,
        inliers=30,
        parallax=8.0,
        residual=0.4,
    )


def objects(types, index, found):
    """Four moving objects; found: detections of three of them, slightly off, and one false detection."""
    boxes = [(40 + 60 * k + 3 * index, 60 + 30 * k, k % 2) for k in range(4)]
    if found:
        boxes = [(x + 1, y + 1, label) for x, y, label in boxes[:3]] + [(300, 200, 0)]
    return [
        blank(
            types,
            "yolc_ros/msg/Detection",
            class_id=label,
            class_name=("car", "</script><b>van")[label],  # a class name must not be interpreted as HTML
            score=0.9 - 0.1 * k if found else 1.0,
            center_x=float(x),
            center_y=float(y),
            size_x=24.0,
            size_y=16.0,
            region=-1,
        )
        for k, (x, y, label) in enumerate(boxes)
    ]


def detections(types, index, stamp, trained, found):
    regions = [blank(types, "yolc_ros/msg/ClusterRegion", x0=30, y0=40, x1=150, y1=120, expected=3.0, scale=2.0)]
    return blank(
        types,
        "yolc_ros/msg/DetectionArray",
        header=header(types, stamp, "camera"),
        image_width=SIZE[0],
        image_height=SIZE[1],
        detections=objects(types, index, found),
        regions=regions if found else [],
        model="yolc_lite",
        trained=trained,
        inference_seconds=0.1 + 0.01 * index,
    )


def tracks(types, index, stamp, trained, found):
    """Tracks of the objects; found: of the detections, the first with another id from SWITCH_FRAME on."""
    ids = [5 if found and k == 0 and index >= SWITCH_FRAME else k + 1 for k in range(4)]
    return blank(
        types,
        "yolc_ros/msg/TrackArray",
        header=header(types, stamp, "camera"),
        image_width=SIZE[0],
        image_height=SIZE[1],
        tracks=[
            blank(types, "yolc_ros/msg/Track", track_id=number, status=1, confirmed=True, detection=each)
            for number, each in zip(ids, objects(types, index, found), strict=True)
        ],
        camera_known=index > 0,
        model="yolc_lite",
        trained=trained,
    )


def marker(types, index, stamp):
    """Lines of the four boxes, then one line of a trail."""
    ends = [(0.0, 0.0)] * 8 * 4 + [(10.0, 20.0), (30.0 + index, 40.0)]
    points = [blank(types, "geometry_msgs/msg/Point", x=x, y=y) for x, y in ends]
    return blank(types, "visualization_msgs/msg/ImageMarker", header=header(types, stamp, "camera"), points=points)


def correspondences(types, older, newer, trained, rng):
    count = 40
    x0, y0 = rng.uniform(20, 300, count), rng.uniform(20, 220, count)
    kinds = np.arange(count) % 4  # 3: outliers; 2: dynamic
    columns = {
        "x0": x0,
        "y0": y0,
        "x1": x0 - 6,
        "y1": y0 + 9,
        "confidence": np.full(count, 0.8),
        "spread": np.ones(count),
    }
    return blank(
        types,
        "yolc_ros/msg/Correspondences",
        header=newer.header,
        older=older,
        newer=newer,
        **{name: values.astype(np.float32) for name, values in columns.items()},
        id0=np.arange(count, dtype=np.uint32),
        id1=np.arange(count, dtype=np.uint32),
        inlier=(kinds != 3).astype(np.uint8),
        dynamic=(kinds == 2).astype(np.uint8),
        model="loftr_lite",
        trained=trained,
    )


def write_matching(bag, index, stamps, keyframes, kind, rng):
    types, stamp = bag.types, stamps[index]
    is_keyframe = index % EVERY == 0
    if is_keyframe:
        number = index // EVERY
        keyframe = blank(types, "yolc_ros/msg/Keyframe", header=header(types, stamp, "camera"), id=number)
        bag.write("loftr/keyframe", keyframe, stamp)
        if keyframes:
            bag.write(
                "loftr/correspondences", correspondences(types, keyframes[-1], keyframe, kind.trained, rng), stamp
            )
            at = {number - 1: stamps[index - EVERY], number: stamp}
            bag.write("loftr/relative_pose", relative_pose(types, number - 1, number, at), stamp)
        keyframes.append(keyframe)
    status = blank(
        types,
        "yolc_ros/msg/MatchingStatus",
        header=header(types, stamp, "camera"),
        decision=2 if is_keyframe else 1,
        reason="moved on" if is_keyframe else "40 matches",
        matching_seconds=0.5,
    )
    bag.write("loftr/status", status, stamp)


def write_answers(path, kind):
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 255, (*SIZE[::-1], 3)).astype(np.uint8), (0, 0), 3)
    stamps = [SECOND * (index + 1) for index in range(kind.frames)]
    keyframes = []
    with BagWriter(path) as bag:
        types = bag.types
        for index, stamp in enumerate(stamps):
            picture = cv2.putText(image.copy(), str(index), (20, 200), 0, 4, (255, 255, 255), 8)
            bag.write("camera/image", image_message(types, picture, "bgr8", stamp, "camera"), stamp)
            bag.write("camera/camera_info", camera_info_message(types, uncalibrated(*SIZE), stamp, "camera"), stamp)
            if kind.truth:
                T = camera_pose(index)
                pose = Pose(T[:3, 3], quaternion_from_matrix(T[:3, :3]))
                bag.write("ground_truth/pose", world_pose_message(types, pose, stamp, "map"), stamp)
                bag.write("ground_truth/detections", detections(types, index, stamp, True, found=False), stamp)
                bag.write("ground_truth/tracks", tracks(types, index, stamp, True, found=False), stamp)
            if kind.detection and index != LOST_FRAME:
                bag.write("yolc/detections", detections(types, index, stamp, kind.trained, found=True), stamp)
                bag.write("yolc/tracks", tracks(types, index, stamp, kind.trained, found=True), stamp)
                bag.write("yolc/image_markers", marker(types, index, stamp), stamp)
            if kind.matching:
                write_matching(bag, index, stamps, keyframes, kind, rng)
        status = blank(types, "diagnostic_msgs/msg/DiagnosticStatus", level=1, name="/yolc_node", message="images wait")
        bag.write("/diagnostics", blank(types, "diagnostic_msgs/msg/DiagnosticArray", status=[status]), stamps[-1])
    return path


@pytest.fixture(scope="session")
def make_answers(tmp_path_factory):
    """Return a function that writes an output bag with the parts of a Kind."""
    return lambda **kind: write_answers(tmp_path_factory.mktemp("bag") / "answers", Kind(**kind))


@pytest.fixture(scope="session")
def answers(make_answers):
    return make_answers()


@pytest.fixture(scope="session")
def content(answers):
    return read_content(answers)


@pytest.fixture(scope="session")
def report_file(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(content, path)
    return path


@pytest.fixture(scope="session")
def browser():
    """The headless Chromium of the system, with a new profile."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if executable is None:
        pytest.skip(f"no browser on the PATH ({', '.join(BROWSERS)}): apt install chromium")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=executable, args=BROWSER_OPTIONS)
        yield running
        running.close()
