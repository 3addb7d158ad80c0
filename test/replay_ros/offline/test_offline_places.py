"""Offline replay of a small simulated flight with georeferencing: objects of every image, figures and files."""

import json

import numpy as np
import pytest

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.flight_path import FlightPathOptions
from flight_sim.scene import SceneOptions
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.bags.messages import stamp_of
from replay_ros.bags.reader import open_bag
from replay_ros.offline.replay import OfflineOptions
from replay_ros.replay import ReplayRequest, replay
from replay_ros.result.replay_result import read_result

pytestmark = pytest.mark.slow
pytest.importorskip("pymap3d")

FLIGHT = FlightOptions(
    scene=SceneOptions(side=128.0, urbanity=0.6),
    path=FlightPathOptions(kind="survey", duration_s=1.0, altitude_m=30.0, pitch_deg=-70.0),
    camera=CameraOptions(width=480, height=320),
    frame_rate_hz=1.0,
)
PARAMETERS = """
/**/yolc_node:
  ros__parameters: {score_threshold: 0.1, georeference: true, altitude: range, use_imu: true}
"""


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    write_flight(FlightBagOptions(folder / "flight", seed=5, flight=FLIGHT))
    (folder / "parameters.yaml").write_text(PARAMETERS)
    options = OfflineOptions(folder / "flight", folder / "out", folder / "parameters.yaml", matching=False)
    replay(ReplayRequest(options, json=folder / "out.json", report=None))
    return folder


def messages(bag, topic):
    with open_bag(bag) as opened:
        return [item.message for item in opened.messages([topic])]


def test_every_image_has_its_objects_one_for_each_detection(replayed):
    found, detections = (messages(replayed / "out", f"/yolc/{name}") for name in ("objects", "detections"))
    assert [stamp_of(each) for each in found] == [stamp_of(each) for each in detections]
    assert [len(each.objects) for each in found] == [len(each.detections) for each in detections]
    assert {each.header.frame_id for each in found} == {"yolc_map"}
    located = [each for message in found for each in message.objects if each.status == 0]
    assert located
    heights = [each.height for each in located]
    assert np.abs(np.array(heights) - 450.0).max() < 10.0  # the ground of simulated flights


def test_figures_and_files_of_places_are_written(replayed):
    result = read_result(replayed / "out.json")
    assert result.places is not None
    assert result.not_done == ()
    found = messages(replayed / "out", "/yolc/objects")
    located = [each for message in found for each in message.objects if each.status == 0]
    features = json.loads((replayed / "out.geojson").read_text())["features"]
    points = [each for each in features if each["geometry"]["type"] == "Point"]
    tracks = {each.track_id for each in located} - {0}  # 0: no track
    assert len(points) == len(tracks) + sum(each.track_id == 0 for each in located) > 0
    assert (replayed / "out.kml").read_text().count("<Placemark>") == len(features)
