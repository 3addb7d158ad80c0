import json

from replay_ros.reliability.report import ReliabilityReport, limit, write_report


def report(value, failures=()):
    return ReliabilityReport("soak", "ten images", {"images": 10}, [limit("growth", value, 1.0, "MiB")], failures)


def test_a_report_holds_when_all_limits_are_kept_and_nothing_failed():
    assert report(1.0).holds
    assert not report(1.1).holds
    assert not report(float("nan")).holds
    assert not report(0.0, ["a node ended"]).holds


def test_lines_name_what_does_not_hold():
    lines = "\n".join(report(2.0, ["a node ended"]).lines())
    assert "DOES NOT HOLD" in lines
    assert "FAILED: a node ended" in lines


def test_the_figures_are_in_the_json_by_name(tmp_path):
    write_report(tmp_path / "soak.json", report(0.5))
    content = json.loads((tmp_path / "soak.json").read_text())
    assert content["figures"]["images"] == 10
    (growth,) = content["limits"]
    assert (growth["name"], growth["value"], growth["limit"], growth["unit"]) == ("growth", 0.5, 1.0, "MiB")
    assert growth["holds"] is True
    assert content["holds"] is True
