"""A short form of the races; `python -m replay_ros.reliability.races` runs the long one."""

import json
from collections import Counter

import pytest

from perception_common.node.guards.lifecycle import GuardedLifecycleNode
from replay_ros.reliability import races
from replay_ros.reliability.races import run_races

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def domain(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "96")


def test_races_end_without_a_fault():
    result = run_races(transitions=240, seed=1)
    assert result.faults == ()
    assert result.lives >= 3
    assert result.counts["transitions"] + result.counts["transitions refused"] >= 240
    for what in ("transitions", "transitions refused", "parameter changes", "parameter changes refused", "images"):
        assert result.counts[what] > 10
    assert "unanswered" not in result.counts
    assert result.threads[0] == result.threads[1]
    assert result.descriptors[1] <= result.descriptors[0] + 2


def test_a_node_that_answers_wrongly_is_found_out(monkeypatch, tmp_path, capsys):
    """The races see a callback that raises, and say so in the JSON and the exit status."""

    def raise_at_times(self, request, response):
        seen["requests"] += 1
        if seen["requests"] % 5 == 0:
            raise OSError("no transition today")
        return answer(self, request, response)

    seen, answer = Counter(), GuardedLifecycleNode._answer_request
    monkeypatch.setattr(GuardedLifecycleNode, "_answer_request", raise_at_times)
    monkeypatch.setattr("replay_ros.reliability.racers.ANSWER_SECONDS", 1.0)
    path = tmp_path / "races.json"
    monkeypatch.setattr("sys.argv", ["races", "--transitions", "60", "--seed", "2", "--json", str(path)])
    assert races.main() == 1
    assert "no transition today" in capsys.readouterr().out
    faults = json.loads(path.read_text())["faults"]
    assert any("change_state failed and the node continues: OSError" in fault for fault in faults)
