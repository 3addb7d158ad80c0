"""The command bag_info: text, JSON and exit status."""

import json
import subprocess
import sys

import numpy as np
import pytest

from replay_ros.bags.inspection.inspect_bag import inspect_bag
from replay_ros.bags.inspection.report import describe_report
from replay_ros.bags.messages import image_message
from replay_ros.bags.reader import open_bag
from replay_ros.bags.writer import BagWriter
from replay_ros.commands.bag_info import build_parser, main


def test_text_and_json_hold_the_report(tmp_path, capsys):
    with BagWriter(tmp_path / "bag") as bag:
        image = np.zeros((4, 6, 3), np.uint8)
        bag.write("camera/image", image_message(bag.types, image, "compressed-jpeg", 5, "camera"), 5)
    with open_bag(tmp_path / "bag") as bag:
        report = inspect_bag(bag)
    assert main([str(tmp_path / "bag")]) == 0
    assert capsys.readouterr().out == describe_report(report) + "\n"
    assert main([str(tmp_path / "bag"), "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read["topics"][0]["content"] == "6x4 compressed, bgr8; jpeg compressed bgr8"
    assert [use["usable"] for use in read["usability"]] == [use.usable for use in report.usability]


@pytest.mark.slow
def test_failure_is_one_line_on_stderr_and_status_1(tmp_path):
    program = "from perception_common.cli import run; from replay_ros.commands.bag_info import main; run(main)"
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "is not a bag (no metadata.yaml, no .mcap or .db3 file)" in done.stderr


def test_the_help_shows_the_name_it_is_called_by():
    assert "example:\n  yolc bag info flight_bag" in build_parser("yolc bag info").format_help()
