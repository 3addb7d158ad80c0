"""Process settings for large images: memory allocation, and the shared memory of Fast DDS."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from perception_common.resources import find_config
from perception_common.shared_memory import FOLDER, free_bytes, remove_stale_segments

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # parameters of mallopt, from glibc's malloc.h
_MMAP_THRESHOLD = 32 << 20  # bytes; glibc's maximum on 64-bit systems
_TRIM_THRESHOLD = 512 << 20  # bytes; empirical
_PROFILE_FILE = "fastdds_large_images.xml"
_PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
# What a user sets to choose transports: the profile by its old name and that of Fast DDS 3, and a built-in set.
_CHOICES = (_PROFILE, "FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")
_DEFAULT_FILES = ("DEFAULT_FASTRTPS_PROFILES.xml", "DEFAULT_FASTDDS_PROFILES.xml")  # read from the working directory
_SHARED_MEMORY = 72 << 20  # bytes of one process with our profile: its segment of 64 MiB, and ports


def raise_malloc_thresholds() -> bool:
    """Let glibc reuse the memory of freed images instead of returning it to the system, which costs page faults.

    Blocks up to 32 MiB come from the heap, which keeps up to 512 MiB of free memory. Returns False without glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)) and bool(mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD))


def prepare_process(shared_memory: Path = FOLDER) -> tuple[str, ...]:
    """Prepare this process for large images, before rclpy.init; returns sentences to log.

    `runner.starting_ros` calls it in every process of ours that uses ROS, however it was started: memory allocation,
    segments that killed processes left in the shared memory, and the profile of Fast DDS.
    """
    raise_malloc_thresholds()
    if not _uses_fast_dds():
        return ()
    stale = remove_stale_segments(shared_memory).stale_sentences(shared_memory)  # first, as it frees memory
    note = use_large_image_profile(shared_memory)
    return (*stale, note) if note else stale


def use_large_image_profile(shared_memory: Path = FOLDER) -> str | None:
    """Make Fast DDS use our profile, whose shared-memory segment holds whole frames.

    Transports that the user chose, by another profile or by FASTDDS_BUILTIN_TRANSPORTS, stay. Returns None, or a
    sentence to log: when the user's profile does not exist, and when ours is not used, not even if the environment
    names it, because `shared_memory` is too small for the segment: Fast DDS would then use no shared memory at all.
    """
    chosen = {name: os.environ[name] for name in _CHOICES if os.environ.get(name)}
    ours = [name for name, value in chosen.items() if os.path.basename(value) == _PROFILE_FILE]
    if not _uses_fast_dds():
        return None
    if len(ours) < len(chosen) or any(map(os.path.exists, _DEFAULT_FILES)):
        return _missing_profile({name: value for name, value in chosen.items() if name not in ours})
    free = free_bytes(shared_memory)
    if free >= _SHARED_MEMORY:
        os.environ[_PROFILE] = str(find_config(_PROFILE_FILE))
        return None
    for name in ours:
        del os.environ[name]
    return (
        f"{shared_memory} has {free >> 20} MB free, large images need {_SHARED_MEMORY >> 20} MB: frames may be "
        "lost; give the container more (docker run --shm-size=512m)"
    )


def _missing_profile(chosen: dict[str, str]) -> str | None:
    """Return a sentence about the user's profile if it does not exist, which Fast DDS takes for none."""
    for name, value in chosen.items():
        if name.endswith("_PROFILES_FILE") and not os.path.exists(value):
            return (
                f"{name} names {value}, which does not exist: Fast DDS uses its defaults and large images may be lost; "
                "correct the path, or unset the variable for the profile of this package"
            )
    return None


def _uses_fast_dds() -> bool:
    return "fastrtps" in (os.environ.get("RMW_IMPLEMENTATION") or "rmw_fastrtps_cpp")  # the default of ROS 2 Jazzy
