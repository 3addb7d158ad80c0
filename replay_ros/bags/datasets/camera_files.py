"""Read camera files: ROS camera_calibration YAML, OpenCV FileStorage, and short forms in YAML or JSON."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.text.json_files import parse_json
from perception_common.text.text_files import MAX_BYTES as LONGEST_TEXT
from perception_common.text.text_files import read_text
from perception_common.text.yaml_files import MAX_BYTES as LONGEST_YAML
from perception_common.text.yaml_files import parse_yaml
from replay_ros.bags.datasets.calibration import Calibration, projection_of

# Possible numbers of coefficients, in the order of sensor_msgs/CameraInfo.
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
MOST_NUMBERS = 64  # of a matrix in a camera file: 14 distortion coefficients, 4x4 for a pose
LARGEST_SIDE = 2**20  # pixels: no camera has more, and larger numbers do not fit a CameraInfo
ACCEPTED = (
    "ROS camera_calibration YAML, OpenCV FileStorage, YAML {K: [fx, fy, cx, cy], D: [...]} "
    "or JSON with K, width, height"
)


def read_calibration(path: Path | str, camera: int | None = None) -> Calibration:
    """Read a camera file.

    camera: 1 or 2, which camera of an OpenCV stereo file (M1, D1, M2, D2); None for files with one camera.
    Raises InputError that names the file and what is wrong with it.
    """
    path = Path(path)
    is_json = path.suffix.lower() == ".json"
    try:
        text = read_text(path, "camera file", limit=LONGEST_TEXT if is_json else LONGEST_YAML)
    except InputError as error:
        raise InputError(f"{error}; give {ACCEPTED}") from error
    try:
        if path.suffix.lower() == ".xml" or text.lstrip().startswith(("%YAML:", "<?xml")):
            return _from_opencv(text, camera)
        if camera is not None:
            raise InputError("it holds one camera; a camera number is for OpenCV stereo files (M1, M2)")
        return calibration_from_mapping(_parse_mapping(text, is_json=is_json))
    except InputError as error:
        raise InputError(f"camera file {path}: {error}") from error


def calibration_from_mapping(content: Mapping[str, Any]) -> Calibration:
    """Return the calibration of a mapping in the ROS camera_calibration form, or in the short form with K and D.

    Raises InputError that does not name a file.
    """
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
    R = _optional_matrix(content, "rectification_matrix", default=np.eye(3))
    P = _optional_matrix(content, "projection_matrix", default=projection_of(K))
    width = _size(content.get("image_width", content.get("width", 0)), "width")
    height = _size(content.get("image_height", content.get("height", 0)), "height")
    if (width == 0) != (height == 0):
        raise InputError("gives only one of width and height; give both or neither")
    name, coefficients = _distortion(model, D)
    Camera(  # raises InputError for impossible values
        width=max(1, width),
        height=max(1, height),
        K=tuple(K.ravel()),
        distortion=coefficients,
        model=name,
        R=tuple(R.ravel()),
        K_rectified=tuple(P[:, :3].ravel()),
    )
    return Calibration(width, height, name, K=K, D=coefficients, R=R, P=P)


def _parse_mapping(text: str, is_json: bool) -> Mapping[str, Any]:
    try:
        content = parse_json(text) if is_json else parse_yaml(text)
    except InputError as error:
        raise InputError(f"{error}; give {ACCEPTED}") from error
    if not isinstance(content, Mapping):
        raise InputError(f"holds no camera; give {ACCEPTED}")
    return content


def _from_opencv(text: str, camera: int | None) -> Calibration:
    """Read cv2.FileStorage: one camera (camera_matrix, distortion_coefficients) or the pair of stereoCalibrate."""
    storage = None
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        matrix, distortion = _stored_names(storage, camera)
        model = storage.getNode("distortion_model")
        content = {
            "image_width": _whole(storage.getNode("image_width").real()),  # an absent node reads as 0
            "image_height": _whole(storage.getNode("image_height").real()),
            "distortion_model": None if model.empty() else model.string(),
            "camera_matrix": _stored_numbers(storage, matrix),
            "distortion_coefficients": _stored_numbers(storage, distortion),
            "rectification_matrix": _stored_numbers(storage, "rectification_matrix"),
            "projection_matrix": _stored_numbers(storage, "projection_matrix"),
        }
    except (cv2.error, SystemError, UnicodeDecodeError) as error:  # SystemError: the constructor wraps cv2.error
        raise InputError("not a valid OpenCV FileStorage; write it again with cv2.FileStorage") from error
    finally:
        if storage is not None:
            storage.release()
    return calibration_from_mapping({name: value for name, value in content.items() if value is not None})


def _stored_names(storage: cv2.FileStorage, camera: int | None) -> tuple[str, str]:
    """Return the names of the camera matrix and of the distortion of the chosen camera."""
    is_stereo = not storage.getNode("M1").empty()
    if is_stereo and camera is None:
        raise InputError("holds two cameras, M1 and M2; choose one with --camera-number 1 or 2")
    if camera is not None and (not is_stereo or camera not in (1, 2)):
        advice = "give 1 or 2" if is_stereo else "it holds one, leave the number out"
        raise InputError(f"has no camera {camera}; {advice}")
    matrix, distortion = (f"M{camera}", f"D{camera}") if is_stereo else ("camera_matrix", "distortion_coefficients")
    if storage.getNode(matrix).empty():
        raise InputError(f"has no matrix {matrix}; give {ACCEPTED}")
    return matrix, distortion


def _stored_numbers(storage: cv2.FileStorage, name: str) -> list[float] | None:
    node = storage.getNode(name)
    if node.isMap() and node.getNode("rows").real() * node.getNode("cols").real() > MOST_NUMBERS:
        raise InputError(f"{name} claims more than {MOST_NUMBERS} numbers")  # before OpenCV takes memory for them
    matrix = node.mat()
    return None if matrix is None else matrix.astype(np.float64).ravel().tolist()


def _distortion(model: object, D: tuple[float, ...]) -> tuple[str, tuple[float, ...]]:
    """Return the ROS name of the model and its coefficients, padded with zeros to a number that ROS defines."""
    kept = _without_trailing_zeros(D)
    if model is None:
        name = "plumb_bob" if len(kept) <= 5 else "rational_polynomial"
    elif str(model).lower() in MODEL_NAMES:
        name = MODEL_NAMES[str(model).lower()]
    else:
        raise InputError(f"unknown distortion model {str(model)[:40]!r}; known are {', '.join(MODEL_NAMES)}")
    for count in COEFFICIENTS[name]:
        if len(kept) <= count:
            return name, kept + (0.0,) * (count - len(kept))
    most = COEFFICIENTS[name][-1]
    raise InputError(f"{name} has at most {most} distortion coefficients, the file has {len(D)}; name the right model")


def _without_trailing_zeros(D: tuple[float, ...]) -> tuple[float, ...]:
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


def _optional_matrix(content: Mapping[str, Any], name: str, default: np.ndarray) -> np.ndarray:
    return _matrix(content[name], default.shape, name) if name in content else default


def _matrix(value: object, shape: tuple[int, ...], name: str) -> np.ndarray:
    numbers = np.array(_numbers(_data(value), name), np.float64)
    if numbers.size != shape[0] * shape[1]:
        raise InputError(f"{name} has {numbers.size} numbers, expected {shape[0]}x{shape[1]}")
    return numbers.reshape(shape)


def _data(value: object) -> object:
    return value.get("data", []) if isinstance(value, Mapping) else value


def _numbers(value: object, name: str, depth: int = 2) -> tuple[float, ...]:
    """Flatten a list of numbers or of rows of numbers. depth: of the lists that are expected."""
    if isinstance(value, (list, tuple)) and depth:
        return tuple(number for part in value for number in _numbers(part, name, depth - 1))
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):  # YAML 1.1 reads 1e-5 as a string
            number = float(value)
            if math.isfinite(number):
                return (number,)
    raise InputError(f"{name} holds {str(value)[:60]}, expected finite numbers")


def _whole(value: float) -> int | float:
    return int(value) if value == value // 1 else value


def _size(value: object, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_SIDE:
        return value
    raise InputError(f"the {name} is {str(value)[:40]}, expected whole pixels up to {LARGEST_SIDE}")
