"""What the evaluation of motion finds, in plain values: `dataclasses.asdict` of any of these is JSON.

Figures that cannot be had are None, never NaN. Positions are those of the moving frame in the frame of the truth,
metres; stamps are nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Association:
    """How poses were found their truth.

    tolerance_s: largest difference of stamps. poses: that were estimated; matched, unmatched: with and without truth.
    median_gap_s, largest_gap_s: between a pose and its truth, over those matched; None for none.
    """

    tolerance_s: float
    poses: int
    matched: int
    unmatched: int
    median_gap_s: float | None
    largest_gap_s: float | None


@dataclass(frozen=True)
class EdgeError:
    """How far one relative pose is from the truth.

    geometry, scale: names of the enumerations of RelativePose.msg, as "GENERAL" and "UNKNOWN". rotation_deg: angle
    of the rotation that is missing. direction_deg: between the translations; None where one has no length. error_deg:
    the larger of the two, 180 for a failure. true_length_m: of the true translation. length_error_m: estimated less
    true length; None while the scale is unknown. nees: squared error in units of the covariance, of which `dof` are
    observed, and whether it lies inside the 95 % ellipsoid; None for a failure. parallax_deg, residual_px: as the
    message says.
    """

    older_ns: int
    newer_ns: int
    geometry: str
    scale: str
    matches: int
    inliers: int
    parallax_deg: float
    residual_px: float
    rotation_deg: float | None
    direction_deg: float | None
    error_deg: float
    true_length_m: float
    length_error_m: float | None
    dof: int
    nees: float | None
    inside_95: bool | None


@dataclass(frozen=True)
class PoseAccuracy:
    """Relative poses against truth, by the protocol of SuperGlue and LoFTR.

    estimator: what estimated them and with which threshold, in words. edges: with truth; failures: of them. auc:
    {"5", "10", "20"}, 0 to 1. median_*: over those that did not fail, None when all did. median_length_error: of
    the length of the translation over the true one, of metric edges; None without such. details: every edge.
    """

    estimator: str
    edges: int
    failures: int
    success_5deg: int
    auc: dict[str, float]
    median_rotation_deg: float | None
    median_direction_deg: float | None
    median_length_error: float | None
    details: tuple[EdgeError, ...]


@dataclass(frozen=True)
class ErrorStatistics:
    """Of a list of errors, as evo gives them."""

    rmse: float
    mean: float
    median: float
    largest: float


@dataclass(frozen=True)
class TrajectoryAccuracy:
    """The chained trajectory against truth, by evo.

    alignment: "SE3" (moved and turned onto the truth, for metric scale) or "Sim3" (and stretched by `scale`, which
    lets an unknown scale count as right). poses: with truth. length_m: of the true path. ate_m: distances after the
    alignment. rpe_m, rpe_deg: errors of the motion between consecutive poses. drift: end point error once the first
    poses are put onto each other, over the true length (m/m); drift_deg_per_m: rotation, alike; None for a path
    without length. stamps_ns, estimated, true, errors_m: of each pose, estimated as aligned.
    """

    alignment: str
    scale: float
    poses: int
    length_m: float
    ate_m: ErrorStatistics
    rpe_m: ErrorStatistics
    rpe_deg: ErrorStatistics
    drift: float | None
    drift_deg_per_m: float | None
    stamps_ns: tuple[int, ...]
    estimated: tuple[tuple[float, float, float], ...]
    true: tuple[tuple[float, float, float], ...]
    errors_m: tuple[float, ...]


@dataclass(frozen=True)
class CovarianceConsistency:
    """Whether the covariances keep what they promise.

    nees_per_dof: mean squared error in units of the covariance per observed degree of freedom: 1 is honest, more is
    too confident, less too modest. expected: the range where it lies with 95 % probability if they are honest.
    inside_95: share of the edges inside their 95 % ellipsoid. by_geometry: nees_per_dof of each geometry.
    """

    edges: int
    dof: int
    nees_per_dof: float
    median_nees_per_dof: float
    expected: tuple[float, float]
    inside_95: float
    by_geometry: dict[str, float]


@dataclass(frozen=True)
class TrackFigures:
    """How long places were followed. mean_length: keyframes that see one; share_of_3: of those that three or more see.

    reprojection_px: median error of the places triangulated with the true poses, pixels of the original images; None
    without such.
    """

    tracks: int
    mean_length: float
    share_of_3: float
    reprojection_px: float | None


@dataclass(frozen=True)
class MotionResult:
    """All about the motion in a recording. None: not in it, or without truth. notes: what a reader must know."""

    truth: str
    association: Association
    poses: PoseAccuracy | None
    calibration: CovarianceConsistency | None
    trajectory: TrajectoryAccuracy | None
    tracks: TrackFigures | None
    notes: tuple[str, ...]
