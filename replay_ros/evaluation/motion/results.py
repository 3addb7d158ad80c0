"""Results of the motion evaluation, in plain values: `dataclasses.asdict` of any of these is JSON.

A figure without a value is None, never NaN. Positions are of the optical frame in the frame of the truth, metres;
stamps are nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Association:
    """How many estimated poses have a true pose at their stamp.

    tolerance_s: largest stamp difference. poses: estimated; matched, unmatched: with and without truth. median_gap_s,
    largest_gap_s: stamp differences of the matched poses; None without any.
    """

    tolerance_s: float
    poses: int
    matched: int
    unmatched: int
    median_gap_s: float | None
    largest_gap_s: float | None


@dataclass(frozen=True)
class EdgeError:
    """Error of one relative pose.

    geometry, scale: names of the enumerations of RelativePose.msg, as "GENERAL" and "UNKNOWN". rotation_deg: angle
    between the rotations. direction_deg: angle between the translations; None where one has length 0. error_deg: the
    larger of the two, 180 for a failure. true_length_m: of the true translation. length_error_m: estimated minus true
    length; None while the scale is unknown. dof: observed degrees of freedom. nees: normalised estimation error
    squared over these; inside_95: whether it lies inside the 95 % ellipsoid; both None for a failure. matches, inliers,
    parallax_deg, residual_px: of the message.
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
    """Relative poses against the truth, by the protocol of SuperGlue and LoFTR.

    estimator: name and threshold of the pose estimator. edges: number with truth; failures: failed ones among them.
    success_5deg: number with an error under 5 degrees. auc: {"5", "10", "20"}, 0 to 1. median_*: over the edges that
    did not fail; None when all did. median_length_error: relative error of the translation's length, metric edges
    only; None without any. details: every edge.
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
    """Statistics of a list of errors, as evo defines them."""

    rmse: float
    mean: float
    median: float
    largest: float


@dataclass(frozen=True)
class TrajectoryAccuracy:
    """The trajectory against the truth, by evo.

    alignment: "SE3" (rotation and translation, for a metric trajectory) or "Sim3" (also scaled by `scale`, for an
    unknown scale). poses: number with truth. length_m: of the true path. ate_m: position errors after the alignment.
    rpe_m, rpe_deg: errors of the motion between consecutive poses. drift: end point error over the true length (m/m)
    with the first poses aligned; drift_deg_per_m: the same of the rotation; None for a path of length 0. stamps_ns,
    estimated (after the alignment), true, errors_m: of each pose.
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
    """Whether the covariances fit the errors.

    edges: number with a NEES. dof: sum of their observed degrees of freedom. nees_per_dof: sum of NEES over `dof`; 1 is
    consistent, more is overconfident, less is too cautious. expected: 95 % interval of nees_per_dof for consistent
    covariances. inside_95: share of the edges inside their 95 % ellipsoid. by_geometry: nees_per_dof of each geometry.
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
    """Tracks of keypoints through the keyframes.

    mean_length: keyframes in a track. share_of_3: share of tracks with three or more keyframes. reprojection_px: median
    reprojection error of the points triangulated with the true poses, pixels of the original images; None without any.
    observed_share: keyframes of a track over those that see its point by the true poses, mean. continued_share: matches
    that continue a track, of those whose point the keyframe before saw. Both 0 to 1; None without true poses.
    """

    tracks: int
    mean_length: float
    share_of_3: float
    reprojection_px: float | None
    observed_share: float | None
    continued_share: float | None


@dataclass(frozen=True)
class OdometryConsistency:
    """Increments of loftr/odometry, from one message to the next, against the truth.

    increments: with a known rotation. gaps: other pairs of consecutive messages. without_translation: increments whose
    translation is unknown. nees_per_dof: sum of NEES over the sum of degrees of freedom; 1 is consistent. inside_95:
    share inside the 95 % ellipsoid. rms_m: of the translation's error, None without any; rms_deg: of the rotation's.
    """

    increments: int
    gaps: int
    without_translation: int
    nees_per_dof: float
    median_nees_per_dof: float
    inside_95: float
    rms_m: float | None
    rms_deg: float


@dataclass(frozen=True)
class MotionResult:
    """All motion figures of a recording. A part is None where the recording lacks its data or its truth.

    truth: source of the true poses. notes: caveats of the figures.
    """

    truth: str
    association: Association
    poses: PoseAccuracy | None
    calibration: CovarianceConsistency | None
    trajectory: TrajectoryAccuracy | None
    tracks: TrackFigures | None
    odometry: OdometryConsistency | None
    notes: tuple[str, ...]
