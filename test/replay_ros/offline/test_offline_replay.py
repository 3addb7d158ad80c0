"""Offline replay of a small simulated flight: the same bytes each time, also when it was broken off in between."""

from dataclasses import replace
from pathlib import Path

import pytest

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.flight_path import FlightPathOptions
from flight_sim.scene import SceneOptions
from perception_common.errors import InputError
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.bags.messages import stamp_of
from replay_ros.bags.reader import open_bag
from replay_ros.offline.replay import OfflineOptions, replay_offline
from replay_ros.replay import score_replay
from replay_ros.result.compare import compare
from replay_ros.result.completeness import missing_answers
from replay_ros.result.replay_result import read_result, write_result
from yolc_ros.detector import Detector

pytestmark = pytest.mark.slow

FLIGHT = FlightOptions(
    scene=SceneOptions(side=128.0, urbanity=0.6),
    path=FlightPathOptions(kind="survey", duration_s=3.0, altitude_m=30.0, pitch_deg=-80.0),
    camera=CameraOptions(width=256, height=192),
    frame_rate_hz=1.0,
)
PARAMETERS = """
/**/yolc_node: {ros__parameters: {score_threshold: 0.05, weights: none}}
/**/loftr_node:
  ros__parameters: {max_side: 256, altitude: range, gimbal: pitch, gimbal_pitch: -80.0, use_detections: true}
"""


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("offline")
    write_flight(FlightBagOptions(folder / "flight", seed=5, flight=FLIGHT))
    (folder / "parameters.yaml").write_text(PARAMETERS)
    return OfflineOptions(folder / "flight", folder / "first" / "answers", folder / "parameters.yaml")


@pytest.fixture(scope="module")
def result(options):
    return replay_offline(options)


def content(bag: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in bag.iterdir()}


def messages(bag: Path, topic: str) -> list:
    with open_bag(bag) as opened:
        return [item.message for item in opened.messages([topic])]


def test_every_image_has_its_answers_in_order(options, result):
    stamps = [stamp_of(message) for message in messages(options.bag, "/camera/image")]
    assert result.frames == len(stamps) == 4
    for topic in ("/yolc/tracks", "/yolc/detections", "/loftr/status"):
        assert [stamp_of(message) for message in messages(options.out, topic)] == stamps
    assert result.topics["/loftr/keyframe"] == len(messages(options.out, "/loftr/keyframe")) >= 2
    assert [(node.node, node.answered, node.unanswered) for node in result.answers] == [
        ("yolc_node", 4, ()),
        ("loftr_node", 4, ()),
    ]
    assert missing_answers(result) == ()
    assert not options.out.with_name("answers.unfinished").exists()


def test_the_inputs_are_copied_unchanged(options, result):
    with open_bag(options.bag) as before, open_bag(options.out) as after:
        inputs = list(before.topics)
        assert list(before.raw_messages()) == list(after.raw_messages(inputs))


def test_a_second_run_writes_the_same_bytes(options, result):
    again = replace(options, out=options.out.parents[1] / "second" / "answers")
    replay_offline(again)
    assert content(again.out) == content(options.out)


def test_a_run_that_was_broken_off_goes_on_and_ends_the_same(options, result, monkeypatch, capsys):
    again = replace(options, out=options.out.parents[1] / "third" / "answers")
    looked_at = []
    complete = Detector.complete

    def interrupted(self, *look):
        looked_at.append(1)
        if len(looked_at) == 3:
            raise KeyboardInterrupt
        return complete(self, *look)

    monkeypatch.setattr(Detector, "complete", interrupted)
    with pytest.raises(InputError, match="the same command goes on"):
        replay_offline(again)
    assert not again.out.exists()
    resumed = replay_offline(again)
    assert "going on" in capsys.readouterr().out
    assert len(looked_at) == 3 + 2  # two images were answered before
    assert content(again.out) == content(options.out)
    assert [len(stage.seconds) for stage in resumed.timing.stages if stage.name == "detection"] == [4]


def test_what_was_kept_for_another_configuration_is_not_used(options, monkeypatch, capsys):
    again = replace(options, out=options.out.parents[1] / "fourth" / "answers")

    looked_at = []
    complete = Detector.complete

    def interrupted(self, *look):
        looked_at.append(1)
        if len(looked_at) == 2:
            raise KeyboardInterrupt
        return complete(self, *look)

    with monkeypatch.context() as patch:
        patch.setattr(Detector, "complete", interrupted)
        with pytest.raises(InputError):
            replay_offline(again)
    other = options.params_file.with_name("other.yaml")
    other.write_text(PARAMETERS.replace("0.05", "0.06"))
    replay_offline(replace(again, params_file=other, limit=1))
    assert "starting anew" in capsys.readouterr().out


def test_the_altitude_makes_the_motion_metric(options, result):
    poses = messages(options.out, "/loftr/relative_pose")
    assert any(pose.scale_status == 1 for pose in poses if pose.geometry in (1, 2))


def test_the_answers_are_judged_by_the_truth_in_the_bag(options, result, tmp_path):
    judged = score_replay(result)
    assert judged.detection is not None
    assert judged.detection.images == 4
    assert judged.motion["poses"]["edges"] == result.topics["/loftr/relative_pose"]
    assert judged.provenance.weights["yolc_lite"] == ""
    assert len(judged.provenance.weights["loftr_lite"]) == 64
    write_result(tmp_path / "result.json", judged)
    assert read_result(tmp_path / "result.json") == judged
    assert {change.verdict for change in compare(judged, judged)} == {"same"}


def test_edges_of_the_vehicle_are_written_beside_those_of_the_camera(options, tmp_path):
    mount = PARAMETERS.replace(
        "use_detections", 'base_frame: base, base_from_optical: "0.1 0 0 0 0 0 1", use_detections'
    )
    (tmp_path / "p.yaml").write_text(mount)
    result = replay_offline(replace(options, out=tmp_path / "out", params_file=tmp_path / "p.yaml"))
    assert result.topics["/loftr/relative_pose_base"] == result.topics["/loftr/relative_pose"]
    assert score_replay(result).motion["poses"]["edges"] == result.topics["/loftr/relative_pose"]


def test_a_sensor_that_is_not_in_the_bag_is_named(options, tmp_path):
    (tmp_path / "p.yaml").write_text("/**/loftr_node: {ros__parameters: {use_depth: true}}")
    with pytest.raises(InputError, match="depth/image"):
        replay_offline(replace(options, out=tmp_path / "out", params_file=tmp_path / "p.yaml"))


def test_sift_is_replayed_like_loftr(options, tmp_path):
    """The second matcher behind the seam: results, ids and a run that was broken off."""
    (tmp_path / "p.yaml").write_text("/**/loftr_node: {ros__parameters: {model: sift, altitude: range}}")
    sift = replace(options, out=tmp_path / "first" / "answers", params_file=tmp_path / "p.yaml", detection=False)
    result = replay_offline(sift)
    assert result.provenance.weights == {"sift": ""}
    correspondences = messages(sift.out, "/loftr/correspondences")
    assert correspondences
    for message in correspondences:
        assert (message.model, message.trained) == ("sift", True)
        assert len(message.x0) == len(message.id1) > 50
    again = replace(sift, out=tmp_path / "second" / "answers")
    replay_offline(again)
    assert content(again.out) == content(sift.out)
