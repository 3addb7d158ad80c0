"""Detection results to JSON and back."""

import json

import pytest

from perception_common.errors import InputError
from replay_ros.evaluation.detection.results import (
    ClassScores,
    Curve,
    DetectionResult,
    DetectionScores,
    ImageCounts,
    OperatingPoint,
    Reliability,
    ReliabilityBin,
    detection_result_from_json,
    detection_result_to_mapping,
)

POINT = OperatingPoint(score=0.3, hits=3, false=1, missed=2, precision=0.75, recall=0.6, f1=2 / 3)
NOTHING = OperatingPoint(score=0.3, hits=0, false=0, missed=0, precision=None, recall=None, f1=None)
CAR = ClassScores(0.25, 0.5, None, 5, POINT, POINT, Curve((0.2, 0.4), (1.0, 0.9), (0.8, 0.7)))
SCORES = DetectionScores(
    ap=0.25,
    ap50=0.5,
    ap75=None,
    by_size={"small": 0.1, "medium": None, "large": None},
    recall={"1": 0.1, "100": 0.6},
    operating=NOTHING,
    best=POINT,
    by_class={"car": CAR},
    by_image=(ImageCounts("one.jpg", 3, 1, 2),),
    by_score=(POINT, NOTHING),
    reliability=Reliability(0.1, 0.3, (ReliabilityBin(0.8, 0.9, 4, 0.85, 0.75),)),
)
RESULT = DetectionResult(
    protocol="coco",
    look="LSM on",
    scores=SCORES,
    images=1,
    crops_per_image=2.0,
    seconds_per_image=None,
    classes={"coach": "bus"},
    model="yolc_lite",
    weights_sha256="ab" * 32,
    settings={"max_side": 0, "lsm": {"regions": 2}},
    truth="coco.json",
    truth_sha256="cd" * 32,
    notes=("two images were broken",),
)


def test_json_and_back():
    assert detection_result_from_json(RESULT.to_json()) == RESULT


def test_a_result_of_an_earlier_version_has_no_reliability():
    content = detection_result_to_mapping(RESULT)
    del content["by_score"], content["reliability"]
    read = detection_result_from_json(json.dumps(content))
    assert (read.scores.by_score, read.scores.reliability) == ((), None)
    assert read.scores.best == POINT


def test_the_scores_are_on_the_top_level():
    content = detection_result_to_mapping(RESULT)
    assert {"ap", "ap50", "ap75", "crops_per_image", "seconds_per_image", "protocol", "look"} <= content.keys()
    assert json.loads(RESULT.to_json())["by_class"]["car"]["curve"]["recall"] == [0.2, 0.4]


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"schema": "yolc_ros/detection_result/1", "ap": 1}'])
def test_other_content_is_refused(text):
    with pytest.raises(InputError):
        detection_result_from_json(text)
