"""Distributions, the page and the comparison of fleets whose figures are known."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from perception_common.errors import InputError
from replay_ros.commands.fleet import main
from replay_ros.fleet.overview.compare import compare_fleets, fleet_lines
from replay_ros.fleet.overview.page import render_overview
from replay_ros.fleet.overview.statistics import causes, distributions, summary_lines
from replay_ros.fleet.record import read_records, write_records
from replay_ros.result.compare import Metric


def test_the_best_bag_comes_first(record, ate):
    records = [record("a", [ate(2.0)]), record("b", [ate(0.5)]), record("c"), record("d", [ate(1.0)])]
    (found,) = distributions(records)
    assert [each.name for each, _ in found.metrics] == ["b", "d", "a"]
    assert found.quartiles == tuple(np.quantile([2.0, 0.5, 1.0], [0.25, 0.5, 0.75]))


@pytest.mark.parametrize(("best", "order"), [("high", "dcba"), ("low", "abcd"), (1.0, "bacd")])
def test_what_is_best_depends_on_the_metric(record, best, order):
    values = {"a": 0.4, "b": 0.9, "c": 4.0, "d": 8.0}
    records = [record(name, [Metric("m", "", value, best)]) for name, value in values.items()]
    (found,) = distributions(records)
    assert "".join(each.name for each, _ in found.metrics) == order


def test_causes_are_grouped_but_for_numbers_and_the_name_of_the_bag(record):
    records = [
        record("a", status="failed", cause="/bags/a is no bag (12 bytes)"),
        record("b", status="failed", cause="/bags/b is no bag (7 bytes)"),
        record("c", status="incomplete", cause="no calibration"),
        record("d"),
    ]
    assert [(cause, [each.name for each in group]) for cause, group in causes(records)] == [
        ("/bags/a is no bag (12 bytes)", ["a", "b"]),
        ("no calibration", ["c"]),
    ]


def test_the_summary_counts_and_gives_the_cost_of_an_image(record):
    lines = list(summary_lines([record("a"), record("b", status="failed", frames=0, seconds=0.0, cpu_seconds=0.0)]))
    assert lines == [
        "1 done, 0 incomplete, 1 failed",
        "10 images in 4.0 s of workers: 0.400 s and 0.300 CPU s for each",
    ]


class Links(HTMLParser):
    """Collects the links, and checks that the elements are nested."""

    VOID = ("meta", "link", "line", "rect", "br")

    def __init__(self, page):
        super().__init__()
        self.links, self.open = [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_leads_to_the_report_of_every_bag(record, ate):
    records = [
        record("plain", [ate(1.0)], files={"report": "bags/plain.html", "result": "bags/plain.json"}),
        record("odd #1", [ate(2.0)], files={"report": "bags/odd #1.html"}),
        record("bare", files={"result": "results/bare.json"}),
        record("gone", status="failed", cause="it is gone"),
    ]
    page = render_overview("release", "replay", records)
    links = Links(page).links
    assert {"bags/plain.html", "bags/odd%20%231.html", "results/bare.json", "logs/gone.log"} <= set(links)
    assert "it is gone" in page
    assert "{{" not in page


def test_names_and_causes_are_text_not_markup(record, ate):
    evil = "<script>alert(1)</script>"
    page = render_overview(evil, evil, [record(evil, [ate(1.0)], cause=evil, status="incomplete")])
    assert "<script>alert" not in page
    Links(page)


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [0.0, 0.0, 0.0], list(np.linspace(-1, 1, 500))])
def test_a_picture_stays_within_its_frame(record, ate, values):
    page = render_overview("x", "replay", [record(f"bag{k}", [ate(value)]) for k, value in enumerate(values)])
    for name, most in (("cx", 340), ("cy", 84), ("x", 340), ("y", 84), ("height", 84)):
        found = [float(value) for value in re.findall(rf'\b{name}="(-?[\d.e+-]+)"', page)]
        assert all(0 <= value <= most for value in found)
    assert len(re.findall('class="dot"|class="bar"', page)) == (len(values) if len(values) < 300 else 40)


def test_fleets_are_compared_by_bag_and_by_their_medians(record, ate):
    a = [record("p", [ate(1.0)]), record("q", [ate(2.0)]), record("r", [ate(3.0)]), record("only_a", [ate(9.0)])]
    b = [record("p", [ate(0.5)]), record("q", [ate(2.6)]), record("r", [ate(3.01)]), record("only_b", [ate(9.0)])]
    found = compare_fleets(a, b, 0.02)
    (metric,) = found.metrics
    assert (metric.a, metric.b, metric.verdict) == (2.0, 2.6, "worse")
    assert [metric.count(verdict) for verdict in ("better", "worse", "same")] == [1, 1, 1]
    assert (found.only_a, found.only_b, found.is_worse) == (("only_a",), ("only_b",), True)
    lines = "\n".join(fleet_lines(found))
    assert "ATE (SE3) is worse in q (2 to 2.6)" in lines


def test_a_bag_that_fails_now_makes_a_fleet_worse(record, ate):
    a, b = [record("p", [ate(1.0)])], [record("p", status="failed", cause="?")]
    assert compare_fleets(a, b, 0.02).broken == ("p",)
    assert compare_fleets(a, b, 0.02).is_worse
    assert compare_fleets(b, a, 0.02).repaired == ("p",)
    assert not compare_fleets(b, a, 0.02).is_worse


def test_other_inputs_are_named(record):
    a, b = [record("p", inputs_sha256="1")], [record("p", inputs_sha256="2")]
    assert compare_fleets(a, b, 0.02).other_inputs == ("p",)


def test_the_command_compares_folders(record, ate, tmp_path, capsys):
    for name, value in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        write_records(tmp_path / name, [record("p", [ate(value)])])
    assert read_records(tmp_path / "a") == (record("p", [ate(1.0)]),)
    words = ["compare", str(tmp_path / "a"), str(tmp_path / "b")]
    assert main(words) == 0
    assert main([*words, "--fail-if-worse"]) == 1
    assert "| ATE (SE3)" in capsys.readouterr().out


def test_a_folder_without_a_fleet_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no fleet"):
        main(["compare", str(tmp_path), str(tmp_path)])
