"""The demo, once for real on images of its own making (small), and what it says of inputs that are none."""

import json
import os

import pytest

from perception_common.errors import InputError
from replay_ros.demo import main

pytestmark = pytest.mark.system


def test_the_demo_leaves_pictures_and_a_summary(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    out = tmp_path / "out"
    assert main(["--limit", "6", "--out", str(out)]) == 0
    told = json.loads((out / "summary.json").read_text())
    assert told["frames"] == 6
    assert all(answer["answered"] == 6 for answer in told["answers"].values())
    assert set(told["trained"]) == {"yolc_lite", "loftr_lite"}
    pictures = {path.name.split("_")[0] for path in (out / "pictures").iterdir()}
    assert pictures == {"detections", "matches"}
    text = (out / "summary.md").read_text()
    assert ("untrained weights" in text) == (not all(told["trained"].values()))
    assert text.split("![")[0] in capsys.readouterr().out
    for link in text.split("](")[1:]:
        assert (out / link.split(")")[0]).is_file()


def test_a_flight_that_is_none(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        main([str(tmp_path / "empty"), "--out", str(tmp_path / "out")])
