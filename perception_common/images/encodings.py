"""The image encodings that are read: layout in memory, and the OpenCV conversions to RGB and gray.

These are the encodings of sensor_msgs/image_encodings.hpp (Jazzy) that hold a picture. Not read are those whose meaning
the name leaves open: two channels, signed bytes, and colours of floats or signed integers. What is not in ENCODINGS is
left to cv_bridge (`conversion.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np


@dataclass(frozen=True)
class Encoding:
    """Layout of the pixels, and the codes of cv2.cvtColor for RGB and gray (None: the pixels are RGB or gray)."""

    to_rgb: int | None
    to_gray: int | None
    channels: int = 1  # samples per pixel
    sample: str = "u1"  # numpy's name for the type of a sample, without byte order
    multiple: tuple[int, int] = (1, 1)  # height and width must be multiples of these
    chroma_rows: float = 0.0  # rows with chroma that follow, for each row of the image: 0.5 for NV12, 2 for NV24
    video_range: bool = False  # luma runs from 16 to 235
    stretched: bool = False  # values have no fixed range; those that are not finite or not positive are no measurement

    @property
    def is_wide(self) -> bool:
        """Whether a sample has more than 8 bits."""
        return np.dtype(self.sample).itemsize > 1

    @property
    def is_gray(self) -> bool:
        """Whether the pixels are gray values; False for colours, mosaics and YUV."""
        return self.to_gray is None


_UYVY = Encoding(cv2.COLOR_YUV2RGB_UYVY, cv2.COLOR_YUV2GRAY_UYVY, 2, multiple=(1, 2), video_range=True)
_YUYV = Encoding(cv2.COLOR_YUV2RGB_YUYV, cv2.COLOR_YUV2GRAY_YUYV, 2, multiple=(1, 2), video_range=True)
_NV12 = Encoding(cv2.COLOR_YUV2RGB_NV12, cv2.COLOR_YUV2GRAY_420, multiple=(2, 2), chroma_rows=0.5, video_range=True)
_NV24 = replace(_YUYV, channels=1, chroma_rows=2.0)  # repacked as YUYV
_NV21 = Encoding(cv2.COLOR_YUV2RGB_NV21, cv2.COLOR_YUV2GRAY_420, multiple=(2, 2), chroma_rows=0.5, video_range=True)

ENCODINGS = {
    "mono8": Encoding(cv2.COLOR_GRAY2RGB, None),
    "8UC1": Encoding(cv2.COLOR_GRAY2RGB, None),
    "mono16": Encoding(cv2.COLOR_GRAY2RGB, None, sample="u2"),
    "16UC1": Encoding(cv2.COLOR_GRAY2RGB, None, sample="u2", stretched=True),
    "16SC1": Encoding(cv2.COLOR_GRAY2RGB, None, sample="i2", stretched=True),
    "32SC1": Encoding(cv2.COLOR_GRAY2RGB, None, sample="i4", stretched=True),
    "32FC1": Encoding(cv2.COLOR_GRAY2RGB, None, sample="f4", stretched=True),
    "64FC1": Encoding(cv2.COLOR_GRAY2RGB, None, sample="f8", stretched=True),
    "rgb8": Encoding(None, cv2.COLOR_RGB2GRAY, 3),
    "bgr8": Encoding(cv2.COLOR_BGR2RGB, cv2.COLOR_BGR2GRAY, 3),
    "8UC3": Encoding(cv2.COLOR_BGR2RGB, cv2.COLOR_BGR2GRAY, 3),
    "rgba8": Encoding(cv2.COLOR_RGBA2RGB, cv2.COLOR_RGBA2GRAY, 4),
    "bgra8": Encoding(cv2.COLOR_BGRA2RGB, cv2.COLOR_BGRA2GRAY, 4),
    "8UC4": Encoding(cv2.COLOR_BGRA2RGB, cv2.COLOR_BGRA2GRAY, 4),
    "rgb16": Encoding(None, cv2.COLOR_RGB2GRAY, 3, "u2"),
    "bgr16": Encoding(cv2.COLOR_BGR2RGB, cv2.COLOR_BGR2GRAY, 3, "u2"),
    "16UC3": Encoding(cv2.COLOR_BGR2RGB, cv2.COLOR_BGR2GRAY, 3, "u2"),
    "rgba16": Encoding(cv2.COLOR_RGBA2RGB, cv2.COLOR_RGBA2GRAY, 4, "u2"),
    "bgra16": Encoding(cv2.COLOR_BGRA2RGB, cv2.COLOR_BGRA2GRAY, 4, "u2"),
    "16UC4": Encoding(cv2.COLOR_BGRA2RGB, cv2.COLOR_BGRA2GRAY, 4, "u2"),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": _NV12,
    "nv21": _NV21,
    "nv24": _NV24,
    # ROS names a Bayer pattern by its first two rows, OpenCV by the 2x2 pixels one row and one column further.
    "bayer_rggb8": Encoding(cv2.COLOR_BayerBG2RGB, cv2.COLOR_BayerBG2GRAY),
    "bayer_bggr8": Encoding(cv2.COLOR_BayerRG2RGB, cv2.COLOR_BayerRG2GRAY),
    "bayer_gbrg8": Encoding(cv2.COLOR_BayerGR2RGB, cv2.COLOR_BayerGR2GRAY),
    "bayer_grbg8": Encoding(cv2.COLOR_BayerGB2RGB, cv2.COLOR_BayerGB2GRAY),
    "bayer_rggb16": Encoding(cv2.COLOR_BayerBG2RGB, cv2.COLOR_BayerBG2GRAY, sample="u2"),
    "bayer_bggr16": Encoding(cv2.COLOR_BayerRG2RGB, cv2.COLOR_BayerRG2GRAY, sample="u2"),
    "bayer_gbrg16": Encoding(cv2.COLOR_BayerGR2RGB, cv2.COLOR_BayerGR2GRAY, sample="u2"),
    "bayer_grbg16": Encoding(cv2.COLOR_BayerGB2RGB, cv2.COLOR_BayerGB2GRAY, sample="u2"),
}
