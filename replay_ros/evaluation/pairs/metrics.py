"""Errors of single pairs, and the summary of them that papers publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from loftr_ros.geometry.accuracy import AUC_LIMITS, SUCCESS_DEGREES, area_under_recall

CORNER_LIMITS = (3, 5, 10)  # pixels, as in section 4.1 of LoFTR's paper


@dataclass(frozen=True)
class PairErrors:
    """Result of one pair.

    a, b: image files. geometry: the estimator's class of the scene, "FAILED" without an estimate. error_degrees: of the
    pose, 180 for a failure; None where the truth is a homography. corner_px: of the homography, pixels of the stored
    image; None where it failed or the truth is a pose. seconds_matching: without the encoding of the two images.
    failure: why the matcher or the estimator gave up on the images, as an error; empty otherwise. nees: squared error
    in units of the covariance, see consistency.py; None where the estimator has none. dof: its degrees of freedom.
    estimate_px, truth_px: median distances of the inliers to the estimated and to the true epipolar lines, pixels of
    the matched images; None where there are none, see truth_agreement.py.
    """

    a: str
    b: str
    matches: int
    inliers: int
    geometry: str
    error_degrees: float | None
    corner_px: float | None
    seconds_matching: float
    seconds_estimating: float
    failure: str = ""
    nees: float | None = None
    dof: int = 0
    estimate_px: float | None = None
    truth_px: float | None = None


@dataclass(frozen=True)
class PairSummary:
    """Figures over all pairs; None where no pair has the truth that a figure needs.

    success_5deg: number of poses with an error under 5 degrees. auc: {"5", "10", "20"}, 0 to 1, integrated as in
    SuperGlue and LoFTR. corner_px: mean corner error of the homographies; also None when one of them failed.
    corner_auc: {"3", "5", "10"}, of their corner errors in pixels, integrated as `auc`; a failure is an infinite error.
    failures: pairs without an estimate. matches, inliers, seconds_per_pair: means.
    """

    pairs: int
    success_5deg: int | None
    auc: dict[str, float | None]
    median_degrees: float | None
    corner_px: float | None
    corner_auc: dict[str, float | None]
    failures: int
    matches: float
    inliers: float
    seconds_per_pair: float


def summarise_pairs(results: Sequence[PairErrors]) -> PairSummary:
    """Summarise at least one pair."""
    degrees = [result.error_degrees for result in results if result.error_degrees is not None]
    corners = [result.corner_px for result in results if result.error_degrees is None]
    bounded = [np.inf if corner is None else corner for corner in corners]
    finite = [corner for corner in corners if corner is not None]
    return PairSummary(
        pairs=len(results),
        success_5deg=sum(error < SUCCESS_DEGREES for error in degrees) if degrees else None,
        auc={str(limit): area_under_recall(degrees, limit) if degrees else None for limit in AUC_LIMITS},
        median_degrees=float(np.median(degrees)) if degrees else None,
        corner_px=float(np.mean(finite)) if finite and len(finite) == len(corners) else None,
        corner_auc={str(limit): area_under_recall(bounded, limit) if corners else None for limit in CORNER_LIMITS},
        failures=sum(result.geometry == "FAILED" for result in results),
        matches=float(np.mean([result.matches for result in results])),
        inliers=float(np.mean([result.inliers for result in results])),
        seconds_per_pair=float(np.mean([result.seconds_matching + result.seconds_estimating for result in results])),
    )


def corner_error(H_estimated: np.ndarray, H_true: np.ndarray, width: int, height: int) -> float:
    """Mean distance of the four corner pixels of image a under both homographies (3, 3), pixels of image b."""
    corners = np.array([[[0, 0]], [[width - 1, 0]], [[width - 1, height - 1]], [[0, height - 1]]], np.float64)
    estimated, true = (cv2.perspectiveTransform(corners, H) for H in (H_estimated, H_true))
    return float(np.linalg.norm(estimated - true, axis=2).mean())
