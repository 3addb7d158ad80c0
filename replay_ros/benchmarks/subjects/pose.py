"""Relative poses from matches: the two-view geometry of `loftr_node` and OpenCV's on the same matches."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from loftr_ros.geometry.opencv_pose import estimate_plain_pose
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import TwoViewSettings
from perception_common.cameras.camera import Camera
from perception_common.geometry import so3_exp
from perception_common.node.transport import raise_malloc_thresholds
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport, take_turns
from replay_ros.benchmarks.synthetic import synthetic_camera

AIM = 10.0  # milliseconds for a pair
NOISE = 0.7  # pixels
OUTLIER_STEP = 5  # every fifth match is an outlier
_TURN, _SHIFT = so3_exp(np.array([0.02, -0.03, 0.1])), np.array([2.0, 0.5, 0.2])
_DEPTHS = {"relief": (30.0, 60.0), "plane": (45.0, 45.0), "turn": (30.0, 60.0)}  # metres


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Measure the CPU time of one pair of each geometry."""
    raise_malloc_thresholds()  # as the nodes do
    width, height = plan.node_frame
    camera = synthetic_camera(width, height)
    tasks: dict[str, Callable[[], object]] = {}
    for scene in _DEPTHS:
        points0, points1 = synthetic_points(scene, plan.matches, camera)
        tasks[f"OpenCV, {scene}"] = partial(estimate_plain_pose, points0, points1, camera.matrix, camera.matrix)
        settings = TwoViewSettings(threshold=1.0)
        tasks[f"ours, {scene}"] = partial(estimate_relative_pose, points0, points1, camera, camera, settings)
    seconds = take_turns(tasks, plan.fast_rounds, "pose", time.process_time)
    rows = [Measurement.milliseconds(name, values) for name, values in seconds.items()]
    ratios = [
        Measurement.ratio(f"{scene}, ours / OpenCV", seconds[f"ours, {scene}"], seconds[f"OpenCV, {scene}"])
        for scene in _DEPTHS
    ]
    medians = {row.name: row.median for row in rows}
    return SubjectReport(
        subject="pose",
        conditions=f"CPU time; {plan.matches} matches with {NOISE} px of noise, one in {OUTLIER_STEP} an outlier; "
        "ours: classified, refined and with a covariance; OpenCV: findEssentialMat USAC_MAGSAC 1 px, recoverPose",
        rows=(*rows, *ratios),
        checks=tuple(Check(name, "aim", medians[name], AIM, "ms") for name in medians if name.startswith("ours")),
    )


def synthetic_points(scene: str, count: int, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return matches (N, 2), pixels, of two views of hilly terrain, of a plane, or of a camera that only turns."""
    rng = np.random.default_rng(0)
    corner = (camera.width - 1, camera.height - 1)
    points0 = rng.uniform((0, 0), corner, (count, 2))
    points = np.insert(camera.rays(points0), 2, 1.0, axis=1) * rng.uniform(*_DEPTHS[scene], (count, 1))
    newer = (points - (0.0 if scene == "turn" else _SHIFT)) @ _TURN
    projected = newer @ camera.matrix.T
    points1 = projected[:, :2] / projected[:, 2:] + rng.normal(0, NOISE, (count, 2))
    points1[::OUTLIER_STEP] = rng.uniform((0, 0), corner, points1[::OUTLIER_STEP].shape)
    return points0, points1
