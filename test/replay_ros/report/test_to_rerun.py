"""Recordings for the Rerun viewer, where its SDK is installed."""

import sys

import pytest

from perception_common.errors import InputError
from replay_ros.report.to_rerun import write_rerun


def test_without_the_sdk_it_says_what_to_install(content, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(InputError, match="pip install rerun-sdk"):
        write_rerun(content, tmp_path / "report.rrd")


def test_the_recording_holds_everything_on_one_timeline(content, tmp_path):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    dataframe = pytest.importorskip("rerun.dataframe")
    path = tmp_path / "report.rrd"
    write_rerun(content, path)
    recording = dataframe.load_recording(path)
    paths = {column.entity_path for column in recording.schema().component_columns()}
    expected = {"/camera", "/camera/detections", "/camera/truth", "/camera/regions", "/camera/matches/inlier"}
    assert expected | {"/trajectory/estimated", "/trajectory/truth", "/milliseconds/Matching"} <= paths
    assert {column.name for column in recording.schema().index_columns()} >= {"image"}
