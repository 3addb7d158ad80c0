"""Recordings for the Rerun viewer."""

import re
import subprocess
import sys

import pytest

from perception_common.errors import InputError
from replay_ros.report.to_rerun import write_rerun

pytestmark = pytest.mark.slow


def test_a_missing_sdk_is_named(content, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(InputError, match="pip install rerun-sdk"):
        write_rerun(content, tmp_path / "report.rrd")


def test_the_recording_has_all_entities_on_one_timeline(content, tmp_path):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    path = tmp_path / "report.rrd"
    write_rerun(content, path)
    # The reader of the SDK prints the chunks of a recording with their entity and timeline.
    command = [sys.executable, "-m", "rerun", "rrd", "print", str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    expected = ["camera", "camera/detections", "camera/truth", "camera/regions", "camera/matches/inlier"]
    for entity in [*expected, "trajectory/estimated", "trajectory/truth", "milliseconds/Matching"]:
        assert f"/{entity}" in printed, entity
    rows = re.findall(r"with (\d+) rows .*? - /milliseconds/Matching - ", printed)
    assert sum(map(int, rows)) == 12
