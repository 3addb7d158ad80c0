"""Tracks in bags beside true ones: marks of the truth, and the command."""

import json

import pytest

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.flight_path import FlightPathOptions
from flight_sim.scene import SceneOptions
from perception_common.errors import InputError
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.commands.evaluate import detection as evaluate_detection
from replay_ros.evaluation.detection.bags import ArrayOptions
from replay_ros.evaluation.tracking.bags import score_track_arrays
from yolc_ros.msg import Detection, Track, TrackArray

SMALL = FlightOptions(
    scene=SceneOptions(side=163.84, metres_per_pixel=0.32),
    path=FlightPathOptions(duration_s=4.0, altitude_m=40.0),
    camera=CameraOptions(160, 120),
    frame_rate_hz=1.0,
)


def track(number, x, name="car", score=1.0, confirmed=True, unseen=0.0, size=10.0):
    box = Detection(class_name=name, class_id=3, score=score, center_x=x, center_y=50.0, size_x=size, size_y=size)
    return Track(track_id=number, status=3 if unseen else 1, confirmed=confirmed, detection=box, unseen=unseen)


def array(second, *tracks, camera_known=True):
    message = TrackArray(tracks=list(tracks), camera_known=camera_known, trained=True, model="net")
    message.header.stamp.sec = second
    return message


def scores(found, truth):
    return score_track_arrays(found, truth, ArrayOptions())


def test_only_confirmed_tracks_that_were_detected_lately_count():
    truth = [array(k, track(7, 20.0)) for k in range(3)]
    found = [
        array(0, track(1, 20.0)),
        array(1, track(1, 20.0, confirmed=False), track(2, 90.0, unseen=0.6)),
        array(2, track(1, 20.0, unseen=0.2), camera_known=False),
    ]
    result = scores(found, truth)
    assert (result.scores.idf1, result.scores.mota) == (pytest.approx(2 * 2 / (3 + 2)), pytest.approx(2 / 3))
    assert (result.scores.tracks, result.images, result.camera_unknown, result.model) == (1, 3, 1, "net")


def test_unscored_objects_and_ignored_regions_count_neither_way():
    truth = [array(0, track(7, 20.0), track(8, 60.0, score=0.0), track(0, 200.0, name="ignored", score=0.0, size=60.0))]
    others = [track(2, 61.0), track(3, 190.0)]
    assert scores([array(0, track(1, 20.0), *others)], truth).scores.mota == 1.0
    assert scores([array(0, track(1, 20.0), *others, track(4, 400.0))], truth).scores.mota == 0.0


def test_an_unanswered_image_is_left_out_or_missed():
    truth = [array(k, track(7, 20.0)) for k in range(2)]
    found = [array(0, track(1, 20.0))]
    assert scores(found, truth).scores.idf1 == 1.0
    missed = score_track_arrays(found, truth, ArrayOptions(unanswered="miss"))
    assert missed.scores.idf1 == pytest.approx(2 / 3)


def test_the_true_tracks_of_a_flight_score_1_by_the_command(tmp_path, capsys):
    write_flight(FlightBagOptions(tmp_path / "flight", seed=3, flight=SMALL, frames=3))
    command = [str(tmp_path / "flight"), "--tracking", "--topic", "ground_truth/tracks"]
    assert evaluate_detection.main([*command, "--json", str(tmp_path / "result.json")]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["hota"], result["idf1"], result["mota"], result["id_switches"]) == (1, 1, 1, 0)
    assert result["boxes"] > result["objects"] > 0
    assert "| HOTA" in capsys.readouterr().out


def test_options_that_do_not_fit_are_refused(tmp_path):
    for option in (["--protocol", "coco"], ["--dataset", "uavdt"], ["--lsm", "on"]):
        with pytest.raises(InputError, match="--"):
            evaluate_detection.main([str(tmp_path), "--tracking", *option])
