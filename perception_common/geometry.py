"""Rotations and rigid motions as numpy arrays: R is (3, 3), a transform T is (4, 4), float64.

T_a_b takes points of frame b to frame a: p_a = T_a_b p_b; compose(T_a_b, T_b_c) = T_a_c. Quaternions are (x, y, z,
w), as in ROS. Angles are in radians unless a name says degrees. Twists and covariances are in ROS order,
translation before rotation.
"""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

RIGID_TOLERANCE = 1e-3  # of R^T R = I and of the last row: the rounding of text files with four digits
QUATERNION_TOLERANCE = 0.01  # of the length 1: the rounding of text files with two digits
_SMALL = 1e-4  # radians; below it the first neglected term of the series is under 1e-16


def transform(R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return the (4, 4) transform with rotation R (3, 3) and translation t (3,)."""
    T = np.eye(4)
    T[:3, :3] = R
    T[:3, 3] = np.ravel(t)
    return T


def compose(*transforms: np.ndarray) -> np.ndarray:
    """Return the product of (4, 4) transforms; the last one is applied first. Without arguments: the identity."""
    return reduce(np.matmul, transforms, np.eye(4))


def inverse(T: np.ndarray) -> np.ndarray:
    """Return the inverse of a (4, 4) rigid transform."""
    R, t = T[:3, :3], T[:3, 3]
    return transform(R.T, -R.T @ t)


def rigid_fault(T: np.ndarray, tolerance: float = RIGID_TOLERANCE) -> str:
    """Return what keeps T, (4, 4) or (3, 4), from being a rigid motion, as the end of a sentence; empty for one.

    A rigid motion has finite entries, a rotation with R^T R = I (each entry within `tolerance`) and determinant 1, and
    the last row 0 0 0 1.
    """
    T = np.asarray(T)
    if T.shape not in ((4, 4), (3, 4)):
        return f"is not a 4x4 matrix but {'x'.join(map(str, T.shape)) or 'a number'}"
    if not np.isfinite(T).all():
        return "is not finite"
    if T.shape == (4, 4) and np.abs(T[3] - [0, 0, 0, 1]).max() > tolerance:
        return f"has the last row {' '.join(f'{value:g}' for value in T[3])}, not 0 0 0 1"
    R, no_rotation = T[:3, :3], "has an upper left 3x3 that is not a rotation"
    with np.errstate(over="ignore", invalid="ignore"):
        product, determinant = R.T @ R, np.linalg.det(R)
        scale = np.cbrt(abs(determinant))
        if np.abs(product - np.eye(3)).max() <= tolerance:
            return "" if determinant > 0 else f"{no_rotation} but mirrors (determinant -1)"
        is_scaled = 0 < scale < np.inf and np.abs(product / scale**2 - np.eye(3)).max() <= tolerance
    if is_scaled:
        return f"{no_rotation} but one that is scaled by {scale:g}"
    return f"{no_rotation}: its columns are not orthonormal"


def quaternion_fault(q: np.ndarray) -> str:
    """Return what keeps q (4,) from being a unit quaternion, as the end of a sentence; empty for one."""
    length = float(np.linalg.norm(q))
    if abs(length - 1.0) <= QUATERNION_TOLERANCE:
        return ""
    return f"is not a rotation: its quaternion has length {length:.3f}, not 1"


def adjoint(T: np.ndarray) -> np.ndarray:
    """Return the (6, 6) matrix that maps twists (translation, rotation) of frame b to frame a, for T = T_a_b.

    exp(adjoint(T) x) = T exp(x) T^-1, and a covariance of such twists becomes A C A^T.
    """
    R = T[:3, :3]
    A = np.zeros((6, 6))
    A[:3, :3] = A[3:, 3:] = R
    A[:3, 3:] = skew(T[:3, 3]) @ R
    return A


def skew(v: np.ndarray) -> np.ndarray:
    """Return the (3, 3) matrix with skew(v) @ u = v x u."""
    x, y, z = np.ravel(v).tolist()
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def so3_exp(w: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) of a rotation vector (3,): axis times angle (Rodrigues)."""
    x, y, z = np.ravel(w).tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    # Each entry by itself: on numbers of Python this is several times as fast as on arrays of 3 and 9.
    if angle < _SMALL:
        a, b = 1 - angle**2 / 6, 0.5 - angle**2 / 24
    else:
        a, b = math.sin(angle) / angle, 2 * (math.sin(angle / 2) / angle) ** 2
    return np.array(
        [
            [1 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y],
            [b * x * y + a * z, 1 - b * (x * x + z * z), b * y * z - a * x],
            [b * x * z - a * y, b * y * z + a * x, 1 - b * (x * x + y * y)],
        ]
    )


def so3_exp_each(w: np.ndarray) -> np.ndarray:
    """Return the rotations (N, 3, 3) of rotation vectors (N, 3), each as `so3_exp` has it."""
    angle = np.linalg.norm(w, axis=1)[:, None, None]
    W = np.zeros((len(w), 3, 3))
    W[:, [2, 0, 1], [1, 2, 0]] = w
    W -= W.transpose(0, 2, 1)
    half = np.sinc(angle / (2 * np.pi))
    rotations: np.ndarray = np.eye(3) + np.sinc(angle / np.pi) * W + half**2 / 2 * (W @ W)
    return rotations


def so3_log(R: np.ndarray) -> np.ndarray:
    """Return the rotation vector (3,), of length 0 to pi, of a rotation (3, 3); accurate near both limits."""
    q = quaternion_from_matrix(R)
    length = float(np.linalg.norm(q[:3]))
    if length < _SMALL:
        return 2 * q[:3]
    return 2 * np.arctan2(length, q[3]) / length * q[:3]


def se3_log(T: np.ndarray) -> np.ndarray:
    """Return the twist (6,), translation then rotation, whose exponential is the transform (4, 4).

    A body that moves with a constant velocity v and angular velocity w in its own axes moves by T in one second.
    """
    w = so3_log(T[:3, :3])
    angle, W = float(np.linalg.norm(w)), skew(w)
    squared = 1 / 12 if angle < 1e-4 else (1 - angle / 2 / np.tan(angle / 2)) / angle**2
    return np.concatenate([(np.eye(3) - W / 2 + squared * W @ W) @ T[:3, 3], w])


def quaternion_from_matrix(R: np.ndarray) -> np.ndarray:
    """Return the unit quaternion (x, y, z, w), w >= 0, of a rotation (3, 3)."""
    R = np.asarray(R, np.float64)
    # Row i is the quaternion times 4 q[i]. The row with the largest |q[i]| loses the least precision.
    rows = np.array(
        [
            [1 + R[0, 0] - R[1, 1] - R[2, 2], R[1, 0] + R[0, 1], R[0, 2] + R[2, 0], R[2, 1] - R[1, 2]],
            [R[1, 0] + R[0, 1], 1 - R[0, 0] + R[1, 1] - R[2, 2], R[2, 1] + R[1, 2], R[0, 2] - R[2, 0]],
            [R[0, 2] + R[2, 0], R[2, 1] + R[1, 2], 1 - R[0, 0] - R[1, 1] + R[2, 2], R[1, 0] - R[0, 1]],
            [R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1], 1 + R[0, 0] + R[1, 1] + R[2, 2]],
        ]
    )
    q = rows[np.argmax(rows.diagonal())]
    q = q / np.linalg.norm(q)
    return -q if q[3] < 0 else q


