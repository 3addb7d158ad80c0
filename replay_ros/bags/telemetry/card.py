"""A folder of photographs from a drone's card: its telemetry, and the stamps that their cameras wrote."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from replay_ros.bags.datasets.sequences.images import ImageFolder
from replay_ros.bags.telemetry.contradictions import check_telemetry
from replay_ros.bags.telemetry.flight import FrameTelemetry, describe, in_local_frame
from replay_ros.bags.telemetry.pair_motions import pair_motions
from replay_ros.bags.telemetry.photographs import read_photograph
from replay_ros.bags.telemetry.readings import Telemetry

_SECOND = 1_000_000_000  # nanoseconds


@dataclass(frozen=True, eq=False)
class Card:
    """folder: the photographs in the order of their stamps. frames: telemetry by file name. notes: sentences."""

    folder: ImageFolder
    frames: Mapping[str, FrameTelemetry]
    notes: tuple[str, ...]


def read_card(folder: ImageFolder, *, has_camera: bool = False, limit: int | None = None) -> Card | None:
    """Read the telemetry of all photographs; None where none of them has any. Raises InputError.

    Stamps that were made up are replaced by the times in the photographs, where all of them have one. has_camera: a
    calibration is given, so that the lens only serves to compare the telemetry with the pictures. limit: only the first
    photographs; None: all.
    """
    readings = {file.name: read_photograph(file) for file in folder.files}
    if all(each.is_empty for each in readings.values()):
        return None
    if not folder.has_stamps:
        folder = _with_times(folder, readings)
    folder = replace(folder, files=folder.files[:limit], stamps_ns=folder.stamps_ns[:limit])
    ordered = {file.name: readings[file.name] for file in folder.files}
    frames = in_local_frame(ordered)
    notes = describe(ordered, has_camera=has_camera)
    if sum(each.has_pose for each in frames.values()) < 2:
        return Card(folder, frames, notes)
    checked = check_telemetry(frames, list(pair_motions(folder, frames)), has_camera=has_camera)
    return Card(folder, checked.frames, (*notes, *checked.notes))


def _with_times(folder: ImageFolder, readings: Mapping[str, Telemetry]) -> ImageFolder:
    """Return the folder with the stamps of its photographs, spread over the second where it is all that is known."""
    times = [(readings[file.name].time_ns, file) for file in folder.files]
    dated = [(time, file) for time, file in times if time is not None]
    if len(dated) < len(times):
        note = f"{len(times) - len(dated)} of {len(times)} photographs state no time, so that of the others is not used"
        return replace(folder, notes=(*folder.notes, note))
    is_fine = all(readings[file.name].has_fraction for file in folder.files)
    stamps: list[int] = []
    ordered = sorted(dated, key=lambda each: each[0])  # stable: files of one time keep their natural order
    for time, same in itertools.groupby(ordered, key=lambda each: each[0]):
        count = len(list(same))
        step = 0 if is_fine else _SECOND // count
        for index in range(count):
            stamps.append(max(time + index * step, stamps[-1] + 1 if stamps else 0))
    timing = "times of the photographs" + ("" if is_fine else ", which are whole seconds")
    files = tuple(file for _, file in ordered)
    return replace(folder, files=files, stamps_ns=tuple(stamps), timing=timing, has_stamps=True)
