"""Camera files: what a sensor_msgs/CameraInfo needs, from the formats that calibrations come in."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError

# Numbers of coefficients by model, as sensor_msgs/CameraInfo orders them.
COEFFICIENTS = {"plumb_bob": (5,), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}
MODEL_NAMES = {
    "plumb_bob": "plumb_bob",
    "radtan": "plumb_bob",
    "pinhole": "plumb_bob",
    "opencv": "plumb_bob",
    "none": "plumb_bob",
    "rational_polynomial": "rational_polynomial",
    "equidistant": "equidistant",
    "fisheye": "equidistant",
    "opencv_fisheye": "equidistant",
}
ACCEPTED = (
    "ROS camera_calibration YAML, OpenCV FileStorage, YAML {K: [fx, fy, cx, cy], D: [...]} "
    "or JSON with K, width, height"
)


@dataclass(frozen=True)
class Calibration:
    """The fields of a sensor_msgs/CameraInfo.

    width, height: pixels, 0 when the file does not say for which size it holds.
    K: (3, 3) float64, pixels of the original image. D: distortion in the order of CameraInfo.
    R: (3, 3) float64, rectification. P: (3, 4) float64, pixels of the rectified image.
    """

    width: int
    height: int
    model: str
    K: np.ndarray
    D: tuple[float, ...]
    R: np.ndarray
    P: np.ndarray


def read_calibration(path: Path | str, camera: int | None = None) -> Calibration:
    """Read a camera file.

    camera: 1 or 2, which camera of an OpenCV stereo file (M1, D1, M2, D2); None for files with one camera.
    Raises InputError that names the file and what is wrong with it.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"camera file {path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"camera file {path} cannot be read as text; give {ACCEPTED}") from error
    try:
        if path.suffix.lower() == ".xml" or text.lstrip().startswith(("%YAML:", "<?xml")):
            return _from_opencv(text, camera)
        if camera is not None:
            raise InputError("it holds one camera; the number of a camera is for OpenCV stereo files (M1, M2)")
        return calibration_from_mapping(_parse_mapping(text, path.suffix.lower()))
    except InputError as error:
        raise InputError(f"camera file {path}: {error}") from error


def fit_to_image(calibration: Calibration, width: int, height: int) -> Calibration:
    """Return the calibration for images of width x height pixels, scaled when only the resolution differs.

    Pixel centres have integer coordinates, so a scale s takes x to (x + 0.5) s - 0.5, as cv2.resize does. A
    calibration without a size is taken to be for these images. Raises InputError when the shape of the image differs.
    """
    if calibration.width == 0 or (calibration.width, calibration.height) == (width, height):
        return Calibration(width, height, calibration.model, calibration.K, calibration.D, calibration.R, calibration.P)
    scale_x = width / calibration.width
    scale_y = height / calibration.height
    # Both sides are rounded to whole pixels: the aspect is the same if one scale explains both to within a pixel.
    if abs(calibration.width * scale_y - width) > 1.0 and abs(calibration.height * scale_x - height) > 1.0:
        raise InputError(
            f"the camera is calibrated for {calibration.width}x{calibration.height} pixels and the images have "
            f"{width}x{height}, which is another shape; give a calibration of these images"
        )
    scaling = np.array(
        [[scale_x, 0.0, 0.5 * scale_x - 0.5], [0.0, scale_y, 0.5 * scale_y - 0.5], [0.0, 0.0, 1.0]], np.float64
    )
    return Calibration(
        width, height, calibration.model, scaling @ calibration.K, calibration.D, calibration.R, scaling @ calibration.P
    )


def uncalibrated(width: int, height: int) -> Calibration:
    """Return what a ROS driver publishes for a camera that nobody calibrated: the size, and zeros for K, R and P."""
    return Calibration(width, height, "", np.zeros((3, 3)), (), np.zeros((3, 3)), np.zeros((3, 4)))


