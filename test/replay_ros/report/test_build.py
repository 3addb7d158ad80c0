"""The content of the report of a small output bag."""

import json
from dataclasses import asdict

import cv2
import numpy as np
import pytest

from perception_common.errors import InputError
from replay_ros.bags.writer import BagWriter
from replay_ros.evaluation.detection.bags import score_bag
from replay_ros.report.build import read_content
from replay_ros.report.content.images import MatchKind
from replay_ros.report.reading.results import read_results
from replay_ros.result.answers import NodeAnswers, Refusal
from replay_ros.result.timing import ResourceUse, StageTimes, Timing

LOST, WRONG_NEWER = 5, 6  # frames: one without detections, the keyframe with a wrong direction


def tile(content, label):
    (found,) = [each for each in content.tiles if each.label == label]
    return found


def test_every_frame_has_its_picture(content):
    assert len(content.frames) == 12
    assert content.shown == "All 12 frames are shown."
    pictures = [cv2.imdecode(np.frombuffer(frame.picture, np.uint8), 1) for frame in content.frames]
    assert {picture.shape for picture in pictures} == {(240, 320, 3)}
    assert len({frame.picture for frame in content.frames}) == 12


def test_boxes_are_matched_with_the_ground_truth(content):
    frame = content.frames[0]
    assert frame.detections.matched.tolist() == [True, True, True, False]
    assert frame.truth.matched.tolist() == [True, True, True, False]
    assert (frame.missed, frame.false) == (1, 1)
    assert frame.regions.tolist() == [[30, 40, 150, 120]]
    np.testing.assert_allclose(frame.truth.xyxy[0], [28, 52, 52, 68])
    assert content.frames[LOST].detections is None
    assert content.frames[LOST].missed is None


def test_keyframe_pairs_have_matches_and_errors(content):
    assert [(pair.older, pair.newer) for pair in content.pairs] == [(0, 3), (3, 6), (6, 9)]
    assert content.pairs[0].counts == {MatchKind.OUTLIER: 10, MatchKind.INLIER: 20, MatchKind.DYNAMIC: 10}
    errors = [pair.direction_error_deg for pair in content.pairs]
    np.testing.assert_allclose(errors, [0, 20, 0], atol=0.5)
    assert max(pair.rotation_error_deg for pair in content.pairs) < 0.01


def test_the_trajectory_is_aligned_with_the_ground_truth(content):
    path = content.trajectory
    assert path.frames.tolist() == [0, 3, 6, 9]
    assert path.true.shape == (12, 2)
    assert path.errors.max() < 3.0  # of 20 m; the direction of one step is off by 20 degrees
    np.testing.assert_allclose(path.estimated, path.true[path.frames], atol=3.0)
    assert (np.linalg.eigvalsh(path.covariances) > -1e-9).all()


def test_frames_to_check_have_their_reasons(content):
    assert content.frames_to_check[0].frame == LOST
    assert content.frames_to_check[0].reasons == ("yolc_node returned no result for this image.",)
    (wrong,) = [each for each in content.frames_to_check if each.frame == WRONG_NEWER]
    assert "keyframes 1 and 2 is wrong: rotation error 0.0°, direction error 20" in wrong.reasons[0]
    assert "1 of 4 objects were missed" in wrong.reasons[1]


def test_tiles_summarise_the_replay(content, answers):
    assert tile(content, "Images").value == "12"
    assert tile(content, "Processed").value == "92 %"
    assert tile(content, "Objects found").value == "75 %"
    assert tile(content, "Within 5°").value == "67 %"
    assert tile(content, "Within 5°").verdict == "doubtful"
    assert tile(content, "AP50").value == f"{score_bag(answers).scores.ap50:.2f}"


def test_curves_and_errors_over_time(content):
    assert {curve.name for curve in content.curves} == {"car", "</script><b>van"}
    series = {each.name: each for each in content.errors}
    assert {"rotation", "direction of motion", "position", "NEES", "missed objects", "false detections"} == set(series)
    assert series["direction of motion"].frames.tolist() == [3, 6, 9]
    assert series["missed objects"].values.tolist() == [1] * 11
    assert LOST not in series["missed objects"].frames


def test_timing_comes_from_the_result_else_from_the_messages(answers, content, tmp_path):
    stages = {stage.name: stage for stage in content.timing.stages}
    np.testing.assert_allclose(stages["Matching"].seconds, 0.5)
    assert LOST not in stages["Detection"].frames
    measured = Timing(
        (StageTimes("network", (0, 2, 77), (0.2, 0.4, 9.0)),),
        ResourceUse((0.0, 0.5), (90.0, 110.0), (400.0, 410.0), None),
    )
    counted = [asdict(NodeAnswers("loftr_node", 12, (Refusal("it was dark", (3, 4)),), (1,)))]
    (tmp_path / "result.json").write_text(json.dumps({"timing": asdict(measured), "answers": counted}))
    content = read_content(answers, read_results([tmp_path / "result.json"]))
    assert content.timing.stages[0].frames.tolist() == [0, 2]  # the image that is not in the bag is left out
    assert content.timing.drops[0].lost.tolist() == [1, 3, 4]
    assert content.timing.drops[0].refused == 2
    assert content.timing.resources.memory_mib.tolist() == [400.0, 410.0]
    assert "2 images were refused: it was dark." in [problem.text for problem in content.problems]


def test_without_ground_truth_nothing_is_evaluated(make_answers):
    content = read_content(make_answers(truth=False))
    assert content.errors == ()
    assert content.curves == ()
    assert content.tables == ()
    assert content.trajectory.errors is None
    assert content.trajectory.axes == ("right, steps", "up in the image, steps")
    assert content.frames[0].detections.matched is None
    assert any("no ground truth" in problem.text for problem in content.problems)
    assert tile(content, "Poses estimated").value == "100 %"
    assert tile(content, "Objects").value == "44"


def test_without_problems_the_slowest_image_is_to_be_checked(make_answers):
    content = read_content(make_answers(truth=False, detection=False))
    (slowest,) = content.frames_to_check
    assert slowest.reasons == ("Slowest image: 500 ms in total.",)


def test_random_weights_are_not_evaluated(make_answers):
    content = read_content(make_answers(trained=False))
    assert not content.trained
    assert tile(content, "Detection").verdict == "bad"
    assert content.curves == ()
    assert content.frames[0].truth.matched is None
    assert all("objects were missed" not in reason for each in content.frames_to_check for reason in each.reasons)


def test_long_replays_show_a_choice_of_frames(answers):
    content = read_content(answers, pictures=4)
    assert sum(frame.picture is not None for frame in content.frames) == 4
    assert content.frames[LOST].picture is not None  # the first frame to check
    assert content.shown.startswith("4 of 12 frames are shown")


def test_missing_images_and_a_missing_truth_topic_are_refused(tmp_path, answers):
    with BagWriter(tmp_path / "empty") as bag:
        message = bag.types.types["std_msgs/msg/String"]("hello")
        bag.write("chatter", message, 1)
    with pytest.raises(InputError, match="no messages of type sensor_msgs/Image"):
        read_content(tmp_path / "empty")
    with pytest.raises(InputError, match="no topic nowhere"):
        read_content(answers, truth="nowhere")
