"""compare: results that differ in known ways."""

from dataclasses import replace

import pytest

from perception_common.errors import InputError
from replay_ros.result.compare import compare, differences, main
from replay_ros.result.provenance import Provenance
from replay_ros.result.replay_result import ReplayResult, read_result, write_result
from replay_ros.result.timing import Dropped, ResourceUse, StageTimes, Timing

ORIGIN = Provenance("bag", "aa", {"yolc_lite": "bb"}, {"yolc_node": {"lsm": "ours"}}, "cc", "dd", {}, "x86_64, 2 cores")
MOTION = {
    "poses": {"auc": {"5": 0.5, "10": 0.6, "20": 0.7}, "estimator": "auto", "edges": 10, "success_5deg": 7},
    "calibration": {"nees_per_dof": 2.0},
    "trajectory": None,
    "tracks": None,
}


def result(seconds=0.1, lost=(), motion=MOTION, origin=ORIGIN) -> ReplayResult:
    timing = Timing(
        (StageTimes("network", (1, 2), (seconds, seconds)),),
        (Dropped("yolc_node", 4, lost),),
        ResourceUse((0.0,), (100.0,), (500.0,)),
    )
    return ReplayResult("live", "out", "/image", 4, 1.0, {"/a": 4}, {}, timing, origin, motion=motion)


def verdicts(a, b, **options):
    return {change.name: change.verdict for change in compare(a, b, **options)}


def test_equal_results_differ_in_nothing():
    assert set(verdicts(result(), result()).values()) == {"same"}
    assert not list(differences(result(), result()))


def test_lower_is_better_for_time_and_losses_and_higher_for_accuracy():
    better_poses = {**MOTION, "poses": {**MOTION["poses"], "success_5deg": 9}}
    told = verdicts(result(), result(seconds=0.05, lost=(1,), motion=better_poses))
    assert told["network p50"] == "better"
    assert told["yolc_node unanswered"] == "worse"
    assert told["poses under 5 degrees"] == "better"
    assert told["pose AUC@5 (auto)"] == "same"


@pytest.mark.parametrize(("nees", "verdict"), [(1.0, "better"), (0.6, "better"), (0.4, "worse"), (3.0, "worse")])
def test_covariances_are_best_when_honest(nees, verdict):
    other = result(motion={**MOTION, "calibration": {"nees_per_dof": nees}})
    assert verdicts(result(), other)["NEES per degree of freedom"] == verdict


def test_small_changes_are_none_within_the_tolerance():
    assert verdicts(result(), result(seconds=0.105), tolerance=0.1)["network p95"] == "same"
    assert verdicts(result(), result(seconds=0.105), tolerance=0.01)["network p95"] == "worse"


def test_what_only_one_has_is_said():
    assert verdicts(result(), result(motion=None))["poses under 5 degrees"] == "only in a"
    assert verdicts(result(motion=None), result())["poses under 5 degrees"] == "only in b"


def test_changed_settings_and_inputs_are_named():
    other = replace(ORIGIN, input_sha256="zz", configuration={"yolc_node": {"lsm": "off"}})
    told = "\n".join(differences(result(), result(origin=other)))
    assert "inputs differ" in told
    assert "yolc_node: lsm 'ours' became 'off'" in told


def test_the_command_reads_files_and_can_fail(tmp_path, capsys):
    write_result(tmp_path / "a.json", result())
    write_result(tmp_path / "b.json", result(seconds=0.2))
    assert read_result(tmp_path / "a.json") == result()
    files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert main(files) == 0
    assert "| network p50 | 100 ms | 200 ms | +100.0 % | worse |" in capsys.readouterr().out
    assert main([*files, "--fail-if-worse"]) == 1
    assert main([*reversed(files), "--fail-if-worse"]) == 0


@pytest.mark.parametrize(
    ("content", "words"), [("{", "no JSON"), ('{"schema": "other"}', "no result of replay"), (None, "cannot be read")]
)
def test_other_files_are_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=words):
        read_result(tmp_path / "x.json")
