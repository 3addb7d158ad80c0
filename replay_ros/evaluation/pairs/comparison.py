"""One table of several sets of pairs: a row for each combination of matcher and options, a column for each set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from perception_common.text.markdown import markdown_table, number_cell
from replay_ros.evaluation.pairs.evaluate import PairRun
from replay_ros.evaluation.pairs.metrics import SUCCESS_DEGREES, PairSummary


def comparison_lines(sets: Mapping[str, Sequence[PairRun]]) -> Iterator[str]:
    """Yield the lines of the table; sets: the runs of each set by its name, of the same combinations in one order."""
    rows = [(*_label(each[0]), *(_cell(run.summary) for run in each)) for each in zip(*sets.values(), strict=True)]
    yield from markdown_table([("matcher", "estimator", "px", "long side", "rotation", "b turned", *sets), *rows])
    yield ""
    yield f"- poses: pairs under {SUCCESS_DEGREES:g} deg of all, AUC@5/10/20"
    yield "- homographies: mean corner error in pixels of the stored image (- if one failed), AUC@3/5/10 px"


def _label(run: PairRun) -> tuple[str, ...]:
    options = (
        f"{run.estimator.threshold:g}",
        str(run.max_side or "full"),
        run.views.rotation,
        str(90 * run.views.turns_b),
    )
    return run.matcher, run.estimator.name, *options


def _cell(found: PairSummary) -> str:
    cells = []
    if found.success_5deg is not None:
        posed = f"{found.success_5deg} of {found.pairs}" if found.corner_auc["3"] is None else str(found.success_5deg)
        cells.append(f"{posed}, {_areas(found.auc)}")
    if found.corner_auc["3"] is not None:
        cells.append(f"{number_cell(found.corner_px, 2)} px, {_areas(found.corner_auc)}")
    return "; ".join(cells)


def _areas(auc: Mapping[str, float | None]) -> str:
    return "/".join(number_cell(area, 2).lstrip("0") for area in auc.values())
