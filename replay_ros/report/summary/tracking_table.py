"""Table of the tracking evaluation."""

from __future__ import annotations

from perception_common.text.markdown import number_cell
from replay_ros.evaluation.tracking.bags import TrackingResult
from replay_ros.report.content.text import Table


def tracking_tables(result: TrackingResult | None) -> list[Table]:
    """Return the table of a result, none for None."""
    if result is None:
        return []
    scores = result.scores
    rows = (
        ("HOTA", number_cell(scores.hota, 3), "detection and association together, over IoU 0.05 to 0.95"),
        ("IDF1", number_cell(scores.idf1, 3), "share of boxes with the id of their object, at IoU 0.5"),
        ("MOTA", number_cell(scores.mota, 3), "misses, false boxes and id switches, at IoU 0.5"),
        ("Id switches", str(scores.id_switches), f"{scores.objects} objects, {scores.boxes} boxes"),
        ("Tracks", str(scores.tracks), f"in {result.images} images"),
        ("Camera unknown", str(result.camera_unknown), "images after the first without a known motion of the camera"),
    )
    return [
        Table("Tracks of objects", ("metric", "value", "details"), rows, " ".join(f"{each}." for each in result.notes))
    ]