def matrix_from_quaternion(q: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) of a quaternion (x, y, z, w), normalised first. Raises ValueError for length 0."""
    q = np.asarray(q, np.float64)
    length = np.linalg.norm(q)
    if not length > 0:
        raise ValueError("a quaternion of length zero is not a rotation")
    v, w = q[:3] / length, q[3] / length
    V = skew(v)
    return np.eye(3) + 2 * w * V + 2 * V @ V


def angle_between(u: np.ndarray, v: np.ndarray) -> float:
    """Return the angle, 0 to pi, between two vectors (3,), in radians; NaN when one is zero."""
    u, v = np.ravel(u), np.ravel(v)
    if not (np.any(u) and np.any(v)):
        return float("nan")
    return float(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v))


def rotation_angle(R: np.ndarray) -> float:
    """Return the angle, 0 to pi, of a rotation (3, 3), in radians."""
    return float(np.linalg.norm(so3_log(R)))


def pose_error(T_estimated: np.ndarray, T_true: np.ndarray) -> tuple[float, float]:
    """Return (rotation error, angle between the translations), both in degrees, of (4, 4) relative poses.

    The second is 0 to 180 (opposite directions differ) and NaN when a translation is zero.
    """
    rotation = rotation_angle(T_estimated[:3, :3].T @ T_true[:3, :3])
    direction = angle_between(T_estimated[:3, 3], T_true[:3, 3])
    return float(np.degrees(rotation)), float(np.degrees(direction))
