"""Scores as probabilities: a monotone map from the network's scores to the share of boxes that are objects."""

from __future__ import annotations

import math

import numpy as np

from yolc_ros.network.config import ScoreCalibration

_EDGE = 1e-6  # scores are kept so far from 0 and 1, whose logits are infinite


def calibrate(scores: np.ndarray, calibration: ScoreCalibration) -> np.ndarray:
    """Return the probabilities (N,) float32 that belong to scores (N,), as Platt 1999: sigmoid(slope logit + offset).

    The order of scores is kept.
    """
    return _sigmoid(calibration.slope * _logit(scores) + calibration.offset).astype(np.float32)


def raw_threshold(probability: float, calibration: ScoreCalibration) -> float:
    """Return the network's score that is calibrated to this probability: the inverse of `calibrate`."""
    logit = (float(_logit(np.array(probability))) - calibration.offset) / calibration.slope
    return float(_sigmoid(np.array(logit)))


def fit_calibration(
    scores: np.ndarray, is_hit: np.ndarray, weights: np.ndarray | None = None, *, iterations: int = 50
) -> ScoreCalibration:
    """Fit slope and offset by maximum likelihood: Newton's method on the cross-entropy, which is convex.

    scores: (N,) of the network. is_hit: (N,) bool, whether the box is an object. weights: (N,), None: all equal.
    Raises ValueError without hits or without misses, and where the slope would not be positive: scores that rank
    wrong boxes first cannot be calibrated.
    """
    hits, mass = np.asarray(is_hit, np.float64), np.ones(len(scores)) if weights is None else np.asarray(weights)
    if not 0 < (mass * hits).sum() < mass.sum():
        raise ValueError("a calibration needs hits and misses")
    mass = mass / mass.sum()
    columns = np.column_stack([_logit(scores), np.ones(len(scores))])
    values = np.array([1.0, 0.0])
    loss = _cross_entropy(columns @ values, hits, mass)
    for _ in range(iterations):
        probability = _sigmoid(columns @ values)
        gradient = columns.T @ (mass * (probability - hits))
        curvature = (columns * (mass * probability * (1 - probability))[:, None]).T @ columns
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient)
        share = 1.0
        while (moved := _cross_entropy(columns @ (values - share * step), hits, mass)) > loss and share > 1e-6:
            share /= 2
        values, loss = values - share * step, min(moved, loss)
        if math.hypot(*(share * step)) < 1e-9:
            break
    slope, offset = values.tolist()
    if slope <= 0:
        raise ValueError("the scores do not rank hits before misses")
    return ScoreCalibration(slope, offset)


def _cross_entropy(logits: np.ndarray, hits: np.ndarray, mass: np.ndarray) -> float:
    return float((mass * (np.logaddexp(0, logits) - hits * logits)).sum())


def _logit(scores: np.ndarray) -> np.ndarray:
    kept = np.clip(np.asarray(scores, np.float64), _EDGE, 1 - _EDGE)
    return np.asarray(np.log(kept / (1 - kept)))


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logits)))
