"""Evaluates a YOLC network on labelled images: average precision by named protocols."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perception_common.backends.devices import RuntimeChoice
from perception_common.errors import InputError
from perception_common.resources import list_models
from replay_ros.evaluation.detection.comparison.paired_bootstrap import paired_difference
from replay_ros.evaluation.detection.datasets import Dataset
from replay_ros.evaluation.detection.inference import InferenceMode, PredictionRun, run_inference
from replay_ros.evaluation.detection.metrics import score_detections
from replay_ros.evaluation.detection.protocols import PROTOCOLS
from replay_ros.evaluation.detection.results import DetectionResult, detection_result_to_mapping
from replay_ros.evaluation.detection.truth import ClassChoice, LabelledImages, choose_classes, truth_sha256
from replay_ros.evaluation.model_choice import find_model_weights
from yolc_ros.datasets.samples import LabelProblem
from yolc_ros.detector import Detector, DetectorSettings, LsmMerge, Scores
from yolc_ros.parameters import YolcParameters

SMALLEST_SCORE = 0.01  # the precision-recall curve also needs detections of low score (empirical)
MAX_DETECTIONS = max(max(each.max_detections, each.max_detections_else) for each in PROTOCOLS.values())


@dataclass(frozen=True)
class NetworkOptions:
    """The network to evaluate, and how.

    weights, model: see `find_model_weights`. modes: inference modes to compare. classes: see `choose_classes`.
    protocols: their names; empty: those of the dataset. score_threshold: of the operating point. scores: as the node
    publishes them, or raw. smallest_score: raw one of the detections that are evaluated at all. nms_iou, merge: see
    `DetectorSettings`. predictions: file of cached predictions; None: no cache. max_side: of the network's input,
    pixels; 0: the image's size. device: see `choose_device`. runtime: precision and backend.
    """

    weights: str = "yolc_lite"
    model: str | None = None
    modes: tuple[InferenceMode, ...] = (InferenceMode(),)
    classes: str | None = None
    protocols: tuple[str, ...] = ()
    score_threshold: float = DetectorSettings.score_threshold
    scores: Scores = DetectorSettings.scores
    smallest_score: float = SMALLEST_SCORE
    nms_iou: float | None = DetectorSettings.nms_iou
    merge: LsmMerge = "ours"
    predictions: Path | None = None
    max_side: int = YolcParameters.max_side
    device: str = "auto"
    runtime: RuntimeChoice = field(default_factory=RuntimeChoice)


def evaluate_network(dataset: Dataset, options: NetworkOptions) -> list[DetectionResult]:
    """Run the network over the dataset; return a result for each protocol and inference mode. Raises InputError."""
    detector = load_detector(options)
    choice = choose_classes(dataset.categories, detector.class_names, options.classes)
    labelled = dataset.read(choice)
    _check_objects(labelled, dataset, choice)
    if any(mode.scale == "ground" for mode in options.modes):
        labelled = _with_views_noted(labelled, dataset)
    runs = [run_inference(detector, mode, labelled.images, options.predictions) for mode in options.modes]
    labelled = _without_unreadable(labelled, runs)
    _check_objects(labelled, dataset, choice)
    return [
        _result(protocol, run, runs[0], detector, dataset, labelled, choice, options)
        for protocol in dict.fromkeys(options.protocols or dataset.protocols)
        for run in runs
    ]


def predict_images(dataset: Dataset, options: NetworkOptions, images: Collection[Path]) -> int:
    """Predict some images of the dataset into the file `options.predictions`, and return how many they are.

    Images of a dataset do not depend on each other, so `evaluate_network` finds the same over the predictions of parts
    that `join_predictions` joined. Raises InputError.
    """
    detector = load_detector(options)
    labelled = dataset.read(choose_classes(dataset.categories, detector.class_names, options.classes))
    chosen = [image for image in labelled.images if image.path in images]
    for mode in options.modes:
        run_inference(detector, mode, chosen, options.predictions)
    return len(chosen)


def load_detector(options: NetworkOptions) -> Detector:
    """Load the network that the options name. Raises InputError."""
    variants = [f"yolc_{name}" for name in list_models("yolc_")]
    model, weights = find_model_weights(options.weights, options.model, default="yolc_lite", variants=variants)
    settings = DetectorSettings(
        options.max_side,
        score_threshold=options.smallest_score,
        scores="raw",  # and calibrated afterwards, so that cached predictions serve both
        nms_iou=options.nms_iou,
        max_detections=MAX_DETECTIONS,
        merge=options.merge,
    )
    return Detector.load(model, weights, options.runtime.on(options.device), settings)


def _with_views_noted(labelled: LabelledImages, dataset: Dataset) -> LabelledImages:
    """Note the images without a view of the ground. Raises InputError when none has one."""
    missing = sum(image.view is None for image in labelled.images)
    if missing == len(labelled.images):
        raise InputError(
            f"{dataset.path}: no image has a usable altitude_m with pitch_deg or down, and focal_px, which "
            "--scale ground needs; add them to the images of a COCO file (--fov in place of focal_px), or use "
            "--scale auto" + "".join(f"; {each}" for each in labelled.notes)
        )
    note = f"{missing} of {len(labelled.images)} images have no altitude and tilt; scale ground searches as auto there"
    return replace(labelled, remarks=(*labelled.remarks, note)) if missing else labelled


def _check_objects(labelled: LabelledImages, dataset: Dataset, choice: ClassChoice) -> None:
    """Raise InputError where nothing can be found, so that every figure would be empty."""
    if not any(len(image.truth.boxes) for image in labelled.images):
        causes = "".join(f"; {note}" for note in labelled.notes)
        raise InputError(
            f"{dataset.path}: there is no object of {', '.join(choice.of_category)} in its "
            f"{len(labelled.images)} images, so nothing can be evaluated{causes}"
        )


def _without_unreadable(labelled: LabelledImages, runs: Sequence[PredictionRun]) -> LabelledImages:
    """Leave out the images that could not be read. Raises InputError when none is left."""
    faults = {path: fault for run in runs for path, fault in run.faults.items()}
    if not faults:
        return labelled
    kept = tuple(image for image in labelled.images if image.path not in faults)
    problems = tuple(LabelProblem(str(path), fault) for path, fault in faults.items())
    if not kept:
        raise InputError(f"none of {len(labelled.images)} images can be read; {problems[0].what}")
    return replace(labelled, images=kept, problems=(*labelled.problems, *problems))


def _result(
    protocol: str,
    run: PredictionRun,
    reference: PredictionRun,
    detector: Detector,
    dataset: Dataset,
    labelled: LabelledImages,
    choice: ClassChoice,
    options: NetworkOptions,
) -> DetectionResult:
    conditions = run.mode.conditions(detector)
    names, truths = [image.name for image in labelled.images], [image.truth for image in labelled.images]
    calibration = detector.calibration if options.scores == "calibrated" else None
    found, compared = (
        run.of_classes(labelled.images, detector.class_names, choice, calibration) for run in (run, reference)
    )
    return DetectionResult(
        protocol=protocol,
        look=run.mode.name,
        scores=score_detections(
            truths,
            found,
            choice.classes,
            PROTOCOLS[protocol],
            options.score_threshold,
            names,
        ),
        images=len(labelled.images),
        crops_per_image=run.crops_per_image,
        seconds_per_image=run.seconds_per_image,
        classes={category: choice.meaning(category) for category in choice.of_category},
        model=conditions["model"],
        weights_sha256=conditions["weights_sha256"],
        settings={
            "scores": "raw" if calibration is None else "calibrated",
            "smallest_score": options.smallest_score,
            "nms_iou": options.nms_iou,
            "lsm_merge": options.merge,
            "lsm": run.mode.lsm if run.mode.slicing is None else "off",
            "lsm_regions": run.mode.regions,
            "scale": run.mode.scale,
            "slicing": conditions["slicing"],
            "max_side": options.max_side,
            "device": conditions["device"],
            "precision": conditions["precision"],
            "detector": conditions["settings"],
        },
        truth=str(dataset.path),
        truth_sha256=truth_sha256(names, truths, choice.classes),
        notes=labelled.notes + run.notes,
        versus=None
        if run is reference
        else paired_difference(truths, found, compared, choice.classes, PROTOCOLS[protocol], name=reference.mode.name),
    )


def detection_run_to_mapping(result: DetectionResult) -> dict[str, Any]:
    """Return the JSON content of a run: the result, with the most important settings repeated on its top level."""
    names = ("lsm", "scale", "slicing", "max_side", "smallest_score", "nms_iou", "lsm_merge")
    top = {name: result.settings[name] for name in names if name in result.settings}
    return detection_result_to_mapping(result) | top
