"""Settings of the process that let large images through: memory allocation and the shared memory of Fast DDS."""

from __future__ import annotations

import ctypes
import os
import sys

from perception_common.resources import find_config

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
_PROFILE_NEW_NAME = "FASTDDS_DEFAULT_PROFILES_FILE"  # from Fast DDS 3 on; both are read by 2.14


def raise_malloc_thresholds() -> bool:
    """Let glibc reuse the memory of freed images instead of returning it to the system and faulting it in again.

    Blocks up to 32 MiB come from the heap, of which up to 512 MiB are kept. Returns False where there is no glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 32 << 20)) and bool(mallopt(_M_TRIM_THRESHOLD, 512 << 20))


def use_large_image_profile() -> bool:
    """Make Fast DDS use our profile, whose shared-memory segment holds whole frames, unless the user has set one.

    Call it before rclpy.init. Other middlewares do not look at it. Returns whether our profile is in use.
    """
    if os.environ.get(_PROFILE) or os.environ.get(_PROFILE_NEW_NAME):
        return False
    os.environ[_PROFILE] = str(find_config("fastdds_large_images.xml"))
    return True
