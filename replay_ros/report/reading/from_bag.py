"""Makes the content of a report from an answers bag and what was evaluated apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from perception_common.stamps import stamp_ns
from perception_common.weights import file_sha256
from replay_ros.bags.reader import Bag, open_bag
from replay_ros.bags.storage_files import STORAGE_SUFFIXES
from replay_ros.report.content import ReportContent, Table
from replay_ros.report.figures.frames_to_check import worst_frames
from replay_ros.report.figures.series import errors_over_time
from replay_ros.report.figures.summary import problems, tiles
from replay_ros.report.reading import from_result
from replay_ros.report.reading.findings import Findings, find
from replay_ros.report.reading.from_result import Results
from replay_ros.report.reading.recording import RecordedReplay, read_recording
from replay_ros.report.selection import MAX_PICTURES, PICTURE_BYTES, choose_frames, describe, encode_picture


def read_content(
    path: Path,
    results: Results | None = None,
    image_topic: str | None = None,
    truth: str | None = None,
    pictures: int = MAX_PICTURES,
) -> ReportContent:
    """Read a bag that `replay` wrote. Raises InputError when it cannot be used."""
    results = results or Results()
    with open_bag(path) as bag:
        recording = read_recording(bag, image_topic, truth)
        content = assemble(path, find(recording, results), results.provenance)
        keyframes = [index for index, frame in enumerate(content.frames) if frame.keyframe is not None]
        chosen = choose_frames(len(content.frames), [each.frame for each in content.worst], keyframes, pictures)
        shown = _pictures(bag, recording, {recording.stamps_ns[index] for index in chosen})
    frames = [replace(frame, picture=shown.get(frame.stamp_ns)) for frame in content.frames]
    return replace(content, frames=tuple(frames), shown=describe(len(chosen), len(frames)))


def assemble(path: Path, found: Findings, provenance: Mapping[str, Any] | None = None) -> ReportContent:
    """Put everything but the pictures together."""
    return ReportContent(
        title=path.name,
        subtitle=_subtitle(found.recording),
        frames=found.frames,
        classes=found.classes,
        trained=not found.untrained,
        tiles=tiles(found),
        problems=problems(found),
        worst=worst_frames(found),
        pairs=found.pairs,
        trajectory=found.trajectory,
        errors=errors_over_time(found),
        curves=from_result.curves(found.detections),
        timing=found.timing,
        tables=(*from_result.detection_tables(found.detections), *from_result.motion_tables(found.motion)),
        provenance=(*from_result.provenance_tables(provenance), *_provenance(path, found.recording)),
    )


def _subtitle(recording: RecordedReplay) -> str:
    models = sorted(
        {
            *(message.model for message in (recording.detections or {}).values()),
            *(message.model for message in recording.correspondences),
        }
    )
    return f"{' and '.join(models) or 'no answers'} on {recording.image_topic}"


def _provenance(path: Path, recording: RecordedReplay) -> list[Table]:
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.suffix in STORAGE_SUFFIXES)
    tables = [
        Table("Answers bag", ("file", "SHA-256"), tuple((file.name, file_sha256(file)) for file in files)),
        Table(
            "Topics", ("topic", "type", "messages"), tuple((name, kind, str(n)) for name, kind, n in recording.topics)
        ),
    ]
    for name, state in recording.nodes.items():
        if state.values:
            tables.append(Table(name.lstrip("/"), ("", ""), tuple(state.values.items()), "What the node said last."))
    return tables


def _pictures(bag: Bag, recording: RecordedReplay, stamps: Collection[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    if not stamps:
        return found
    max_bytes = PICTURE_BYTES // len(stamps)
    for item in bag.messages([recording.image_topic]):
        stamp = stamp_ns(item.message.header)
        if stamp in stamps and stamp not in found:
            try:
                found[stamp] = encode_picture(to_rgb(item.message), max_bytes)
            except InputError:
                continue  # a damaged image: the nodes have said so, and the report goes on without its picture
    return found
