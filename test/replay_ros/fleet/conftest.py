"""Tasks and records of fleets without bags and networks."""

from dataclasses import replace
from pathlib import Path

import pytest

from replay_ros.fleet.record import failed
from replay_ros.fleet.task import Refused, Task
from replay_ros.result.compare import Metric


@pytest.fixture
def task(tmp_path):
    """Returns a task with an input file of so many bytes and these options."""

    def make(name, size=1, **options):
        source = tmp_path / "inputs" / name
        source.parent.mkdir(exist_ok=True)
        if not source.exists():
            source.write_bytes(b"x" * size)
        return Task(name, source, (source,), Refused("never performed"), {"options": options})

    return make


@pytest.fixture
def record():
    """Returns the record of a task that is done, with changes."""

    def make(name, metrics=(), **changes):
        base = failed(Task(name, Path("/bags") / name, (), Refused(""), {}), "", 1)
        done = replace(base, status="done", frames=10, seconds=4.0, cpu_seconds=3.0, metrics=tuple(metrics))
        return replace(done, **changes)

    return make


@pytest.fixture
def ate():
    """Returns the trajectory error as a metric."""
    return lambda value: Metric("ATE (SE3)", "m", value, "low")
