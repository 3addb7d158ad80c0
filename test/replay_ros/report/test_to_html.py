"""The HTML file: self-contained, without network access, small enough to mail."""

import json
import re
from enum import Enum
from html.parser import HTMLParser

import numpy as np

from replay_ros.report.content.images import ReportFrame
from replay_ros.report.content.report import ReportContent
from replay_ros.report.pictures import MAX_PICTURES, PICTURE_BYTES
from replay_ros.report.to_html import render_html, to_plain, write_html


class Tags(HTMLParser):
    """The attributes of all tags that could load something."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.policies = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.sources += [values[name] for name in ("src", "href") if name in values]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policies.append(values["content"])


def test_the_page_loads_nothing_and_forbids_it(report_file):
    tags = Tags(report_file.read_text())
    assert tags.sources == ["data:,"]  # the icon
    assert "default-src 'none'" in tags.policies[0]


def test_the_page_holds_the_content_as_json(content, report_file):
    text = re.search(r'id="content">(.*?)</script>', report_file.read_text(), re.DOTALL)[1]
    data = json.loads(text)
    assert data["title"] == content.title
    assert data["classes"] == ["car", "</script><b>van"]
    assert data["seconds"] == list(range(12))
    assert data["frames"][3]["keyframe"] == 1
    np.testing.assert_allclose(data["trajectory"]["estimated"], content.trajectory.estimated, rtol=1e-5)


def test_values_become_json_types():
    class Kind(Enum):
        A = 1

    content = {"a": np.array([1.23456789, np.nan]), "b": (True, 2**60, None), "c": Kind.A, "d": b"\xff"}
    assert to_plain(content) == {
        "a": [1.23457, None],
        "b": [True, str(2**60), None],
        "c": 1,
        "d": "data:image/jpeg;base64,/w==",
    }


def test_the_title_is_escaped():
    assert "<title>a &lt;b&gt; · replay report</title>" in render_html(ReportContent("a <b>", "", ()))


def test_the_largest_report_is_small_enough_to_mail(tmp_path):
    picture = b"x" * (PICTURE_BYTES // MAX_PICTURES)
    frames = tuple(ReportFrame(10**9 * k, (1920, 1080), picture) for k in range(MAX_PICTURES))
    write_html(ReportContent("long", "", frames), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 23e6  # leaves room for boxes, matches and plots
