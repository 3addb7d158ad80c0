"""Loop closures on simulated lawn-mower flights: what is found of what is there, what is wrong, what a graph gains.

The flights have seeds of their own, on which nothing was tuned. The truth is that of the simulation.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
from tqdm import tqdm

from flight_sim.camera import PinholeCamera
from loftr_ros.frontend import Frontend, FrontendSettings
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.image_matcher import ImageMatcher
from loftr_ros.keyframes.policy import KeyframePolicy
from loftr_ros.loops.retrieval import GAP
from loftr_ros.loops.settings import CHECKS
from loftr_ros.matcher import Matcher
from loftr_ros.pair_estimation import PairSettings
from loftr_ros.results import PairResult
from perception_common.backends.devices import choose_device
from perception_common.geometry import inverse, rotation_angle
from perception_common.tum import Trajectory
from replay_ros.benchmarks.lawn_mower import PITCH_DEG, LawnMower, View, common_ground
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport
from replay_ros.evaluation.motion.edges import PoseEdge, chain
from replay_ros.evaluation.motion.trajectory_accuracy import compare_trajectory

SEEDS = (7101, 7102, 7103)
SIZE = (192, 144)  # pixels: small, so that it takes minutes on a CPU
ALTITUDE_NOISE = 0.02  # standard deviation over the height
ENOUGH = 0.4  # common ground of the pairs that count as missed where they are not found
WRONG_COMMON = 0.05  # a closure of keyframes with less common ground joins two places: it is wrong
FOUND, ERROR_RATIO = 0.8, 0.3  # aims: of the pairs that are found, and of the graph's error over the chain's
GRAPH = Path(__file__).resolve().parents[3] / "examples" / "pose_graph.py"


@dataclass(frozen=True, eq=False)
class FlownSurvey:
    """The views of a flight, all of them keyframes, the pairs that the front end made of them, and its time.

    seconds: of each keyframe.
    """

    views: tuple[View, ...]
    pinhole: PinholeCamera
    pairs: tuple[PairResult, ...]
    seconds: tuple[float, ...]

    @property
    def closures(self) -> tuple[PairResult, ...]:
        """The pairs that close loops."""
        return tuple(pair for pair in self.pairs if pair.is_loop)

    def wanted(self) -> set[tuple[int, int]]:
        """Return the ids of keyframes with enough common ground that are no neighbours in time."""
        views = self.views
        return {
            (older, newer)
            for newer in range(len(views))
            for older in range(max(0, newer - GAP))
            if common_ground(views[older], views[newer], self.pinhole) >= ENOUGH
        }

    def is_wrong(self, pair: PairResult) -> bool:
        """Tell whether a closure joins two places."""
        return common_ground(self.views[pair.older.id], self.views[pair.newer.id], self.pinhole) < WRONG_COMMON

    def motion_error(self, pair: PairResult) -> tuple[float, float, float]:
        """Errors of the motion of a metric pair: degrees, metres, and the latter in its standard deviations."""
        older, newer = self.views[pair.older.id], self.views[pair.newer.id]
        true = inverse(older.T_world_camera) @ newer.T_world_camera
        off = float(np.linalg.norm(pair.matrix[:3, 3] - true[:3, 3]))
        turned = float(np.degrees(rotation_angle(pair.matrix[:3, :3].T @ true[:3, :3])))
        return turned, off, off / float(np.sqrt(np.trace(pair.covariance[:3, :3])))


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Fly, and compare the closures with the truth."""
    matcher = Matcher.load("loftr_lite", "default", choose_device("cpu"))
    flown = []
    for seed in SEEDS[: plan.loop_flights]:
        flown.append(fly(LawnMower(seed, SIZE, plan.loop_lines, plan.loop_line_m), matcher))
    wanted = [survey.wanted() for survey in flown]
    found = [len(w & {(p.older.id, p.newer.id) for p in s.closures}) for w, s in zip(wanted, flown, strict=True)]
    wrong = sum(survey.is_wrong(pair) for survey in flown for pair in survey.closures)
    closures = sum(len(survey.closures) for survey in flown)
    total = max(sum(map(len, wanted)), 1)
    most = max(np.bincount([p.newer.id for p in s.closures]).max(initial=0) for s in flown)
    rows = [
        Measurement.of(
            "keyframe pairs found", "%", [100 * f / max(len(w), 1) for f, w in zip(found, wanted, strict=True)]
        ),
        Measurement.milliseconds("keyframe with the search for loops", [t for s in flown for t in s.seconds]),
    ]
    errors = [survey.motion_error(pair) for survey in flown for pair in survey.closures if pair.is_metric]
    if errors:
        names = (("rotation error", "degrees"), ("translation error", "m"), ("normalised error", "standard deviations"))
        for (what, unit), values in zip(names, zip(*errors, strict=True), strict=True):
            rows.append(Measurement.of(f"{what} of a closure", unit, values))
    checks = [
        Check("keyframe pairs missed", "aim", 1 - sum(found) / total, 1 - FOUND),
        Check("wrong closures", "aim", float(wrong), 0.0),
        Check("closures of a keyframe", "equality", float(most), float(CHECKS)),
    ]
    notes = [
        f"{sum(found)} of {total} keyframe pairs with at least {100 * ENOUGH:.0f} % common ground found; "
        f"{closures} closures, {wrong} of them wrong; {sum(len(s.views) for s in flown)} keyframes",
    ]
    graph = _load_graph()
    if graph is None:
        notes.append("error of the pose graph not measured: it needs a checkout with examples/ and `pip install gtsam`")
    else:
        chained, optimised = np.array([_errors(survey, graph) for survey in flown]).T
        rows += [Measurement.of("ATE of the chain", "m", chained.tolist())]
        rows += [Measurement.of("ATE of the pose graph", "m", optimised.tolist())]
        ratio = float(np.mean(optimised) / np.mean(chained))
        checks.append(Check("ATE of the pose graph over that of the chain", "aim", ratio, ERROR_RATIO))
    return SubjectReport(
        subject="loops",
        conditions=f"{len(flown)} simulated flights of {plan.loop_lines} lines there and back, {SIZE[0]}x{SIZE[1]} "
        f"pixels, at most {CHECKS} verifications a keyframe, altitude with {100 * ALTITUDE_NOISE:.0f} % noise",
        rows=tuple(rows),
        checks=tuple(checks),
        notes=tuple(notes),
    )


