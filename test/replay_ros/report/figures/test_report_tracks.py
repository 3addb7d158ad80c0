"""Tracks of objects in the report."""

import numpy as np

from replay_ros.report.build import read_content

LOST_FRAME, SWITCH_FRAME = 5, 8  # of the bag in conftest.py


def test_frames_have_ids_and_trails(content):
    frame = content.frames[SWITCH_FRAME]
    assert frame.tracks.ids.tolist() == [5, 2, 3, 4]
    np.testing.assert_allclose(frame.tracks.xyxy, frame.detections.xyxy)
    assert frame.tracks.trails.tolist() == [[10.0, 20.0, 30.0 + SWITCH_FRAME, 40.0]]
    assert content.frames[LOST_FRAME].tracks is None


def test_the_timeline_has_each_track_and_the_switch(content):
    lines = {line.id: line.frames.tolist() for line in content.tracks.lines}
    seen = [k for k in range(12) if k != LOST_FRAME]
    assert lines[2] == seen
    assert lines[1] == [k for k in seen if k < SWITCH_FRAME]
    assert lines[5] == [k for k in seen if k >= SWITCH_FRAME]
    assert (content.tracks.switch_frames.tolist(), content.tracks.switch_ids.tolist()) == ([SWITCH_FRAME], [5])
    assert "1 id switches" in content.tracks.about


def test_scores_are_told(content):
    (table,) = [each for each in content.tables if each.title == "Tracks of objects"]
    rows = {row[0]: row[1] for row in table.rows}
    assert rows["Id switches"] == "1"
    assert any(tile.label == "IDF1" for tile in content.tiles)


def test_a_replay_without_tracks_has_no_such_parts(make_answers):
    content = read_content(make_answers(detection=False, frames=4))
    assert content.tracks is None
    assert all(frame.tracks is None for frame in content.frames)


def test_random_weights_are_not_scored(make_answers):
    content = read_content(make_answers(trained=False, frames=4))
    assert content.tracks is not None
    assert not any(each.title == "Tracks of objects" for each in content.tables)
