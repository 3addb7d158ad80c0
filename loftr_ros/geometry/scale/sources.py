"""Metres for a pose whose translation has length 1: from the altitude above ground, a depth image or odometry.

Each source gives the factor s of the translation with its variance and its derivative by the errors of the pose (a
scale found through triangulated points errs together with the pose), or UNKNOWN with the reason. Pure numpy.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.scale.ground import find_ground
from loftr_ros.geometry.sphere import tangent_basis
from loftr_ros.geometry.triangulation import depths
from perception_common.geometry import so3_exp

_STEP = 1e-5  # radians, for derivatives by the pose
_MEDIAN_EFFICIENCY = 1.2533  # standard deviation of a median over that of a mean: sqrt(pi / 2)
_MAD = 1.4826


class ScaleSource(enum.IntEnum):
    """Where metres come from; the numbers are those of RelativePose.msg."""

    UNKNOWN = 0
    ALTITUDE = 1
    DEPTH = 2
    ODOMETRY = 3


@dataclass(frozen=True, eq=False)
class Scale:
    """Length of the translation, metres.

    variance: m^2, of the source alone. by_pose: (6,), derivative of the length by the errors of the pose in ROS order
    (for a unit translation). reason: why it is UNKNOWN, else empty; value 1 then.
    """

    source: ScaleSource
    value: float
    variance: float
    by_pose: np.ndarray
    reason: str


@dataclass(frozen=True)
class ScaleLimits:
    """When a source is not believed.

    max_age: seconds between a measurement and the image. max_deviation: standard deviation of the scale over its
    value. min_points: matches that must carry it. min_agreement: fraction of the depths that must agree with each
    other. min_ground: fraction of the matches that must lie on the ground. disagreement: of two sources, in standard
    deviations of their difference.
    """

    max_age: float = 0.5
    max_deviation: float = 0.3
    min_points: int = 15
    min_agreement: float = 0.5
    min_ground: float = 0.15
    disagreement: float = 4.0


@dataclass(frozen=True)
class FactorEstimate:
    """A length in metres with its standard deviation; age: seconds between it and the image it is used for."""

    value: float
    deviation: float
    age: float = 0.0


def unknown_scale(reason: str) -> Scale:
    """Return the scale of which nothing is known."""
    return Scale(ScaleSource.UNKNOWN, 1.0, 0.0, np.zeros(6), reason)


def scale_from_altitude(
    x0: np.ndarray,
    x1: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    altitude: FactorEstimate,
    down: np.ndarray | None = None,
    limits: ScaleLimits = ScaleLimits(),
    *,
    noise: float = 0.0,
    gravity: np.ndarray | None = None,
    level: float = np.radians(5.0),
    newer: FactorEstimate | None = None,
) -> Scale:
    """Scale by the distance of the ground plane from the older camera.

    x0, x1: (N, 3) rays of the inliers. rotation, translation: pose of the newer camera in the older one, unit
    translation. altitude: of the older camera along `down`, (3,) in its frame (the beam of a range finder, gravity for
    an altimeter); without it along the plane's normal. noise, gravity, level: as `find_ground` takes them. newer:
    altitude of the newer camera along the same direction of the world.

    With the plane m' p0 = 1 the ground is met after the length 1 / (m' down), from the newer camera after (1 - m' t) /
    (m' down). Where both altitudes are given their mean counts; its variance is no smaller for that, as the error of an
    altimeter is hardly another one a moment later. Where they contradict the motion the scale is UNKNOWN.
    """
    if refused := _refused(altitude, "altitude", len(x0), limits):
        return unknown_scale(refused)
    ground = find_ground(x0, x1, rotation, translation, noise, gravity, level)
    if ground is None:
        return unknown_scale("the matches show no ground below the camera")
    if np.mean(ground.on) < limits.min_ground or ground.on.sum() < limits.min_points:
        return unknown_scale(
            f"only {100 * np.mean(ground.on):.0f} % of the matches lie on one plane: no ground to measure"
        )
    plane = ground.plane
    direction = plane / np.linalg.norm(plane) if down is None else down / np.linalg.norm(down)
    slope = float(plane @ direction)
    if not slope > 0:
        return unknown_scale("the matches show no ground below the camera")
    spread = float(np.sqrt(direction @ ground.covariance @ direction)) / slope
    uses_newer = newer is not None and not _refused(newer, "altitude", len(x0), limits)
    altitudes = [altitude, newer] if uses_newer and newer is not None else [altitude]
    weights: np.ndarray = np.array([1.0 / max(a.deviation / a.value, 1e-6) ** 2 for a in altitudes])
    weights /= weights.sum()

    def scales(plane: np.ndarray, translation: np.ndarray) -> np.ndarray:
        slope = float(np.linalg.norm(plane) if down is None else plane @ direction)
        lengths = (1.0 / slope, (1.0 - plane @ translation) / slope)
        return np.array([a.value / length for a, length in zip(altitudes, lengths, strict=False)])

    def mean_scale(rotation: np.ndarray, translation: np.ndarray) -> float:
        return float(weights @ scales(ground.refitted(x0, x1, rotation, translation), translation))

    found = scales(plane, translation)
    deviations = found * [a.deviation / a.value for a in altitudes]
    value = float(weights @ found)
    if abs(np.ptp(found)) > limits.disagreement * np.linalg.norm(deviations) + spread * value:
        said = " and ".join(f"{s:.2f} m" for s in found)
        return unknown_scale(f"the altitudes of the two images say {said}: one of them was not that of this ground")
    variance = float(weights @ deviations) ** 2 + (spread * value) ** 2
    by_pose = _by_pose(mean_scale, rotation, translation)
    return _believed(Scale(ScaleSource.ALTITUDE, value, variance, by_pose, ""), limits)


def scale_from_depth(
    x0: np.ndarray,
    x1: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    measured: np.ndarray,
    age: float = 0.0,
    relative_deviation: float = 0.02,
    limits: ScaleLimits = ScaleLimits(),
) -> Scale:
    """Scale by depths along z of the older camera at the inliers: the median of measured over triangulated ones.

    measured: (N,) metres; what is not finite or not positive counts as missing. relative_deviation: of the depth
    camera as a whole (its calibration), over its value: it does not average out.
    """
    z = depths(x0, x1, rotation, translation)[:, 0]
    used = np.isfinite(measured) & (measured > 0) & np.isfinite(z) & (z > 0)
    if refused := _refused(FactorEstimate(1.0, relative_deviation, age), "depth image", int(used.sum()), limits):
        return unknown_scale(refused)
    rays0, rays1, target = x0[used], x1[used], measured[used]

    def log_scale(rotation: np.ndarray, translation: np.ndarray) -> float:
        inverse = 1.0 / depths(rays0, rays1, rotation, translation)[:, 0]
        return float(np.log(np.median(target * inverse)))

    value = float(np.exp(log_scale(rotation, translation)))
    off = np.abs(target / (value * z[used]) - 1.0)
    if np.mean(off < 0.25) < limits.min_agreement:
        return unknown_scale(f"only {100 * np.mean(off < 0.25):.0f} % of the depths agree on one scale")
    deviation = _MEDIAN_EFFICIENCY * _MAD * float(np.median(off)) / np.sqrt(len(off))
    variance = value**2 * (deviation**2 + relative_deviation**2)
    by_pose = value * _by_pose(log_scale, rotation, translation)
    return _believed(Scale(ScaleSource.DEPTH, value, variance, by_pose, ""), limits)


def scale_from_odometry(
    translation: np.ndarray,
    displacement: np.ndarray,
    covariance: np.ndarray,
    age: float = 0.0,
    max_angle: float = np.radians(30.0),
    limits: ScaleLimits = ScaleLimits(),
) -> Scale:
    """Scale by the way that odometry saw the camera go.

    displacement: (3,) metres, of the newer camera in the older one, with its covariance (3, 3). When it points away
    from `translation` by more than max_angle the two contradict each other.
    """
    length = float(np.linalg.norm(displacement))
    if not np.isfinite(displacement).all() or not np.isfinite(covariance).all():
        return unknown_scale("odometry is not finite")
    if length == 0.0:
        return unknown_scale("odometry saw no motion")
    direction = displacement / length
    deviation = float(np.sqrt(max(direction @ covariance @ direction, 0.0)))
    if refused := _refused(FactorEstimate(length, deviation, age), "odometry", limits.min_points, limits):
        return unknown_scale(refused)
    angle = float(np.arccos(np.clip(direction @ translation, -1.0, 1.0)))
    if angle > max_angle:
        return unknown_scale(f"odometry points {np.degrees(angle):.0f} degrees away from the motion seen")
    return _believed(Scale(ScaleSource.ODOMETRY, length, deviation**2, np.zeros(6), ""), limits)


def choose_scale(scales: list[Scale], limits: ScaleLimits = ScaleLimits()) -> Scale:
    """Return the most precise scale; UNKNOWN where there is none, or where it contradicts another one."""
    known = sorted((s for s in scales if s.source != ScaleSource.UNKNOWN), key=lambda s: s.variance / s.value**2)
    if not known:
        return unknown_scale("; ".join(s.reason for s in scales) or "no source of scale")
    best = known[0]
    for other in known[1:]:
        deviations = abs(best.value - other.value) / np.sqrt(best.variance + other.variance)
        if deviations > limits.disagreement:
            return unknown_scale(
                f"{best.source.name.lower()} says {best.value:.2f} m, {other.source.name.lower()} {other.value:.2f} m"
            )
    return best


def scaled(translation: np.ndarray, covariance: np.ndarray, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Return the translation (3,) in metres and the covariance (6, 6), ROS order, of a pose with a unit translation.

    dt = s du + u ds with ds = by_pose x + (error of the source): what was unknown along the translation becomes the
    variance of the scale. An UNKNOWN scale changes nothing.
    """
    if scale.source == ScaleSource.UNKNOWN:
        return translation, covariance
    across = np.eye(6)
    across[:3, :3] -= np.outer(translation, translation)
    jacobian = np.eye(6)
    jacobian[:3, :3] *= scale.value
    jacobian[:3] += np.outer(translation, scale.by_pose)
    jacobian = jacobian @ across
    result = jacobian @ covariance @ jacobian.T
    result[:3, :3] += scale.variance * np.outer(translation, translation)
    return scale.value * translation, result


def _refused(measurement: FactorEstimate, name: str, points: int, limits: ScaleLimits) -> str:
    if abs(measurement.age) > limits.max_age:
        return f"the {name} is {abs(measurement.age):.2f} s old, more than {limits.max_age:g} s"
    if not np.isfinite([measurement.value, measurement.deviation]).all() or measurement.value <= 0:
        return f"the {name} is {measurement.value:g} m"
    if points < limits.min_points:
        return f"{points} matches for the {name}, at least {limits.min_points} are needed"
    return ""


def _believed(scale: Scale, limits: ScaleLimits) -> Scale:
    deviation = np.sqrt(scale.variance) / scale.value
    if not deviation <= limits.max_deviation:
        return unknown_scale(f"the {scale.source.name.lower()} gives the scale only to {100 * deviation:.0f} %")
    return scale


def _by_pose(
    function: Callable[[np.ndarray, np.ndarray], float], rotation: np.ndarray, translation: np.ndarray
) -> np.ndarray:
    """Derivative (6,) by the errors of a pose, ROS order; along the translation it is 0, as that is what s stands for.

    Only defined across the unit translation: the columns of its tangent basis are differentiated.
    """
    result = np.zeros(6)
    for axis in tangent_basis(translation).T:
        ahead, behind = (function(rotation, translation + side * _STEP * axis) for side in (1, -1))
        result[:3] += (ahead - behind) / (2 * _STEP) * axis
    for k, axis in enumerate(np.eye(3)):
        ahead, behind = (function(so3_exp(side * _STEP * axis) @ rotation, translation) for side in (1, -1))
        result[3 + k] = (ahead - behind) / (2 * _STEP)
    return np.nan_to_num(result)
