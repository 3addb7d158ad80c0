"""Table of the places of objects on the ground."""

from __future__ import annotations

from collections.abc import Iterator

from perception_common.errors import InputError
from perception_common.text.markdown import number_cell
from replay_ros.evaluation.places import PlaceFigures, score_places
from replay_ros.report.content.text import Table
from replay_ros.report.reading.recording import RecordedReplay


def place_tables(recording: RecordedReplay) -> list[Table]:
    """Return the table of the places against the truth; none where the bag lacks either."""
    if not recording.objects or not recording.true_objects:
        return []
    try:
        figures = score_places(recording.objects.values(), recording.true_objects.values())
    except InputError as error:
        return [Table("Objects on the ground", ("metric", "value", "details"), (), str(error))]
    return [Table("Objects on the ground", ("metric", "value", "details"), tuple(_rows(figures)), "")]


def _rows(figures: PlaceFigures) -> Iterator[tuple[str, str, str]]:
    yield "Places of true objects", str(figures.objects), f"{figures.unmatched} others belong to no true object"
    if figures.rms_m is not None:
        yield "Error", f"{figures.rms_m:.2f} m", f"RMS of all axes; {figures.horizontal_rms_m:.2f} m over the ground"
        yield "Median error", f"{figures.median_m:.2f} m", "all axes"
        yield "NEES", number_cell(figures.nees_per_dof, 2), "over its degrees of freedom, 1: consistent"
    for reason, count in sorted(figures.without_place.items()):
        yield "Without a place", str(count), reason
