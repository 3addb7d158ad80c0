"""A short form of the races; `make races` runs the long one."""

from collections import Counter

import pytest

from perception_common.node.guards.lifecycle import GuardedLifecycleNode
from replay_ros.reliability.races.run import run_races

pytestmark = pytest.mark.slow


def test_races_end_without_a_fault(tmp_path):
    report = run_races(240, tmp_path, seed=1)
    assert report.holds, report.lines()
    assert report.figures["transitions"] + report.figures["transitions refused"] >= 240
    for what in ("transitions", "transitions refused", "parameter changes", "parameter changes refused", "images"):
        assert report.figures[what] > 10
    assert "unanswered" not in report.figures


def test_a_node_that_answers_wrongly_is_found_out(monkeypatch, tmp_path):
    """The races see a callback that raises."""

    def raise_at_times(self, request, response):
        seen["requests"] += 1
        if seen["requests"] % 5 == 0:
            raise OSError("no transition today")
        return answer(self, request, response)

    seen, answer = Counter(), GuardedLifecycleNode._answer_request
    monkeypatch.setattr(GuardedLifecycleNode, "_answer_request", raise_at_times)
    monkeypatch.setattr("replay_ros.reliability.races.racers.ANSWER_SECONDS", 1.0)
    report = run_races(60, tmp_path, seed=2)
    assert not report.holds
    assert any("change_state failed and the node continues: OSError" in fault for fault in report.failures)
