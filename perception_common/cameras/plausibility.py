"""What is odd about a calibration that is possible, and which mistake usually makes it.

With a calibration in millimetres, of another resolution or of another camera, poses are wrong without any other sign.
The limits are empirical. Nothing is odd about a camera with a field of view of 1 to 175 degrees, with pixels up to 3
times as high as wide, and with its principal point in the middle 40 % of an uncropped image. Only where this point is
off by the same large factor in x and y, as after resizing, the image is taken for one of another resolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from perception_common.cameras.camera import Camera

WIDEST, NARROWEST = 0.02, 60.0  # focal length over the long side: fields of view of 175 and of 1 degrees
LENS = 20.0  # millimetres: focal lengths of cameras on drones are shorter
ASPECT = 3.0  # of fx and fy, whichever is larger: pixels are square, or binned in one direction
MIDDLE = (0.3, 0.7)  # of the width and height: where the principal point of an uncropped image lies
SAME = 0.15  # relative difference of two factors that count as equal
RESIZED = (0.77, 1.27)  # factors beyond which K is of another resolution though its principal point is in the middle
EQUAL = 0.03  # relative difference of such factors in x and y: real principal points are not off by equal factors


@dataclass(frozen=True)
class Cropping:
    """How a camera was made from that of the full sensor.

    offset: of the ROI, x and y, pixels of the sensor. binning: in x and y. is_part: the ROI is smaller than the sensor.
    """

    offset: tuple[int, int] = (0, 0)
    binning: tuple[int, int] = (1, 1)
    is_part: bool = False


def oddities(info: Any, image_frame: str = "") -> tuple[str, ...]:
    """Return one sentence for each odd thing about a sensor_msgs/CameraInfo; none for a plausible one.

    image_frame: frame_id of the image; empty: unknown. Raises InputError for what is no calibration at all.
    """
    roi = info.roi
    cropping = Cropping(
        offset=(int(roi.x_offset), int(roi.y_offset)),
        binning=(max(1, int(info.binning_x)), max(1, int(info.binning_y))),
        is_part=bool(roi.width and roi.height) and (roi.width, roi.height) != (info.width, info.height),
    )
    found = (*camera_oddities(Camera.from_camera_info(info), cropping), *_region(info))
    info_frame = info.header.frame_id
    if image_frame and info_frame and image_frame != info_frame:
        found += (f"camera_info has the frame {info_frame!r} and the image {image_frame!r}: is it of another camera?",)
    return found


@lru_cache(maxsize=64)
def camera_oddities(camera: Camera, cropping: Cropping = Cropping()) -> tuple[str, ...]:
    """Return one sentence for each odd thing about a camera."""
    return (*_focal_lengths(camera), *_principal_point(camera, cropping), *_rectified(camera), *_distortion(camera))


def foreign_topic(info_topic: str, image_topic: str) -> tuple[str, ...]:
    """Return one sentence for a camera_info topic that is not beside its raw image topic; nothing for one that is."""
    beside = f"{image_topic.rpartition('/')[0]}/camera_info"
    if info_topic == beside:
        return ()
    return (f"{info_topic} is not beside {image_topic} (that would be {beside}): is it of another camera?",)


def _region(info: Any) -> Iterator[str]:
    roi = info.roi
    if roi.x_offset + roi.width > info.width or roi.y_offset + roi.height > info.height:
        yield (
            f"the ROI of {roi.width}x{roi.height} at ({roi.x_offset}, {roi.y_offset}) is not inside of "
            f"{info.width}x{info.height}: is it of another binning or resolution? It is in pixels of the full sensor"
        )


def _focal_lengths(camera: Camera) -> Iterator[str]:
    fx, fy, side = camera.K[0], camera.K[4], max(camera.width, camera.height)
    size = f"{camera.width}x{camera.height}"
    if min(fx, fy) < WIDEST * side:
        mistakes = (
            (0.1, "in metres"),
            (1.0, "normalised, or was K never filled in"),
            (LENS, "in millimetres"),
            (np.inf, "of a smaller image"),
        )
        mistake = next(words for limit, words in mistakes if max(fx, fy) <= limit)
        yield f"the focal lengths {fx:g} and {fy:g} px are too short for {size}: are they {mistake}? K is in pixels"
    elif max(fx, fy) > NARROWEST * side:
        yield f"the focal lengths {fx:g} and {fy:g} px are too long for {size}: are they in micrometres?"
    if max(fx, fy) > ASPECT * min(fx, fy):
        yield f"the focal lengths {fx:g} and {fy:g} px differ by a factor of {max(fx, fy) / min(fx, fy):.1f}"


def _principal_point(camera: Camera, cropping: Cropping) -> Iterator[str]:
    size = np.array([camera.width, camera.height])
    point = np.array([camera.K[2], camera.K[5]])
    offset, binning = np.array(cropping.offset), np.array(cropping.binning)
    is_cropped = cropping.is_part or offset.any()
    scale = 2 * (point + 0.5) / size  # of the image that K is of, over this one
    is_resized = scale.max() < (1 + EQUAL) * scale.min() and not RESIZED[0] < scale.mean() < RESIZED[1]
    if _is_central(point, size) and (is_cropped or not is_resized):
        return
    where = f"the principal point ({point[0]:.1f}, {point[1]:.1f}) is not in the middle of {size[0]}x{size[1]}"
    if is_cropped:
        if offset.any() and _is_central(point + offset / binning, size):
            yield f"{where}: is the ROI applied twice? K is that of the full sensor"
        elif not np.all((point > -size) & (point < 2 * size)):
            yield f"{where}: does the ROI belong to this K?"
        return  # a crop may have its principal point anywhere
    if binning.max() > 1 and _is_central(point * binning, size):
        yield f"{where}: is the binning applied twice? K is that of the image without binning"
        return
    if scale.min() > 0 and scale.max() < (1 + SAME) * scale.min():
        factor = float(scale.mean())
        yield f"{where}: is K of an image {factor:.2g} times as large as this one (another resolution)?"
    elif np.all(np.abs(point) < 1):
        yield f"{where}: was K filled in? Its cx and cy are in pixels"
    else:
        yield f"{where}: is K of another camera, or the image cropped?"


def _rectified(camera: Camera) -> Iterator[str]:
    if camera.K_rectified is None:
        return
    ratios = [camera.K_rectified[k] / camera.K[k] for k in (0, 4, 2, 5) if camera.K[k] > 0]
    factor = float(np.mean(ratios))
    if len(ratios) == 4 and max(ratios) - min(ratios) < SAME * factor and not 1 / 1.6 < factor < 1.6:
        yield f"P is of an image {factor:.2g} times as large as that of K: they are of different resolutions"


def _distortion(camera: Camera) -> Iterator[str]:
    """Find distortion without an inverse at the middle of the image's sides, as of other units or another model."""
    right, bottom = camera.width - 1, camera.height - 1
    middles = np.array([[0, bottom / 2], [right, bottom / 2], [right / 2, 0], [right / 2, bottom]])
    if not any(camera.distortion):
        return
    if camera.model == "equidistant":
        radius = np.linalg.norm((middles - camera.matrix[:2, 2]) / camera.matrix[[0, 1], [0, 1]], axis=1).max()
        is_lost = radius > _largest_radius(camera.distortion)
    else:
        try:
            is_lost = bool(np.isnan(camera.rays(middles)).any())
        except cv2.error:
            is_lost = True
    if is_lost:
        yield (
            f"the {camera.model} distortion has no inverse at the sides of the image: "
            "are D and its model of this camera, and K of this resolution?"
        )


def _largest_radius(distortion: tuple[float, ...]) -> float:
    """Return the largest distorted angle, radians, up to which the equidistant model increases; inf: to 120 degrees."""
    angles = np.linspace(0, 2 * np.pi / 3, 1000)
    series = 1 + sum(k * angles ** (2 * order) for order, k in enumerate(distortion, start=1))
    radii = angles * series
    falls = np.flatnonzero(np.diff(radii) <= 0)
    return float(radii[falls[0]]) if len(falls) else np.inf


def _is_central(point: np.ndarray, size: np.ndarray) -> bool:
    return bool(np.all((point >= MIDDLE[0] * size) & (point <= MIDDLE[1] * size)))
