"""The command line of `replay`, and what its result says (the replay through nodes is in test/system)."""

from pathlib import Path

import pytest

from perception_common.errors import InputError
from replay_ros.commands.replay import parse
from replay_ros.live.replay import LiveOptions, replay_live
from replay_ros.offline.replay import OfflineOptions


def test_the_arguments_become_options(tmp_path):
    request = parse(
        ["in", "out", "--live", "--lockstep", "--no-detection", "--limit", "3", "--json", str(tmp_path / "r.json")]
    )
    options = request.options
    assert isinstance(options, LiveOptions)
    assert options.pace == "lockstep"
    assert options.awaited == ("loftr/status",)
    assert options.limit == 3
    assert options.params_file.name == "perception.yaml"
    assert request.json == tmp_path / "r.json"


def test_a_bag_brings_its_parameters_and_a_given_file_goes_before_them(tmp_path):
    own = tmp_path / "parameters.yaml"
    own.write_text("/**/loftr_node: {ros__parameters: {altitude: range}}")
    assert parse([str(tmp_path), "out"]).options.params_file == own
    assert parse([str(tmp_path), "out", "--params-file", "other.yaml"]).options.params_file == Path("other.yaml")
    own.write_text("/**/loftr_node: {ros__parameters: {weights: theirs.safetensors}}")
    with pytest.raises(InputError, match="sets weights; a bag may only choose its sensors"):
        parse([str(tmp_path), "out"])


def test_without_live_the_cores_are_used_and_the_result_stands_beside_the_bag(tmp_path):
    request = parse(["in", str(tmp_path / "out"), "--no-matching", "--no-report", "--truth", "true.tum"])
    assert isinstance(request.options, OfflineOptions)
    assert request.options.detection
    assert not request.options.matching
    assert request.json == tmp_path / "out.json"
    assert request.report is None
    assert parse(["in", "out"]).report == Path("out.html")
    assert request.truth == "true.tum"


@pytest.mark.parametrize("given", ["fleet/uav1", "/fleet/uav1", "fleet/uav1/", "/fleet/uav1//"])
def test_a_namespace_is_made_absolute(given):
    assert parse(["in", "out", "--namespace", given]).options.namespace == "/fleet/uav1"
    assert parse(["in", "out", "--namespace", "/"]).options.namespace == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in", "out", "--live", "--rate", "-1"], "positive"),
        (["in", "out", "--lockstep"], "--lockstep only with --live"),
        (["in", "out", "--rate", "2"], "--rate only with --live"),
        (["in", "out", "--limit", "0"], "at least 1"),
        (["in", "out", "--namespace", "1st"], "is no namespace"),
        (["in", "out", "--namespace", "a//b"], "is no namespace"),
    ],
)
def test_what_cannot_be_done_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        parse(arguments)


def test_a_replay_of_nothing_or_without_nodes_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        replay_live(LiveOptions(tmp_path / "nowhere", tmp_path / "out"))
    with pytest.raises(InputError, match="switched off"):
        replay_live(LiveOptions(tmp_path / "nowhere", tmp_path / "out", detection=False, matching=False))
    assert not (tmp_path / "out").exists()
