import json
from dataclasses import asdict

import numpy as np
import pytest

from replay_ros.result.peak_rate import PeakRate, Trial
from replay_ros.result.timing import (
    Dropped,
    ResourceUse,
    StageTimes,
    Timing,
    diagnosed_latencies,
    percentiles_ms,
    timing_from_mapping,
)


def test_percentiles_are_those_of_numpy():
    seconds = np.random.default_rng(0).exponential(0.05, 200).tolist()
    expected = 1e3 * np.percentile(seconds, [50, 95, 99])
    assert list(percentiles_ms(seconds).values()) == pytest.approx(expected)
    assert percentiles_ms([]) == {"p50_ms": None, "p95_ms": None, "p99_ms": None}


def test_timing_survives_json():
    timing = Timing(
        (StageTimes("network", (1, 2), (0.1, 0.2)),),
        (Dropped("yolc_node", 4, (3,)),),
        ResourceUse((0.5,), (150.0,), (300.0,)),
        PeakRate(8.0, 0.05, True, (Trial(8.0, 40, 1, 5.2), Trial(16.0, 40, 12, 3.1))),
    )
    assert timing_from_mapping(json.loads(json.dumps(asdict(timing)))) == timing
    assert timing.drops[0].share == 0.25
    with_gpu = Timing(resources=ResourceUse((0.5,), (150.0,), (300.0,), (1000.0,)))
    assert timing_from_mapping(json.loads(json.dumps(asdict(with_gpu)))) == with_gpu


def test_stages_are_read_from_diagnostics():
    said = {"state": "active", "since stamp p50 [ms]": "12.50", "since stamp p95 [ms]": "nan", "scale p50 [m]": "3"}
    said |= {"memory of keyframes [MiB]": "3.0"}
    assert diagnosed_latencies(said) == {"since stamp": {"p50_ms": 12.5, "p95_ms": None}}
