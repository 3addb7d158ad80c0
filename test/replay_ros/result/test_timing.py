"""Timing of a replay: percentiles, JSON, diagnostics of the nodes."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from perception_common.config import from_mapping
from perception_common.errors import InputError
from replay_ros.result.peak_rate import PeakRate, Trial
from replay_ros.result.timing import (
    ResourceUse,
    StageTimes,
    Timing,
    diagnosed_latencies,
    percentiles_ms,
)


def test_percentiles_are_those_of_numpy():
    seconds = np.random.default_rng(0).exponential(0.05, 200).tolist()
    expected = 1e3 * np.percentile(seconds, [50, 95, 99])
    assert list(percentiles_ms(seconds).values()) == pytest.approx(expected)
    assert percentiles_ms([]) == {"p50_ms": None, "p95_ms": None, "p99_ms": None}


def test_timing_is_the_same_after_json():
    timing = Timing(
        (StageTimes("network", (1, 2), (0.1, 0.2)),),
        ResourceUse((0.5,), (150.0,), (300.0,)),
        PeakRate(8.0, 0.05, True, (Trial(8.0, 40, 1, 5.2), Trial(16.0, 40, 12, 3.1))),
    )
    assert from_mapping(Timing, json.loads(json.dumps(asdict(timing)))) == timing
    with_gpu = Timing(resources=ResourceUse((0.5,), (150.0,), (300.0,), (1000.0,)))
    assert from_mapping(Timing, json.loads(json.dumps(asdict(with_gpu)))) == with_gpu


def test_a_stage_needs_a_duration_for_each_image():
    with pytest.raises(InputError, match=r"timing: stages\[0\]: 2 images, but 1 seconds"):
        from_mapping(Timing, {"stages": [{"name": "network", "images": [1, 2], "seconds": [0.1]}]}, "timing")


def test_stages_are_read_from_diagnostics():
    values = {"state": "active", "since stamp p50 [ms]": "12.50", "since stamp p95 [ms]": "nan", "scale p50 [m]": "3"}
    values |= {"memory of keyframes [MiB]": "3.0"}
    assert diagnosed_latencies(values) == {"since stamp": {"p50_ms": 12.5, "p95_ms": None}}
