"""Image pairs of known geometry, and how far an estimated relative pose is from the truth.

The protocol is that of SuperGlue and LoFTR: a pair's error is the larger of the rotation angle and the angle between
the translations, a pair without a pose has 180 degrees, and the area under the curve of recall over error is taken up
to 5, 10 and 20 degrees. Opposite translations are not taken for equal here (they are there).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from perception_common.errors import InputError
from perception_common.geometry import pose_error, transform

FAILED_DEGREES = 180.0
AUC_LIMITS = (5, 10, 20)  # degrees
NOISE_PIXELS = 1.0  # threshold of `estimate_plain_pose`, pixels of the matched images


@dataclass(frozen=True, eq=False)
class ImagePair:
    """Two images and what is known of them: a relative pose, or a homography.

    name_a, name_b: as the file gives them. path_a, path_b: where they lie. K_a, K_b: (3, 3), pixels of the stored
    images. T_ab: (4, 4), points of camera a to camera b. H_ab: (3, 3), pixels of image a to image b. T_ab comes with
    both K; one of T_ab and H_ab is there, the rest None.
    """

    name_a: str
    name_b: str
    path_a: Path
    path_b: Path
    K_a: np.ndarray | None
    K_b: np.ndarray | None
    T_ab: np.ndarray | None
    H_ab: np.ndarray | None


def read_pairs(path: Path) -> tuple[ImagePair, ...]:
    """Read a pairs.json; names in it are relative to its folder. Raises InputError, also when it holds no pair."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["pairs"]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: is no pairs.json ({error!r}); a JSON object with a list `pairs` is expected"
        ) from error
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: holds no pairs")
    return tuple(_read_pair(entry, f"{path}, pair {number}", path.parent) for number, entry in enumerate(entries))


def _read_pair(entry: Any, where: str, folder: Path) -> ImagePair:
    try:
        name_a, name_b = str(entry["a"]), str(entry["b"])
        is_posed = "T_ab" in entry
        needed = {"K_a": (3, 3), "K_b": (3, 3), "T_ab": (4, 4)} if is_posed else {"H_ab": (3, 3)}
        values = {key: np.array(entry[key], np.float64) for key in needed}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{where}: needs a, b and either K_a, K_b and T_ab or H_ab ({error!r})") from error
    for key, shape in needed.items():
        if values[key].shape != shape or not np.isfinite(values[key]).all():
            raise InputError(f"{where}: {key} must be {shape[0]}x{shape[1]} finite numbers")
    keys = ("K_a", "K_b", "T_ab", "H_ab")
    return ImagePair(name_a, name_b, folder / name_a, folder / name_b, *(values.get(key) for key in keys))


def read_gray(path: Path) -> np.ndarray:
    """Read an image, (H, W) uint8. Raises InputError that names the file."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if image is None:
        raise InputError(f"{path}: is missing or no image; check the folder of the pairs")
    return image


def resizing(old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """Return the (3, 3) matrix from pixels of an image to those of its resized form; sizes are shapes (H, W).

    Pixel centres are at integers, so the image's corner is at -0.5.
    """
    y, x = new[0] / old[0], new[1] / old[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def estimate_plain_pose(
    points_a: np.ndarray,
    points_b: np.ndarray,
    K_a: np.ndarray,
    K_b: np.ndarray,
    threshold: float = NOISE_PIXELS,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Relative pose by OpenCV alone (USAC_MAGSAC at 1 px, recoverPose), so that figures compare with those of others.

    points: (N, 2) matched pixels. threshold: pixels, 1 unless said otherwise. Returns T_ab (4, 4) with a translation of
    length 1 and the inliers (N,) bool; None when there is no pose.
    """
    if len(points_a) < 5:
        return None
    rays_a, rays_b = _normalised(points_a, K_a), _normalised(points_b, K_b)
    focal = (K_a[0, 0] + K_a[1, 1] + K_b[0, 0] + K_b[1, 1]) / 4
    E, mask = cv2.findEssentialMat(
        rays_a, rays_b, np.eye(3), cv2.USAC_MAGSAC, prob=0.99999, threshold=threshold / focal
    )
    if E is None or E.shape != (3, 3):
        return None
    inliers = mask[:, 0] > 0
    _, R, t, _ = cv2.recoverPose(E, rays_a, rays_b, np.eye(3), mask=mask)
    return transform(R, t), inliers


def _normalised(points: np.ndarray, K: np.ndarray) -> np.ndarray:
    return (np.column_stack([points, np.ones(len(points))]) @ np.linalg.inv(K).T)[:, :2]


def pose_degrees(estimated: np.ndarray | None, true: np.ndarray) -> float:
    """Error of a relative pose (4, 4), degrees: the larger of rotation and direction; 180 for None.

    Where the truth has no translation the rotation alone counts; an estimate without one where there is one is a
    failure.
    """
    if estimated is None:
        return FAILED_DEGREES
    rotation, direction = pose_error(estimated, true)
    if not np.any(true[:3, 3]):
        return rotation
    return max(rotation, direction) if np.isfinite(direction) else FAILED_DEGREES


def area_under_recall(errors: Sequence[float] | np.ndarray, limit: float) -> float:
    """Mean over thresholds from 0 to `limit` of the fraction of errors below, by trapezoids as in SuperGlue."""
    ordered = np.concatenate([[0.0], np.sort(np.asarray(errors, np.float64))])
    recall = np.arange(len(ordered)) / max(len(errors), 1)
    last = int(np.searchsorted(ordered, limit))
    x = np.append(ordered[:last], limit)
    y = np.append(recall[:last], recall[last - 1])
    return float(np.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2) / limit)
