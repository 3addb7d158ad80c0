"""Result files of the report and the tables made from them."""

import json
from dataclasses import asdict

import pytest

from perception_common.errors import InputError
from replay_ros.bags.reader import open_bag
from replay_ros.evaluation.detection.bags import score_bag
from replay_ros.evaluation.detection.results import detection_result_to_mapping
from replay_ros.evaluation.motion.edges import edge_of_message
from replay_ros.evaluation.motion.metrics import evaluate_motion
from replay_ros.evaluation.motion.truth import read_truth
from replay_ros.report.figures.precision_recall import precision_recall_curves
from replay_ros.report.reading.results import read_results
from replay_ros.report.summary.detection_tables import detection_tables
from replay_ros.report.summary.motion_table import motion_tables
from replay_ros.report.summary.provenance_tables import provenance_tables


@pytest.fixture(scope="module")
def motion(answers):
    with open_bag(answers) as bag:
        edges = [edge_of_message(item.message) for item in bag.messages(["/loftr/relative_pose"])]
        return asdict(evaluate_motion(edges, read_truth("/ground_truth/pose", bag), estimator="poselib, 1 px"))


def saved(tmp_path, content, name="result.json"):
    path = tmp_path / name
    path.write_text(json.dumps(content) if not isinstance(content, str) else content)
    return path


def test_results_of_the_evaluations_are_read(tmp_path, answers, motion):
    scores = detection_result_to_mapping(score_bag(answers))
    results = read_results([saved(tmp_path, scores, "a.json"), saved(tmp_path, motion, "b.json")])
    assert results.detections[0].protocol == "coco-500"
    assert results.motion["poses"]["edges"] == 3
    both = read_results([saved(tmp_path, {"detection": [scores, scores], "motion": motion})])
    assert len(both.detections) == 2


def test_detections_become_tables_and_curves(answers):
    result = score_bag(answers)
    overall, by_class = detection_tables([result])
    assert overall.rows[0][:2] == ("bag", "coco-500")
    assert overall.rows[0][3] == f"{result.scores.ap50:.3f}"
    assert [row[0] for row in by_class.rows] == list(result.scores.by_class)
    assert len(overall.columns) == len(overall.rows[0])
    assert len(by_class.columns) == len(by_class.rows[0])
    assert precision_recall_curves([result, result])[0].name == "car · bag · coco-500"


def test_motion_becomes_a_table(motion):
    (table,) = motion_tables(motion)
    rows = {row[0]: row for row in table.rows}
    assert rows["Within 5°"][1] == "2 of 3"
    assert rows["AUC@5°"][1] == f"{motion['poses']['auc']['5']:.3f}"
    assert "poselib, 1 px" in rows["AUC@5°"][2]
    assert f"{motion['trajectory']['ate_m']['rmse']:.3g} m" == rows["ATE"][1]


def test_provenance_has_one_table_per_group():
    commit, settings = provenance_tables(
        {"commit": "abc", "configuration": {"yolc": {"max_side": 640}, "names": ["a", "b"]}, "empty": {}}
    )
    assert commit.rows == (("commit", "abc"),)
    assert settings.title == "configuration"
    assert settings.rows == (("yolc.max_side", "640"), ("names", "a, b"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ({"answer": 42}, "holds none of"),
        ({"detection": {"schema": "another"}}, "no result of evaluate_detection"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_results([saved(tmp_path, content)])


def test_missing_files_and_broken_parts_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_results([tmp_path / "nowhere.json"])
    with pytest.raises(InputError, match="motion in this result is broken"):
        motion_tables({"association": {}})
    with pytest.raises(InputError, match=r"broken.json: timing: stages: must be a list"):
        read_results([saved(tmp_path, {"timing": {"stages": 3}}, "broken.json")])