def fly(flight: LawnMower, matcher: ImageMatcher) -> FlownSurvey:
    """Run the front end over a flight; every image becomes a keyframe."""
    camera, pinhole, rendered = flight.open()
    settings = FrontendSettings(
        policy=KeyframePolicy(max_interval=0.0), pair=PairSettings(gimbal_pitch=PITCH_DEG), match_last=1
    )
    frontend = Frontend(matcher, settings)
    rng = np.random.default_rng([flight.seed, 5])
    views: list[View] = []
    pairs: list[PairResult] = []
    seconds: list[float] = []
    for view in tqdm(rendered, desc=f"flight {flight.seed}", unit="keyframe", leave=False, disable=None):
        frontend.sensors.add_range(_altitude(view, 1.0 + ALTITUDE_NOISE * rng.normal()))
        start = time.perf_counter()
        result = frontend.process(view.stamp_ns, view.image, camera, frame_id="camera")
        seconds.append(time.perf_counter() - start)
        if result.new_keyframe:
            views.append(view)
            pairs += result.pairs
    return FlownSurvey(tuple(views), pinhole, tuple(pairs), tuple(seconds))


def _altitude(view: View, factor: float) -> SimpleNamespace:
    seconds, nanoseconds = divmod(view.stamp_ns, 10**9)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nanosec=nanoseconds), frame_id="altimeter")
    metres = float(view.T_world_camera[2, 3]) * factor
    return SimpleNamespace(header=header, range=metres, min_range=0.1, max_range=1000.0)


def _load_graph() -> ModuleType | None:
    """The example back end; None where it or GTSAM is not there."""
    if not GRAPH.is_file() or importlib.util.find_spec("gtsam") is None:
        return None
    spec = importlib.util.spec_from_file_location("pose_graph_example", GRAPH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look it up
    spec.loader.exec_module(module)
    return module


def _errors(survey: FlownSurvey, graph: ModuleType) -> tuple[float, float]:
    """ATE, metres, of the chain and of the pose graph."""
    edges = [_edge(pair) for pair in survey.pairs if pair.motion.geometry != Geometry.FAILED]
    true = {view.stamp_ns: view.T_world_camera for view in survey.views}
    return _ate(chain(edges), true), _ate(graph.optimise(edges).trajectory, true)


def _edge(pair: PairResult) -> PoseEdge:
    return PoseEdge(
        older_ns=pair.older.stamp_ns,
        newer_ns=pair.newer.stamp_ns,
        matrix=pair.matrix,
        covariance=pair.covariance,
        geometry=pair.motion.geometry,
        scale=pair.scale.source,
        is_loop=pair.is_loop,
    )


def _ate(trajectory: Trajectory, true: dict[int, np.ndarray]) -> float:
    stamps: Sequence[int] = trajectory.stamps_ns.tolist()
    truth = np.stack([true[stamp] for stamp in stamps])
    accuracy = compare_trajectory(trajectory.stamps_ns, trajectory.matrices(), truth, is_metric=True)
    return accuracy.ate_m.rmse if accuracy else float("nan")
