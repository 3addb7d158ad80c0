"""Camera models of sensor_msgs/CameraInfo: from pixels to rays and rectified pixels, and back.

Pixel coordinates are (x, y) with (0, 0) at the centre of the top left pixel. The original image is the one that the
camera delivers, after its ROI and binning. The rectified image has no distortion and is rotated by the rectification
rotation R of a stereo pair (for a single camera R is the identity). Both have the same size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from perception_common.errors import InputError

_COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_ITERATIONS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)  # of undistortion; empirical
_INVERSE_TOLERANCE = 0.05  # pixels by which a point may miss itself after undistortion and distortion; empirical


@dataclass(frozen=True)
class Camera:
    """A calibrated camera, described for its delivered images. Hashable: matrices are tuples in row-major order.

    width, height: pixels of the delivered image.
    K: 9 values, fx 0 cx 0 fy cy 0 0 1, pixels of the delivered image.
    distortion: coefficients in OpenCV's order; empty for a pinhole.
    model: "plumb_bob" (4 or 5 coefficients), "rational_polynomial" (8, 12 or 14), "equidistant" (4, OpenCV's fisheye).
    R: 9 values, rectification rotation: x_rectified = R x_camera.
    K_rectified: 9 values, matrix of the rectified image; None: the same as K.

    Raises InputError for values that are not a calibration.
    """

    width: int
    height: int
    K: tuple[float, ...]
    distortion: tuple[float, ...] = ()
    model: str = "plumb_bob"
    R: tuple[float, ...] = _IDENTITY
    K_rectified: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("K", "distortion", "R", "K_rectified"):
            if (values := getattr(self, name)) is not None:
                object.__setattr__(self, name, tuple(float(value) for value in np.ravel(values)))
        if self.model == "fisheye":
            object.__setattr__(self, "model", "equidistant")
        _check_matrix(self.K, "K")
        if self.width < 1 or self.height < 1:
            raise InputError(f"camera is not calibrated: its image size is {self.width}x{self.height}")
        if self.K_rectified is not None:
            _check_matrix(self.K_rectified, "P")
        _check_rotation(self.R)
        _check_distortion(self.model, self.distortion)

    @classmethod
    def from_camera_info(cls, info: Any) -> Camera:
        """Read a sensor_msgs/CameraInfo (ROS 2 names: k, d, r, p).

        K and P of the message refer to the full sensor: the ROI's offset is subtracted from the principal point, then
        focal lengths and principal point are divided by the binning, as in image_geometry. The matrix of the rectified
        image is P if it is filled, else K. Raises InputError for an uncalibrated camera.
        """
        binning = np.array([max(1, info.binning_x), max(1, info.binning_y)])
        roi = info.roi
        full = (roi.width or info.width, roi.height or info.height)
        offset = np.array([roi.x_offset, roi.y_offset])
        K = np.array(info.k, np.float64).reshape(3, 3)
        P = np.array(info.p, np.float64).reshape(3, 4)[:, :3]
        return cls(
            width=int(full[0] // binning[0]),
            height=int(full[1] // binning[1]),
            K=_as_tuple(_crop_and_bin(K, offset, binning)),
            distortion=tuple(info.d),
            model=info.distortion_model or "plumb_bob",
            R=tuple(info.r) if np.any(info.r) else _IDENTITY,
            K_rectified=_as_tuple(_crop_and_bin(P, offset, binning)) if P[0, 0] != 0 else None,
        )

    @classmethod
    def from_matrix(
        cls, K: np.ndarray, width: int, height: int, distortion: Any = (), model: str = "plumb_bob"
    ) -> Camera:
        """Build a single camera from its matrix K (3, 3) and distortion coefficients of any array type."""
        K, distortion = np.asarray(K), np.asarray(distortion)
        return cls(width=width, height=height, K=_as_tuple(K), distortion=_as_tuple(distortion), model=model)

    @property
    def matrix(self) -> np.ndarray:
        """Camera matrix of the original image, (3, 3) float64."""
        return np.array(self.K).reshape(3, 3)

    @property
    def rectified_matrix(self) -> np.ndarray:
        """Camera matrix of the rectified image, (3, 3) float64."""
        return np.array(self.K_rectified or self.K).reshape(3, 3)

    @property
    def rotation(self) -> np.ndarray:
        """Rectification rotation, (3, 3) float64: x_rectified = rotation @ x_camera."""
        return np.array(self.R).reshape(3, 3)

    @property
    def is_rectified(self) -> bool:
        """Whether the original image equals the rectified one: no distortion, no rotation, one matrix."""
        return self._is_pinhole and self.R == _IDENTITY and self.K_rectified in (None, self.K)

    def rectified(self) -> Camera:
        """Return the camera of the rectified image: a pinhole with `rectified_matrix`."""
        return Camera(self.width, self.height, self.K_rectified or self.K)

    def matches_size(self, width: int, height: int) -> bool:
        """Return whether the camera's images have this size."""
        return (self.width, self.height) == (width, height)

    def scaled(self, sx: float, sy: float) -> Camera:
        """Return the camera of the image resized as by cv2.resize: pixel x moves to (x + 0.5) sx - 0.5."""
        S = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
        return replace(
            self,
            width=round(self.width * sx),
            height=round(self.height * sy),
            K=_as_tuple(S @ self.matrix),
            K_rectified=None if self.K_rectified is None else _as_tuple(S @ self.rectified_matrix),
        )

    def rays(self, points: np.ndarray) -> np.ndarray:
        """Convert pixels of the original image (N, 2) to rays x/z, y/z (N, 2) float64 in the rectified camera's axes.

        rays(p) = rectified_matrix^-1 undistort(p); the axes are the camera's own if R is the identity. Pixels where the
        distortion has no inverse give NaN.
        """
        points = _as_points(points)
        if self._is_pinhole:
            return _rotate(self.rotation, _normalise(self.matrix, points))
        pixels, D = points[:, None], np.array(self.distortion)
        if not len(points):
            return points
        if self.model == "equidistant":
            rays = cv2.fisheye.undistortPoints(pixels, self.matrix, D, criteria=_ITERATIONS)[:, 0]
        else:
            rays = cv2.undistortPointsIter(pixels, self.matrix, D, np.eye(3), np.eye(3), _ITERATIONS)[:, 0]
        error = np.linalg.norm(self._project(rays) - points, axis=1)
        rays[~(error < _INVERSE_TOLERANCE)] = np.nan
        return _rotate(self.rotation, rays)

    def undistort(self, points: np.ndarray) -> np.ndarray:
        """Convert pixels of the original image (N, 2) to rectified pixels (N, 2) float64; NaN as in `rays`."""
        return _to_pixels(self.rectified_matrix, self.rays(points))

    def distort(self, points: np.ndarray) -> np.ndarray:
        """Convert pixels of the rectified image (N, 2) to pixels of the original image (N, 2) float64."""
        return self._project(_rotate(self.rotation.T, _normalise(self.rectified_matrix, _as_points(points))))

    def rectify(self, image: np.ndarray) -> np.ndarray:
        """Rectify an original image (H, W) or (H, W, 3); pixels outside the original become black.

        If `is_rectified`, the image itself is returned. Raises InputError when its size is not the camera's.
        """
        height, width = image.shape[:2]
        if not self.matches_size(width, height):
            raise InputError(
                f"image is {width}x{height}, but camera_info is for {self.width}x{self.height}; "
                "check that the two topics belong together"
            )
        if self.is_rectified:
            return image
        map1, map2 = _rectification_maps(self)
        return cv2.remap(image, map1, map2, cv2.INTER_LINEAR)

    @property
    def _is_pinhole(self) -> bool:
        return not self.distortion or (self.model != "equidistant" and not any(self.distortion))

    def _project(self, rays: np.ndarray) -> np.ndarray:
        """Project rays x/z, y/z (N, 2) in the camera's own axes to pixels (N, 2) of the original image."""
        if self._is_pinhole or not len(rays):
            return _to_pixels(self.matrix, rays)
        directions, zero = np.insert(rays, 2, 1.0, axis=1)[:, None], np.zeros(3)
        D = np.array(self.distortion)
        if self.model == "equidistant":
            return cv2.fisheye.projectPoints(directions, zero, zero, self.matrix, D)[0][:, 0]
        return cv2.projectPoints(directions, zero, zero, self.matrix, D)[0][:, 0]


@lru_cache(maxsize=4)
def _rectification_maps(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    size = (camera.width, camera.height)
    D = np.array(camera.distortion)
    is_fisheye = camera.model == "equidistant" and camera.distortion
    make_maps: Any = cv2.fisheye.initUndistortRectifyMap if is_fisheye else cv2.initUndistortRectifyMap
    return make_maps(camera.matrix, D, camera.rotation, camera.rectified_matrix, size, cv2.CV_16SC2)


def _crop_and_bin(K: np.ndarray, offset: np.ndarray, binning: np.ndarray) -> np.ndarray:
    K = K.copy()
    K[:2, 2] -= offset
    K[:2] /= binning[:, None]
    return K


def _as_points(points: np.ndarray) -> np.ndarray:
    return np.asarray(points, np.float64).reshape(-1, 2)


def _as_tuple(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values.ravel())


def _normalise(K: np.ndarray, points: np.ndarray) -> np.ndarray:
    return (points - K[:2, 2]) / K[[0, 1], [0, 1]]


def _to_pixels(K: np.ndarray, rays: np.ndarray) -> np.ndarray:
    return rays * K[[0, 1], [0, 1]] + K[:2, 2]


def _rotate(R: np.ndarray, rays: np.ndarray) -> np.ndarray:
    rotated = rays @ R[:, :2].T + R[:, 2]
    return rotated[:, :2] / rotated[:, 2:]


def _check_matrix(K: tuple[float, ...], name: str) -> None:
    if len(K) != 9:
        raise InputError(f"camera is not calibrated: {name} has {len(K)} values, not 9")
    if not np.all(np.isfinite(K)):
        raise InputError(
            f"camera is not calibrated: {name} holds NaN or infinity; calibrate it or correct its camera_info"
        )
    fx, skew, _, lower, fy, _, *last = K
    if fx <= 0 or fy <= 0:
        raise InputError(
            f"camera is not calibrated: the focal lengths in {name} are {fx:g} and {fy:g}; "
            "calibrate it or correct its camera_info"
        )
    if skew or lower or last != [0, 0, 1]:
        raise InputError(f"camera is not calibrated: {name} must have the form fx 0 cx 0 fy cy 0 0 1")


def _check_rotation(R: tuple[float, ...]) -> None:
    matrix = np.array(R)
    is_bounded = matrix.size == 9 and bool(np.all(np.abs(matrix) < 2))  # a rotation's entries are at most 1
    if not is_bounded or not np.allclose(matrix.reshape(3, 3) @ matrix.reshape(3, 3).T, np.eye(3), atol=1e-3):
        raise InputError("camera is not calibrated: R is not a rotation; correct its camera_info")


def _check_distortion(model: str, distortion: tuple[float, ...]) -> None:
    if model not in _COEFFICIENTS:
        raise InputError(f"unknown distortion model {model!r}; known are {', '.join(_COEFFICIENTS)} and fisheye")
    if distortion and len(distortion) not in _COEFFICIENTS[model]:
        counts = " or ".join(map(str, _COEFFICIENTS[model]))
        raise InputError(f"camera is not calibrated: {model} takes {counts} coefficients in D, not {len(distortion)}")
    if not np.all(np.isfinite(distortion)):
        raise InputError("camera is not calibrated: D holds NaN or infinity; correct its camera_info")
