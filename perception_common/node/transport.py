"""Settings of the process that let large images through: memory allocation and the shared memory of Fast DDS."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from perception_common.resources import find_config

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
_PROFILE_NEW_NAME = "FASTDDS_DEFAULT_PROFILES_FILE"  # the name from Fast DDS 3 on
_SEGMENT_AND_PORTS = 72 << 20  # bytes that one process with our profile takes of the shared memory


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


def use_large_image_profile(shared_memory: Path = Path("/dev/shm")) -> str | None:
    """Make Fast DDS use our profile, whose shared-memory segment holds whole frames, unless the user has set one.

    Call it before rclpy.init. Other middlewares do not look at it. Returns None, or one sentence to log when the
    profile is not used because `shared_memory` has no room for the segment: Fast DDS would then do without shared
    memory at all.
    """
    if os.environ.get(_PROFILE) or os.environ.get(_PROFILE_NEW_NAME):
        return None
    profile = find_config("fastdds_large_images.xml")
    free = _free_bytes(shared_memory)
    if free < _SEGMENT_AND_PORTS:
        return (
            f"{shared_memory} has {free >> 20} MB free, large images need {_SEGMENT_AND_PORTS >> 20} MB: frames may be "
            "lost; give the container more (docker run --shm-size=512m)"
        )
    os.environ[_PROFILE] = str(profile)
    return None


def _free_bytes(folder: Path) -> int:
    try:
        usage = os.statvfs(folder)
    except OSError:
        return 0
    return usage.f_bavail * usage.f_frsize
