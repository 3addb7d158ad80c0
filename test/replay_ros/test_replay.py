"""The command line of `replay`, and what its result says (the replay itself is in test/system)."""

import pytest

from perception_common.errors import InputError
from replay_ros.live import FrameAnswer, LiveOptions, LiveResult, percentiles, replay_live, summary
from replay_ros.replay import parse


def test_the_arguments_become_options(tmp_path):
    options, json_file = parse(
        ["in", "out", "--live", "--lockstep", "--no-detection", "--limit", "3", "--json", str(tmp_path / "r.json")]
    )
    assert options.pace == "lockstep"
    assert options.awaited == ("loftr/status",)
    assert options.limit == 3
    assert options.params_file.name == "perception.yaml"
    assert json_file == tmp_path / "r.json"


@pytest.mark.parametrize(
    ("arguments", "words"), [(["in", "out"], "add --live"), (["in", "out", "--live", "--rate", "-1"], "positive")]
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


def test_the_summary_counts_what_was_not_answered(tmp_path):
    frames = (FrameAnswer(1, {"a": 0.1}), FrameAnswer(2, {"a": 0.3, "b": 0.2}), FrameAnswer(3))
    told = summary(LiveResult(tmp_path, "/image", frames, ("a", "b"), {"/a": 2}, 1.5))
    assert told["frames"] == 3
    assert told["answers"]["a"]["answered"] == 2
    assert told["answers"]["a"]["unanswered"] == 1
    assert told["answers"]["a"]["p50_ms"] == pytest.approx(200)
    assert told["answers"]["b"]["p95_ms"] == pytest.approx(200)


def test_without_values_there_are_no_percentiles():
    assert percentiles([]) == {"p50_ms": None, "p95_ms": None}