def _parse_mapping(text: str, suffix: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text) if suffix == ".json" else yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise InputError(f"no valid JSON (line {error.lineno}: {error.msg})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(f"no valid YAML{f' (line {mark.line + 1})' if mark else ''}; give {ACCEPTED}") from error
    if not isinstance(content, Mapping):
        raise InputError(f"holds no camera; give {ACCEPTED}")
    return content


def calibration_from_mapping(content: Mapping[str, Any]) -> Calibration:
    """Read the ROS camera_calibration form, or the short form with K and D. Raises InputError that names no file."""
    if "camera_matrix" in content:
        K = _matrix(content["camera_matrix"], (3, 3), "camera_matrix")
        D = _numbers(_data(content.get("distortion_coefficients", [])), "distortion_coefficients")
        model = content.get("distortion_model", content.get("camera_model"))
    elif "K" in content:
        K = _short_matrix(content["K"])
        D = _numbers(content.get("D") or [], "D")
        model = content.get("model", content.get("distortion_model"))
    else:
        raise InputError(f"has neither camera_matrix nor K; give {ACCEPTED}")
    R = _optional_matrix(content, "rectification_matrix", (3, 3))
    P = _optional_matrix(content, "projection_matrix", (3, 4))
    width = _size(content.get("image_width", content.get("width", 0)), "width")
    height = _size(content.get("image_height", content.get("height", 0)), "height")
    return _calibration(width, height, model, K, D, R, P)


def _from_opencv(text: str, camera: int | None) -> Calibration:
    """Read cv2.FileStorage: one camera (camera_matrix, distortion_coefficients) or the pair of stereoCalibrate."""
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    except (cv2.error, SystemError) as error:  # the constructor wraps its error
        raise InputError("no valid OpenCV FileStorage; write it again with cv2.FileStorage") from error
    try:
        stereo = not storage.getNode("M1").empty()
        if stereo and camera is None:
            raise InputError("holds two cameras, M1 and M2; say which with --camera-number 1 or 2")
        if camera is not None and (not stereo or camera not in (1, 2)):
            raise InputError(
                f"has no camera {camera}; {'give 1 or 2' if stereo else 'it holds one, leave the number out'}"
            )
        matrix, distortion = (f"M{camera}", f"D{camera}") if stereo else ("camera_matrix", "distortion_coefficients")
        if storage.getNode(matrix).empty():
            raise InputError(f"has no matrix {matrix}; give {ACCEPTED}")
        D = _stored_matrix(storage, distortion)
        model = storage.getNode("distortion_model")
        return _calibration(
            int(storage.getNode("image_width").real()),  # an absent node reads as 0
            int(storage.getNode("image_height").real()),
            None if model.empty() else model.string(),
            _matrix(_stored_matrix(storage, matrix), (3, 3), matrix),
            () if D is None else _numbers(D, distortion),
            _stored_optional(storage, "rectification_matrix", (3, 3)),
            _stored_optional(storage, "projection_matrix", (3, 4)),
        )
    finally:
        storage.release()


def _stored_matrix(storage: cv2.FileStorage, name: str) -> list[float] | None:
    matrix = storage.getNode(name).mat()
    return None if matrix is None else matrix.astype(np.float64).ravel().tolist()


def _stored_optional(storage: cv2.FileStorage, name: str, shape: tuple[int, int]) -> np.ndarray | None:
    numbers = _stored_matrix(storage, name)
    return None if numbers is None else _matrix(numbers, shape, name)


def _calibration(
    width: int,
    height: int,
    model: object,
    K: np.ndarray,
    D: tuple[float, ...],
    R: np.ndarray | None,
    P: np.ndarray | None,
) -> Calibration:
    if (width == 0) != (height == 0):
        raise InputError("gives only one of width and height; give both or neither")
    name, coefficients = _distortion(model, D)
    # A free choice where the file makes none: the rectified camera keeps the original one's focal lengths and centre.
    projection = np.hstack([K, np.zeros((3, 1))]) if P is None else P
    rotation = np.eye(3) if R is None else R
    Camera(  # refuses what is no calibration
        width=max(1, width),
        height=max(1, height),
        K=tuple(K.ravel()),
        distortion=coefficients,
        model=name,
        R=tuple(rotation.ravel()),
        K_rectified=tuple(projection[:, :3].ravel()),
    )
    return Calibration(width, height, name, K, coefficients, rotation, projection)


def _distortion(model: object, D: tuple[float, ...]) -> tuple[str, tuple[float, ...]]:
    """Return the model under its ROS name and the coefficients in the number that ROS gives it."""
    if model is None:
        name = "plumb_bob" if len(_trimmed(D)) <= 5 else "rational_polynomial"
    elif str(model).lower() in MODEL_NAMES:
        name = MODEL_NAMES[str(model).lower()]
    else:
        raise InputError(f"unknown distortion model {model!r}; known are {', '.join(MODEL_NAMES)}")
    kept = _trimmed(D)
    for count in COEFFICIENTS[name]:
        if len(kept) <= count:
            return name, kept + (0.0,) * (count - len(kept))
    most = COEFFICIENTS[name][-1]
    raise InputError(f"{name} has at most {most} distortion coefficients and the file {len(D)}; name the right model")


def _trimmed(D: tuple[float, ...]) -> tuple[float, ...]:
    last = max((index for index, value in enumerate(D) if value != 0.0), default=-1)
    return D[: last + 1]


def _short_matrix(value: object) -> np.ndarray:
    numbers = np.array(_numbers(value, "K"), np.float64)
    if numbers.size == 4:
        fx, fy, cx, cy = numbers
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    if numbers.size == 9:
        return numbers.reshape(3, 3)
    raise InputError(f"K has {numbers.size} numbers; give a 3x3 matrix or [fx, fy, cx, cy]")


def _optional_matrix(content: Mapping[str, Any], name: str, shape: tuple[int, int]) -> np.ndarray | None:
    return _matrix(content[name], shape, name) if name in content else None


def _matrix(value: object, shape: tuple[int, int], name: str) -> np.ndarray:
    numbers = np.array(_numbers(_data(value), name), np.float64)
    if numbers.size != shape[0] * shape[1]:
        raise InputError(f"{name} has {numbers.size} numbers, expected {shape[0]}x{shape[1]}")
    return numbers.reshape(shape)


def _data(value: object) -> object:
    return value.get("data", []) if isinstance(value, Mapping) else value


def _numbers(value: object, name: str) -> tuple[float, ...]:
    """Flatten lists of numbers (rows of a matrix, or one list)."""
    if isinstance(value, (list, tuple)):
        return tuple(number for part in value for number in _numbers(part, name))
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):  # YAML 1.1 reads 1e-5 as a string
            number = float(value)
            if math.isfinite(number):
                return (number,)
    raise InputError(f"{name} holds {value!r}, expected finite numbers")


def _size(value: object, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise InputError(f"the {name} is {value!r}, expected whole pixels")
