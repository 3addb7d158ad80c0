"""The demo, once for real on images of its own making (small), and what it says of inputs that are none."""

import pytest

from perception_common.errors import InputError
from perception_common.node.parameter_file import read_parameters
from perception_common.resources import find_config
from replay_ros.commands.demo import main
from replay_ros.result.replay_result import read_result
from yolc_ros.parameters import YolcParameters

pytestmark = pytest.mark.system


def test_the_demo_leaves_a_report_with_metres_and_figures(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["--limit", "5", "--out", str(out)]) == 0
    result = read_result(out / "result.json")
    assert result.frames == 5
    assert [node.unanswered for node in result.answers] == [(), ()]
    assert result.detection is not None
    assert {edge["scale"] for edge in result.motion["poses"]["details"]} == {"ALTITUDE"}
    assert "report.html" in capsys.readouterr().out
    page = (out / "report.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    thermal = read_result(out / "thermal.json")
    assert [node.unanswered for node in thermal.answers] == [()]
    assert "yolc_lite_thermal" in thermal.provenance.weights
    assert (out / "thermal.html").is_file()


def test_the_demo_has_parameters_that_the_nodes_know():
    assert read_parameters(find_config("demo.yaml"), "yolc_node", YolcParameters).model == "yolc_lite"


def test_a_flight_that_is_none(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        main([str(tmp_path / "empty"), "--out", str(tmp_path / "out")])
