"""Comparison of results that differ in known ways."""

import copy
import functools
import json
import operator
from dataclasses import replace

import pytest

from perception_common.errors import InputError
from replay_ros.commands.compare import main
from replay_ros.result.answers import NodeAnswers
from replay_ros.result.compare import compare, setup_differences
from replay_ros.result.provenance import Provenance
from replay_ros.result.replay_result import ReplayResult, read_result, write_result
from replay_ros.result.timing import ResourceUse, StageTimes, Timing

ORIGIN = Provenance(
    input="bag",
    input_sha256="aa",
    weights={"yolc_lite": "bb"},
    configuration={"yolc_node": {"lsm": "ours"}},
    configuration_sha256="cc",
    commit="dd",
    versions={},
    machine="x86_64, 2 cores",
)
MOTION = {
    "poses": {"auc": {"5": 0.5, "10": 0.6, "20": 0.7}, "estimator": "auto", "edges": 10, "success_5deg": 7},
    "calibration": {"nees_per_dof": 2.0},
    "trajectory": None,
    "tracks": None,
}


def result(seconds=0.1, lost=(), motion=MOTION, origin=ORIGIN) -> ReplayResult:
    timing = Timing(
        (StageTimes("network", (1, 2), (seconds, seconds)),),
        ResourceUse((0.0,), (100.0,), (500.0,)),
    )
    return ReplayResult(
        kind="live",
        out="out",
        image_topic="/image",
        frames=4,
        seconds=1.0,
        topics={"/a": 4},
        answers=(NodeAnswers("yolc_node", 4, missed=lost),),
        timing=timing,
        provenance=origin,
        motion=motion,
    )


def verdicts(a, b, **options):
    return {change.name: change.verdict for change in compare(a, b, **options)}


def test_equal_results_have_no_changes():
    assert set(verdicts(result(), result()).values()) == {"same"}
    assert not list(setup_differences(result(), result()))


def test_lower_durations_and_losses_and_higher_accuracy_are_better():
    better_poses = {**MOTION, "poses": {**MOTION["poses"], "success_5deg": 9}}
    changes = verdicts(result(), result(seconds=0.05, lost=(1,), motion=better_poses))
    assert changes["network p50"] == "better"
    assert changes["yolc_node loss"] == "worse"
    assert changes["poses under 5 degrees"] == "better"
    assert changes["pose AUC@5 (auto)"] == "same"


@pytest.mark.parametrize(("nees", "verdict"), [(1.0, "better"), (0.6, "better"), (0.4, "worse"), (3.0, "worse")])
def test_the_best_nees_is_one(nees, verdict):
    other = result(motion={**MOTION, "calibration": {"nees_per_dof": nees}})
    assert verdicts(result(), other)["NEES per degree of freedom"] == verdict


def test_changes_within_the_tolerance_count_as_the_same():
    assert verdicts(result(), result(seconds=0.105), tolerance=0.1)["network p95"] == "same"
    assert verdicts(result(), result(seconds=0.105), tolerance=0.01)["network p95"] == "worse"


def test_metrics_of_only_one_result_are_named():
    assert verdicts(result(), result(motion=None))["poses under 5 degrees"] == "only in a"
    assert verdicts(result(motion=None), result())["poses under 5 degrees"] == "only in b"


def test_changed_settings_and_inputs_are_named():
    other = replace(ORIGIN, input_sha256="zz", configuration={"yolc_node": {"lsm": "off"}})
    notes = "\n".join(setup_differences(result(), result(origin=other)))
    assert "inputs differ" in notes
    assert "yolc_node: lsm 'ours' became 'off'" in notes


def test_the_command_reads_files_and_returns_a_status(tmp_path, capsys):
    write_result(tmp_path / "a.json", result())
    write_result(tmp_path / "b.json", result(seconds=0.2))
    assert read_result(tmp_path / "a.json") == result()
    files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert main(files) == 0
    rows = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()]
    assert ["", "network p50", "100 ms", "200 ms", "+100.0 %", "worse", ""] in rows
    assert main([*files, "--fail-if-worse"]) == 1
    assert main([*reversed(files), "--fail-if-worse"]) == 0


def places(content, above=()):
    """The keys that lead to each value in nested plain values."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inner:
        yield (*above, key)
        yield from places(value, (*above, key))


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [1], {"a": 1}], ids=str)
def test_a_result_with_another_kind_of_value_anywhere_is_compared_or_refused(tmp_path, value):
    write_result(tmp_path / "a.json", result())
    content = json.loads((tmp_path / "a.json").read_text())
    refused = 0
    for *above, last in list(places(content)):
        changed = copy.deepcopy(content)
        functools.reduce(operator.getitem, above, changed)[last] = value
        (tmp_path / "b.json").write_text(json.dumps(changed))
        try:
            main([str(tmp_path / "a.json"), str(tmp_path / "b.json")])
        except InputError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not valid JSON"), ('{"schema": "other"}', "not a result of replay"), (None, "cannot be read")],
)
def test_other_files_are_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_result(tmp_path / "x.json")
