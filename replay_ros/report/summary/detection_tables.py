"""Tables of the detection evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from perception_common.text.markdown import number_cell
from replay_ros.evaluation.detection.results import DetectionResult
from replay_ros.report.content.text import Table
from replay_ros.report.summary.numbers import significant

_SIZES = ("small", "medium", "large")
_RESULT_COLUMNS = ("inference", "protocol", "AP", "AP50", "AP75", *_SIZES, "crops/image", "s/image")
_CLASS_COLUMNS = ("class", "AP", "AP50", "AP75", "objects", "precision", "recall", "best F1", "at score")


def detection_tables(detections: Sequence[DetectionResult]) -> list[Table]:
    """Return a table with one row per result, and one table of the classes of each result."""
    if not detections:
        return []
    notes = " ".join(dict.fromkeys(note for each in detections for note in each.notes))
    by_result = Table("Detection", _RESULT_COLUMNS, tuple(map(_result_row, detections)), notes)
    return [by_result, *(_class_table(each, is_only=len(detections) == 1) for each in detections)]


def _result_row(result: DetectionResult) -> tuple[str, ...]:
    scores = result.scores
    sizes = (scores.by_size.get(size) for size in _SIZES)
    return (
        result.look,
        result.protocol,
        *(number_cell(value, 3) for value in (scores.ap, scores.ap50, scores.ap75, *sizes)),
        significant(result.crops_per_image),
        significant(result.seconds_per_image),
    )


def _class_table(result: DetectionResult, is_only: bool) -> Table:
    rows = tuple(
        (
            name,
            *(number_cell(value, 3) for value in (scores.ap, scores.ap50, scores.ap75)),
            str(scores.objects),
            *(number_cell(value, 3) for value in (scores.operating.precision, scores.operating.recall, scores.best.f1)),
            f"{scores.best.score:.2f}",
        )
        for name, scores in result.scores.by_class.items()
    )
    title = "By class" if is_only else f"By class, {result.look}, {result.protocol}"
    threshold = result.scores.operating.score
    return Table(title, _CLASS_COLUMNS, rows, f"Precision and recall at score threshold {threshold:.2f} and IoU 0.5.")
