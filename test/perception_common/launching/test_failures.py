"""When a launch ends with status 1: `check` raises, as launch then does."""

from types import SimpleNamespace

import pytest

from perception_common.launching.failures import Failures

RUNNING, SHUTTING_DOWN = SimpleNamespace(is_shutdown=False), SimpleNamespace(is_shutdown=True)
IDLE = SimpleNamespace(reason="idle")


def ended(name, status):
    return SimpleNamespace(process_name=name, returncode=status)


def test_a_failure_is_the_end_of_the_launch_only_when_nothing_runs_any_more():
    failures = Failures()
    failures.note(ended("yolc_node-1", 1), RUNNING)
    failures.check(SimpleNamespace(reason="ctrl-c (SIGINT)"), RUNNING)
    with pytest.raises(RuntimeError, match=r"failed: yolc_node-1 \(status 1\)"):
        failures.check(IDLE, RUNNING)


@pytest.mark.parametrize(
    "events",
    [
        [(ended("a", 0), RUNNING)],
        [(ended("a", 1), RUNNING), (ended("a", 0), RUNNING)],  # it was started again and then ended as it should
        [(ended("a", -2), SHUTTING_DOWN)],
    ],
)
def test_an_orderly_end_is_none(events):
    failures = Failures()
    for event in events:
        failures.note(*event)
    failures.check(IDLE, SHUTTING_DOWN)
