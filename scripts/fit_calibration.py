"""Fits the calibration of the scores of shipped weights, and prints its entry for config/models and the F1.

example: python scripts/fit_calibration.py yolc_lite_thermal --cache seen \\
    --set ../shared/data/hit_uav_thermal/train.json '*7.jpg' ''
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from perception_common.backends.devices import choose_device
from replay_ros.evaluation.calibration_fit import f1_over_threshold, find_boxes, fit_sets
from replay_ros.evaluation.detection.calibration.reliability import measure_reliability
from replay_ros.evaluation.detection.datasets import coco_dataset
from replay_ros.evaluation.detection.evaluate import MAX_DETECTIONS, SMALLEST_SCORE
from yolc_ros.calibration import calibrate
from yolc_ros.detector import Detector, DetectorSettings
from yolc_ros.parameters import YolcParameters

THRESHOLDS = np.arange(5, 96, 5) / 100


def main() -> None:
    """Fit to all sets, and print how well each is described."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="its shipped weights are calibrated")
    names = ("COCO.json", "FILES", "CLASSES")
    about = "labelled images of the training side, as in `evaluate detection`; CLASSES may be empty; repeatable"
    parser.add_argument("--set", nargs=3, action="append", required=True, metavar=names, help=about)
    parser.add_argument("--cache", type=Path, help="folder for predictions, to be used again")
    given = parser.parse_args()
    settings = DetectorSettings(
        YolcParameters.max_side, score_threshold=SMALLEST_SCORE, scores="raw", max_detections=MAX_DETECTIONS
    )
    detector = Detector.load(given.model, "default", choose_device("auto"), settings)
    sets = []
    for number, (truth, files, classes) in enumerate(given.set):
        cache = given.cache and given.cache / f"{given.model}_{number}.npz"
        sets.append(find_boxes(detector, coco_dataset(Path(truth), None, files, None), classes or None, cache))
    fitted = fit_sets(sets, detector.weights_sha256)
    print(f"calibration:\n  slope: {fitted.slope:.3f}\n  offset: {fitted.offset:.3f}")
    print(f"  weights_sha256: {fitted.weights_sha256}")
    curves = [f1_over_threshold(each, fitted, THRESHOLDS) for each in sets]
    for (truth, files, _), each, f1 in zip(given.set, sets, curves, strict=True):
        errors = [
            measure_reliability(scores, each.is_hit, YolcParameters.score_threshold).error or 0.0
            for scores in (each.scores, calibrate(each.scores, fitted))
        ]
        best = int(np.argmax(f1))
        print(
            f"{truth} {files}: calibration error {errors[0]:.3f} raw, {errors[1]:.3f} calibrated; "
            f"best F1 {f1[best]:.3f} from {THRESHOLDS[best]:.2f}"
        )
    mean = np.mean(curves, axis=0)
    print("mean F1 over the threshold:", ", ".join(f"{t:.2f} {v:.3f}" for t, v in zip(THRESHOLDS, mean, strict=True)))


if __name__ == "__main__":
    main()
