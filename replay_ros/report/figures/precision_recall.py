"""Precision-recall curves of the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from replay_ros.evaluation.detection.results import DetectionResult
from replay_ros.report.content.plots import PrecisionRecall


def precision_recall_curves(detections: Sequence[DetectionResult]) -> tuple[PrecisionRecall, ...]:
    """Return the curve of each class; with several results, its name includes the inference mode and the protocol."""
    curves = []
    for result in detections:
        suffix = f" · {result.look} · {result.protocol}" if len(detections) > 1 else ""
        for name, scores in result.scores.by_class.items():
            curves.append(
                PrecisionRecall(
                    name=name + suffix,
                    recall=np.array(scores.curve.recall),
                    precision=np.array(scores.curve.precision),
                    ap=scores.ap50,
                )
            )
    return tuple(curves)
