"""Detection results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perception_common.text.markdown import markdown_table, number_cell
from replay_ros.evaluation.detection.protocols import PROTOCOLS
from replay_ros.evaluation.detection.published import published_for
from replay_ros.evaluation.detection.results import DetectionResult


def detection_lines(results: Sequence[DetectionResult], dataset: str) -> Iterator[str]:
    """Yield the lines of all tables and notes for results on the same truth, sorted by protocol.

    dataset: name of the dataset, for published scores.
    """
    yield from markdown_table(list(_average_precisions(results, dataset)))
    yield ""
    yield from markdown_table(list(_operating_points(results)))
    yield ""
    if any(each.versus for each in results):
        yield from markdown_table(list(_differences(results)))
        yield ""
    if len({name for each in results for name in each.scores.by_class}) > 1:
        yield from markdown_table(list(_classes(results)))
        yield ""
    first = results[0]
    mapped = ", ".join(name if name == meant else f"{name} as {meant}" for name, meant in first.classes.items())
    yield f"- {first.images} images; {mapped}; detections from a score of {first.settings['smallest_score']:g}"
    for protocol in dict.fromkeys(each.protocol for each in results):
        yield f"- {protocol}: {PROTOCOLS[protocol].about}"
    for note in dict.fromkeys(note for each in results for note in each.notes):
        yield f"- {note}"


def _average_precisions(results: Sequence[DetectionResult], dataset: str) -> Iterator[tuple[str, ...]]:
    yield "protocol", "look", "AP", "AP50", "AP75", "small", "medium", "large", "crops/image", "s/image"
    for number, each in enumerate(results):
        values = (each.scores.ap, each.scores.ap50, each.scores.ap75, *each.scores.by_size.values())
        figures = (number_cell(each.crops_per_image, 2), number_cell(each.seconds_per_image, 3))
        yield (each.protocol, each.look, *(number_cell(value, 3) for value in values), *figures)
        if [other.protocol for other in results[number + 1 : number + 2]] != [each.protocol]:
            for row in published_for(dataset, each.protocol):
                published = (number_cell(value, 3) for value in (row.ap, row.ap50, row.ap75))
                yield (row.protocol, row.method, *published, *["-"] * 5)


def _operating_points(results: Sequence[DetectionResult]) -> Iterator[tuple[str, ...]]:
    yield "protocol", "look", "score from", "precision", "recall", "F1", "ECE", "hits", "false", "missed"
    for each, point in [(run, point) for run in results for point in (run.scores.operating, run.scores.best)]:
        rates = (number_cell(value, 3) for value in (point.precision, point.recall, point.f1))
        reliability = each.scores.reliability if point is each.scores.operating else None
        error = number_cell(None if reliability is None else reliability.error, 3)
        threshold = f"{point.score:.3g}{' (best F1)' * (point is each.scores.best)}"
        counts = map(str, (point.hits, point.false, point.missed))
        yield (each.protocol, each.look, threshold, *rates, error, *counts)


def _differences(results: Sequence[DetectionResult]) -> Iterator[tuple[str, ...]]:
    yield "protocol", "look", "AP50 against", "difference", "95 % interval", "at least as good"
    for each in results:
        if (versus := each.versus) is not None:
            interval = f"{versus.low:+.3f} to {versus.high:+.3f}"
            share = f"{100 * versus.not_worse:.0f} % of draws"
            yield (each.protocol, each.look, versus.reference, f"{versus.ap50:+.3f}", interval, share)


def _classes(results: Sequence[DetectionResult]) -> Iterator[tuple[str, ...]]:
    yield ("AP50", *(f"{each.protocol}, {each.look}" for each in results))
    for name in dict.fromkeys(name for each in results for name in each.scores.by_class):
        cells = (each.scores.by_class.get(name) for each in results)
        yield (name, *("-" if cell is None else number_cell(cell.ap50, 3) for cell in cells))
