"""The map of objects on the ground in the report."""

import re
from pathlib import Path
from types import SimpleNamespace as Message

import numpy as np
import pytest

from replay_ros import report
from replay_ros.report.figures.ground_map import ground_map
from yolc_ros.georeference.geodesy import LocalFrame

ORIGIN, OTHER = (56.2, 10.2, 80.0), (56.2009, 10.2, 80.0)


def ground_object(track_id, place, moving=False):
    return Message(
        track_id=track_id,
        detection=Message(class_id=3, class_name="car"),
        position=Message(x=place[0], y=place[1], z=0.0),
        covariance=np.diag([4.0, 1.0, 9.0]).ravel(),
        moving=moving,
    )


def array(objects, origin=ORIGIN):
    latitude, longitude, height = origin
    return Message(objects=objects, origin_latitude=latitude, origin_longitude=longitude, origin_height=height)


def recording(objects, true_objects=None):
    return Message(objects=objects, true_objects=true_objects)


def test_the_page_has_ten_data_colours_in_each_theme():
    css = (Path(report.__file__).parent / "page" / "report.css").read_text()
    colours = dict(re.findall(r"--data(\d+): (#\w+);", css))
    assert set(map(int, colours)) == set(range(1, 11))
    for theme in css.split(':root[data-theme="dark"]'):
        assert len(set(re.findall(r"--data\d+: (#\w+);", theme))) == 10


def test_tracks_are_joined_and_objects_without_a_track_are_not():
    first = array([ground_object(5, (1.0, 2.0), True), ground_object(0, (9.0, 9.0)), ground_object(0, (np.nan, 0.0))])
    second = array([ground_object(5, (3.0, 2.0), True), ground_object(0, (9.5, 9.0))])
    found = ground_map(recording({0: first, 4: second}))
    track = next(each for each in found.objects if each.name == "car 5")
    np.testing.assert_array_equal(track.path, [[1.0, 2.0], [3.0, 2.0]])
    assert track.frames.tolist() == [0, 4]
    np.testing.assert_array_equal(track.covariance, np.diag([4.0, 1.0]))
    assert (track.class_id, track.class_name) == (3, "car")
    assert sorted(len(each.path) for each in found.objects) == [1, 1, 2]
    assert "56.2" in found.about


def test_true_objects_are_moved_to_the_frame_of_the_others():
    pytest.importorskip("pymap3d")
    truth = array([ground_object(1, (10.0, -20.0))], OTHER)
    found = ground_map(recording({0: array([ground_object(0, (0.0, 0.0))])}, {0: truth}))
    expected = LocalFrame(*ORIGIN).to_enu(*OTHER)[:2] + np.array([10.0, -20.0])
    np.testing.assert_allclose(found.true, [expected], atol=0.01)


def test_without_places_there_is_no_map():
    assert ground_map(recording(None)) is None
    assert ground_map(recording({0: array([ground_object(0, (np.nan, np.nan))])})) is None
    unknown = array([ground_object(0, (1.0, 1.0))], (np.nan, np.nan, np.nan))
    assert "unknown" in ground_map(recording({0: unknown})).about
