"""Scale from the altitude above ground: measured distances of the ground plane over its distances in the two views."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.scale.ground import GROUND_TILT, GroundPlane, find_ground
from loftr_ros.geometry.scale.limits import DEFAULT_LIMITS, LengthMeasurement, ScaleLimits, accepted, rejection
from loftr_ros.geometry.scale.pose_derivative import derivative_by_pose
from loftr_ros.geometry.scale.result import Scale, ScaleSource, unknown_scale

_MIN_DEVIATION = 1e-6  # relative; bounds the weight of an altitude


@dataclass(frozen=True, eq=False)
class _AltitudeScales:
    """The scales by the altitude of the older camera and, if there are two, by that of the newer one.

    With the plane m' p0 = 1 the ground lies 1 / (m' down) from the older camera along `down` (3,), unit length, and
    (1 - m' t) / (m' down) from the newer one. down None: along the normal of the plane, also of a refitted one.
    """

    altitudes: tuple[LengthMeasurement, ...]
    down: np.ndarray | None

    @property
    def deviations(self) -> list[float]:
        """Relative standard deviations of the altitudes."""
        return [altitude.deviation / altitude.value for altitude in self.altitudes]

    def by_altitude(self, plane: np.ndarray, translation: np.ndarray) -> np.ndarray:
        """The scale by each altitude, for a plane m (3,) and a unit translation (3,)."""
        slope = float(np.linalg.norm(plane) if self.down is None else plane @ self.down)
        lengths = (1.0 / slope, (1.0 - plane @ translation) / slope)
        return np.array([a.value / length for a, length in zip(self.altitudes, lengths, strict=False)])

    def mean(self, values: np.ndarray) -> float:
        """Mean of one value per altitude, weighted by the inverse variances of the altitudes."""
        weights: np.ndarray = np.array([1.0 / max(deviation, _MIN_DEVIATION) ** 2 for deviation in self.deviations])
        weights /= weights.sum()
        return float(weights @ values)


def scale_from_altitude(
    x0: np.ndarray,
    x1: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    altitude: LengthMeasurement,
    down: np.ndarray | None = None,
    limits: ScaleLimits = DEFAULT_LIMITS,
    *,
    noise: float = 0.0,
    gravity: np.ndarray | None = None,
    ground_tilt: float = GROUND_TILT,
    newer: LengthMeasurement | None = None,
) -> Scale:
    """Scale by the distance of the ground plane from the older camera.

    x0, x1: (N, 3) rays of the inliers. rotation, translation: pose of the newer camera in the older one, unit
    translation. altitude: of the older camera along `down`, (3,) in its frame (the beam of a range finder, or gravity
    for an altimeter); None: along the normal of the plane. noise, gravity, ground_tilt: see `find_ground`. newer:
    altitude of the newer camera along the same direction of the world.

    Two altitudes are averaged. Their errors count as fully correlated, because the error of an altimeter hardly changes
    between two images, so averaging does not reduce the variance. The scale is UNKNOWN if the two scales differ by more
    than the errors of the altitudes and of the plane allow.
    """
    if reason := rejection(altitude, "altitude", len(x0), limits):
        return unknown_scale(reason)
    ground = find_ground(x0, x1, rotation, translation, noise=noise, gravity=gravity, ground_tilt=ground_tilt)
    reason = _ground_rejection(ground, down, limits)
    if ground is None or reason:
        return unknown_scale(reason)
    altitudes = (altitude,) if newer is None or rejection(newer, "altitude", len(x0), limits) else (altitude, newer)
    direction = _unit(ground.plane if down is None else down)
    scales = _AltitudeScales(altitudes, down=None if down is None else direction)
    found = scales.by_altitude(ground.plane, translation)
    deviations = found * scales.deviations
    value = scales.mean(found)
    slope = float(ground.plane @ direction)
    plane_deviation = float(np.sqrt(direction @ ground.covariance @ direction)) / slope * value
    if abs(np.ptp(found)) > limits.disagreement * np.linalg.norm(deviations) + plane_deviation:
        both = " and ".join(f"{scale:.2f} m" for scale in found)
        return unknown_scale(f"the altitudes of the two images give {both}: one of them was not that of this ground")
    by_pose = derivative_by_pose(
        lambda R, t: scales.mean(scales.by_altitude(ground.refitted(x0, x1, R, t), t)), rotation, translation
    )
    variance = scales.mean(deviations) ** 2 + plane_deviation**2
    return accepted(Scale(ScaleSource.ALTITUDE, value, variance, by_pose, reason=""), limits)


def _ground_rejection(ground: GroundPlane | None, down: np.ndarray | None, limits: ScaleLimits) -> str:
    """Return why a ground plane cannot be used, "" if it can: it holds too few matches, or is not below the camera."""
    no_ground = "the matches show no ground below the camera"
    if ground is None:
        return no_ground
    share = np.mean(ground.on)
    if share < limits.min_ground or ground.on.sum() < limits.min_points:
        on = f"{ground.on.sum()} of {len(ground.on)} matches"
        return f"only {on} lie on one plane ({100 * share:.0f} %): no ground to measure"
    return "" if ground.plane @ _unit(ground.plane if down is None else down) > 0 else no_ground


def _unit(direction: np.ndarray) -> np.ndarray:
    return direction / np.linalg.norm(direction)
