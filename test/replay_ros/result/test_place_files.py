"""GeoJSON and KML of objects on the ground, read back by other parsers."""

import json
import math
import xml.dom.minidom
from types import SimpleNamespace as Message

import numpy as np
import pytest

from replay_ros.result.place_files import placed_objects, write_geojson, write_kml

ODD_NAME = 'car <b>"&\x01é'


def ground_object(track_id, latitude, moving=False, name="van"):
    return Message(
        track_id=track_id,
        detection=Message(class_name=name, score=0.75),
        latitude=latitude,
        longitude=10.2,
        height=80.5,
        covariance=np.diag([4.0, 1.0, 0.25]).ravel(),
        moving=moving,
        velocity=Message(x=3.0 if moving else 0.0, y=0.0, z=0.0),
        observations=2,
    )


@pytest.fixture
def objects():
    def message(second, *found):
        stamp = Message(sec=second, nanosec=500_000_000)
        return Message(header=Message(stamp=stamp, frame_id="map"), objects=list(found))

    return placed_objects(
        [
            message(1, ground_object(7, 56.0, True), ground_object(0, 56.1, name=ODD_NAME), ground_object(9, math.nan)),
            message(2, ground_object(7, 56.001, True), ground_object(3, 56.2)),
        ]
    )


def test_tracks_come_first_and_objects_without_a_place_are_left_out(objects):
    assert [(each.track_id, len(each.path)) for each in objects] == [(3, 1), (7, 2), (0, 1)]
    assert objects[0].deviation_m == pytest.approx(2.0)


def test_geojson_has_longitude_first_and_a_line_for_what_moves(objects, tmp_path):
    path = tmp_path / "places.geojson"
    write_geojson(path, objects)
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    assert [each["geometry"]["type"] for each in features] == ["Point", "Point", "Point", "LineString"]
    assert features[1]["geometry"]["coordinates"] == [10.2, 56.001, 80.5]
    assert features[1]["properties"]["first"] == "1970-01-01T00:00:01.500+00:00"
    assert features[2]["properties"]["class"] == ODD_NAME
    assert features[3]["geometry"]["coordinates"] == [[10.2, 56.0, 80.5], [10.2, 56.001, 80.5]]


def test_kml_is_well_formed_with_escaped_names(objects, tmp_path):
    path = tmp_path / "places.kml"
    write_kml(path, objects)
    document = xml.dom.minidom.parse(str(path))
    names = [each.firstChild.data for each in document.getElementsByTagName("name")]
    assert names == ["places", "van 3", "van 7", "path of van 7", 'car <b>"&é']
    coordinates = [each.firstChild.data for each in document.getElementsByTagName("coordinates")]
    assert coordinates[1] == "10.20000000,56.00100000"
    assert coordinates[2] == "10.20000000,56.00000000 10.20000000,56.00100000"


def test_nothing_located_gives_empty_files(tmp_path):
    write_geojson(tmp_path / "a.geojson", [])
    write_kml(tmp_path / "a.kml", [])
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []
    assert not xml.dom.minidom.parse(str(tmp_path / "a.kml")).getElementsByTagName("Placemark")
