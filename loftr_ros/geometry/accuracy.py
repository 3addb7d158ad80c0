"""Accuracy of relative poses by the protocol of SuperGlue and LoFTR.

The error of a pair is the larger of the rotation error and the angle between the translations; a pair without a pose
has 180 degrees. The score is the area under the curve of recall over error, up to 5, 10 and 20 degrees. Unlike the
published protocol, opposite translations count as different.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perception_common.geometry import pose_error

FAILED_DEGREES = 180.0
AUC_LIMITS = (5, 10, 20)  # degrees
SUCCESS_DEGREES = 5.0  # a pose with a smaller error is a success


def pose_degrees(estimated: np.ndarray | None, true: np.ndarray) -> float:
    """Error of a relative pose (4, 4), degrees: the larger of rotation and direction; 180 for None.

    If the true translation is 0, the rotation alone counts. If only the estimated one is 0, the pose has failed.
    """
    if estimated is None:
        return FAILED_DEGREES
    rotation, direction = pose_error(estimated, true)
    if not np.any(true[:3, 3]):
        return rotation
    return max(rotation, direction) if np.isfinite(direction) else FAILED_DEGREES


def area_under_recall(errors: Sequence[float] | np.ndarray, limit: float) -> float:
    """Area under recall over error from 0 to `limit`, divided by `limit`: 0 to 1, by trapezoids as in SuperGlue."""
    ordered = np.concatenate([[0.0], np.sort(np.asarray(errors, np.float64))])
    recall = np.arange(len(ordered)) / max(len(errors), 1)
    last = int(np.searchsorted(ordered, limit))
    x = np.append(ordered[:last], limit)
    y = np.append(recall[:last], recall[last - 1])
    return float(np.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2) / limit)
