"""Results of image pairs as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loftr_ros.geometry.accuracy import FAILED_DEGREES
from perception_common.text.markdown import markdown_table, number_cell
from perception_common.text.problems import shortened
from replay_ros.evaluation.pairs.consistency import consistency_of_pairs
from replay_ros.evaluation.pairs.evaluate import HOMOGRAPHIES, PairRun
from replay_ros.evaluation.pairs.truth_agreement import agreement_of_pairs


def pair_lines(runs: Sequence[PairRun]) -> Iterator[str]:
    """Yield the lines of the table of runs, and notes on the estimators and units."""
    head = (
        "matcher",
        "estimator",
        "px",
        "long side",
        "rotation",
        "b turned",
        "pairs",
        "< 5 deg",
        "AUC@5",
        "@10",
        "@20",
        "corners",
        "AUC@3px",
        "failed",
    )
    yield from markdown_table([(*head, "matches", "inliers", "s/pair"), *map(_row, runs)])
    yield ""
    if any(run.summary.success_5deg is not None for run in runs):
        for estimator in dict.fromkeys(run.estimator for run in runs):
            failure = f"a failure counts as {FAILED_DEGREES:g} degrees"
            yield f"- {estimator.name}: {estimator.description}; {failure}"
    if any(errors.error_degrees is None for run in runs for errors in run.details):
        yield f"- homographies: {HOMOGRAPHIES}; corners are pixels of the stored image"
    if problems := runs[0].problems:
        yield f"- {len(problems)} pairs left out ({shortened(problems)})"
    if oddities := runs[0].oddities:
        yield f"- {len(oddities)} images have an odd K ({shortened(oddities)})"
    for run in runs:
        failed = [f"{errors.a} and {errors.b}: {errors.failure}" for errors in run.details if errors.failure]
        if failed:
            what = f"{run.matcher}, {run.estimator.name}"
            yield f"- {what}: {len(failed)} pairs failed with an error ({shortened(failed)})"
        if consistency := consistency_of_pairs(run.details):
            yield f"- {run.matcher}, {run.estimator.name}, {run.max_side or 'full'}: {consistency.sentence}"
        agreement = agreement_of_pairs(run.details, run.estimator.threshold)
        if agreement and agreement.contradicted:
            yield f"- {run.matcher}, {run.estimator.name}, {run.max_side or 'full'}: {agreement.sentence}"
    yield "- s/pair: matching and estimation, without encoding the two images"


def _row(run: PairRun) -> tuple[str, ...]:
    found = run.summary
    return (
        run.matcher,
        run.estimator.name,
        f"{run.estimator.threshold:g}",
        str(run.max_side or "full"),
        run.views.rotation,
        str(90 * run.views.turns_b),
        str(found.pairs),
        number_cell(found.success_5deg, 0),
        *(number_cell(area, 3) for area in found.auc.values()),
        "-" if found.corner_px is None else f"{found.corner_px:.2f} px",
        number_cell(found.corner_auc["3"], 3),
        str(found.failures),
        f"{found.matches:.0f}",
        f"{found.inliers:.0f}",
        f"{found.seconds_per_pair:.2f}",
    )
