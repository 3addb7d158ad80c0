"""The calibration of a camera: the fields of a sensor_msgs/CameraInfo, fitted to the size of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from perception_common.errors import InputError


@dataclass(frozen=True)
class Calibration:
    """The fields of a sensor_msgs/CameraInfo.

    width, height: pixels; 0 when the image size is unknown. model: the distortion model, by its ROS name.
    K: (3, 3) float64, pixels of the original image. D: distortion coefficients in the order of CameraInfo.
    R: (3, 3) float64, rectification. P: (3, 4) float64, pixels of the rectified image.
    """

    width: int
    height: int
    model: str
    K: np.ndarray
    D: tuple[float, ...]
    R: np.ndarray
    P: np.ndarray


def unrectified_calibration(
    width: int, height: int, K: np.ndarray, D: Sequence[float], model: str = "plumb_bob"
) -> Calibration:
    """Return the calibration of a single camera: R is the identity, and the rectified image keeps K.

    K: (3, 3) float64. D: in the order and number of coefficients of `model`. width, height: 0 when unknown.
    """
    return Calibration(width, height, model, K, tuple(D), R=np.eye(3), P=projection_of(K))


def projection_of(K: np.ndarray) -> np.ndarray:
    """Return P = [K | 0], (3, 4), of a camera whose rectified image keeps its focal lengths and principal point."""
    return np.hstack([K, np.zeros((3, 1))])


def fit_to_image(calibration: Calibration, width: int, height: int) -> Calibration:
    """Return the calibration for images of width x height pixels, scaled when only the resolution differs.

    Pixel centres have integer coordinates, so a scale s maps x to (x + 0.5) s - 0.5, as cv2.resize does. A calibration
    without a size is assumed to be of these images. Raises InputError when the aspect ratios differ.
    """
    if calibration.width == 0 or (calibration.width, calibration.height) == (width, height):
        return replace(calibration, width=width, height=height)
    scale_x = width / calibration.width
    scale_y = height / calibration.height
    # Sizes are rounded to whole pixels: the aspect ratio is the same if one scale fits both sides to within a pixel.
    if abs(calibration.width * scale_y - width) > 1.0 and abs(calibration.height * scale_x - height) > 1.0:
        raise InputError(
            f"the camera is calibrated for {calibration.width}x{calibration.height} pixels and the images have "
            f"{width}x{height}, another aspect ratio; give a calibration of these images"
        )
    scaling = np.array(
        [[scale_x, 0.0, 0.5 * scale_x - 0.5], [0.0, scale_y, 0.5 * scale_y - 0.5], [0.0, 0.0, 1.0]], np.float64
    )
    return replace(calibration, width=width, height=height, K=scaling @ calibration.K, P=scaling @ calibration.P)


def uncalibrated(width: int, height: int) -> Calibration:
    """Return the calibration that a ROS driver publishes for an uncalibrated camera: K, R and P are zero."""
    return Calibration(width, height, model="", K=np.zeros((3, 3)), D=(), R=np.zeros((3, 3)), P=np.zeros((3, 4)))
