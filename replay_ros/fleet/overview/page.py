"""The overview of a fleet as one HTML page: key figures, failures, distributions, best and worst bags, all bags."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from perception_common.text.durations import duration_text
from replay_ros.fleet.overview.plot import distribution_svg, value_text
from replay_ros.fleet.overview.statistics import Distribution, causes, distributions
from replay_ros.fleet.record import Record
from replay_ros.report.content.text import Tile
from replay_ros.report.to_html import fill_page, read_page, write_page

OVERVIEW = "overview.html"
_ENDS = 5  # best and worst bags of a metric
_HEADLINES = 3  # metrics at the top
_COLUMNS = 6  # metrics in the table of all bags
_MOST_ROWS = 2000  # of that table: a browser shows more slowly
_LINKED = 8  # bags that are named with a cause


def write_overview(output: Path, kind: str, records: Sequence[Record]) -> Path:
    """Write the overview of a fleet into its folder and return its path. Raises InputError."""
    path = output / OVERVIEW
    write_page(render_overview(output.name, kind, records), path)
    return path


def render_overview(title: str, kind: str, records: Sequence[Record]) -> str:
    """Return the page. kind: "replay" or the like."""
    found, links = distributions(records), {record.name: _link(record) for record in records}
    shown = records[:_MOST_ROWS]
    cut = "" if len(shown) == len(records) else f"The first {len(shown)} of {len(records)} bags. "
    parts = {
        "title": html.escape(title),
        "css": read_page("report.css"),
        "subtitle": html.escape(f"{kind} of {len(records)} bags or datasets"),
        "tiles": "".join(map(_tile, _tiles(records, found))),
        "problems": _problems(records, links),
        "metrics": _metrics(found, links),
        "table": _table(shown, found[:_COLUMNS], links),
        "note": f"{cut}A click on a heading sorts. All figures stand in results.jsonl.",
    }
    return fill_page("fleet.html", parts)


def _tiles(records: Sequence[Record], found: Sequence[Distribution]) -> Iterator[Tile]:
    counts = {status: sum(record.status == status for record in records) for status in ("done", "incomplete", "failed")}
    yield Tile("Done", str(counts["done"]), f"of {len(records)}", "good" if counts["done"] == len(records) else "plain")
    if counts["incomplete"]:
        yield Tile("Incomplete", str(counts["incomplete"]), "results are there, something is missing", "doubtful")
    yield Tile("Failed", str(counts["failed"]), "without results", "bad" if counts["failed"] else "plain")
    frames, seconds = sum(record.frames for record in records), sum(record.seconds for record in records)
    cpu, size = sum(record.cpu_seconds for record in records), sum(record.size for record in records)
    yield Tile("Images", f"{frames:,}".replace(",", " "), f"{size / 1e9:.2f} GB of input")
    if frames:
        repeated = sum(record.attempts > 1 for record in records)
        detail = f"{duration_text(seconds)} of workers" + (f"; {repeated} tasks repeated" if repeated else "")
        yield Tile("CPU time per image", value_text(cpu / frames, "s"), detail)
    kinds = {each.name.split()[0]: each for each in reversed(found)}  # the first metric of each kind
    for distribution in [each for each in found if each in kinds.values()][:_HEADLINES]:
        low, middle, high = distribution.quartiles
        detail = f"median of {len(distribution.metrics)}; middle half {value_text(low)} to {value_text(high)}"
        yield Tile(distribution.name, value_text(middle, distribution.unit), detail)


def _tile(tile: Tile) -> str:
    return (
        f'<div class="tile {tile.verdict}"><p class="label">{html.escape(tile.label)}</p>'
        f'<p class="value">{html.escape(tile.value)}</p><p class="detail">{html.escape(tile.detail)}</p></div>'
    )


def _problems(records: Sequence[Record], links: dict[str, str]) -> str:
    rows = []
    for cause, group in causes(records):
        verdict, mark = (
            ("bad", "Failure") if any(each.status == "failed" for each in group) else ("doubtful", "Warning")
        )
        named = ", ".join(_anchor(each.name, links[each.name]) for each in group[:_LINKED])
        more = f" and {len(group) - _LINKED} more" if len(group) > _LINKED else ""
        rows.append(
            f'<li><span class="mark {verdict}">{mark}</span><span class="text">{html.escape(cause)}<br>'
            f'<span class="detail">{len(group)} of {len(records)}: {named}{more}</span></span></li>'
        )
    if not rows:
        return ""
    return f'<div class="card" id="problems-card"><h2>Problems</h2><ul class="problems">{"".join(rows)}</ul></div>'


def _metrics(found: Sequence[Distribution], links: dict[str, str]) -> str:
    """Return the cards of all metrics; those of durations, which are many, are folded."""
    timed = [each for each in found if each.unit == "ms"]
    cards = "".join(_metric(each, links) for each in found if each.unit != "ms")
    folded = f'<div class="grid">{"".join(_metric(each, links) for each in timed)}</div>'
    more = f'<details class="durations"><summary>Durations of the stages ({len(timed)})</summary>{folded}</details>'
    return f'<div class="grid">{cards}</div>{more if timed else ""}'


def _metric(distribution: Distribution, links: dict[str, str]) -> str:
    middle = value_text(distribution.quartiles[1], distribution.unit)
    head = f"<h3>{html.escape(distribution.name)}<span>median {html.escape(middle)}</span></h3>"
    is_same = distribution.values.min() == distribution.values.max()
    count = 0 if is_same else min(_ENDS, len(distribution.metrics) // 2)
    ends = {"Best": distribution.metrics[:count], "Worst": distribution.metrics[::-1][:count]} if count else {}
    lists = "".join(
        f"<div><p>{name}</p><ol>"
        + "".join(
            f"<li>{_anchor(record.name, links[record.name])}<span>{value_text(metric.value)}</span></li>"
            for record, metric in pairs
        )
        + "</ol></div>"
        for name, pairs in ends.items()
    )
    picture = distribution_svg(distribution, links)
    return f'<div class="card metric">{head}{picture}<div class="ends-of">{lists}</div></div>'


def _table(records: Sequence[Record], found: Sequence[Distribution], links: dict[str, str]) -> str:
    titles = ("bag", "status", "images", "s", "CPU s", *(each.name for each in found))
    head = "".join(
        f'<th scope="col"{_NUMERIC if index > 1 else ""}><button type="button">{html.escape(title)}</button></th>'
        for index, title in enumerate(titles)
    )
    rows = "".join(_row(record, found, links) for record in records)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


_NUMERIC = ' class="number"'


def _row(record: Record, found: Sequence[Distribution], links: dict[str, str]) -> str:
    values = {metric.name: metric.value for metric in record.metrics}
    cause = f'<span class="cause">{html.escape(record.cause)}</span>' if record.cause else ""
    numbers = [record.frames, record.seconds, record.cpu_seconds, *(values.get(each.name) for each in found)]
    cells = "".join(
        f'<td{_NUMERIC} data-value="{"" if value is None else value}">'
        f"{'-' if value is None else value if isinstance(value, int) else value_text(value)}</td>"
        for value in numbers
    )
    status = f'<td data-value="{record.status}"><span class="status {record.status}">{record.status}</span>{cause}</td>'
    return f"<tr><td>{_anchor(record.name, links[record.name])}</td>{status}{cells}</tr>"


def _link(record: Record) -> str:
    """Return the address of what tells most about a bag: its report, else its result, else its log."""
    return quote(record.files.get("report") or record.files.get("result") or record.log)


def _anchor(name: str, link: str) -> str:
    return f'<a href="{html.escape(link)}">{html.escape(name)}</a>'
