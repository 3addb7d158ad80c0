"""The file itself: complete, closed to the network, and small enough."""

import json
import re
from enum import Enum
from html.parser import HTMLParser

import numpy as np
import pytest

from perception_common.errors import InputError
from replay_ros.report.content import ReportContent, ReportFrame
from replay_ros.report.render import to_html, to_plain, write_html
from replay_ros.report.selection import MAX_PICTURES, PICTURE_BYTES
from replay_ros.report.write import main


class Tags(HTMLParser):
    """Attributes of all tags that could load something."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.policies = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.sources += [values[name] for name in ("src", "href") if name in values]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policies.append(values["content"])


def test_nothing_is_loaded_and_nothing_may_be(report_file):
    tags = Tags(report_file.read_text())
    assert tags.sources == ["data:,"]  # the icon
    assert "default-src 'none'" in tags.policies[0]


def test_the_data_survive_the_page(content, report_file):
    text = re.search(r'id="content">(.*?)</script>', report_file.read_text(), re.DOTALL)[1]
    data = json.loads(text)
    assert data["title"] == content.title
    assert data["classes"] == ["car", "</script><b>van"]
    assert data["seconds"] == list(range(12))
    assert data["frames"][3]["keyframe"] == 1
    np.testing.assert_allclose(data["trajectory"]["estimated"], content.trajectory.estimated, rtol=1e-5)


def test_plain_values():
    class Kind(Enum):
        A = 1

    content = {"a": np.array([1.23456789, np.nan]), "b": (True, 2**60, None), "c": Kind.A, "d": b"\xff"}
    assert to_plain(content) == {
        "a": [1.23457, None],
        "b": [True, str(2**60), None],
        "c": 1,
        "d": "data:image/jpeg;base64,/w==",
    }


def test_a_title_is_text():
    assert "<title>a &lt;b&gt; · replay report</title>" in to_html(ReportContent("a <b>", "", ()))


def test_two_hundred_large_frames_can_be_mailed(tmp_path):
    picture = b"x" * (PICTURE_BYTES // MAX_PICTURES)
    frames = tuple(ReportFrame(10**9 * k, (1920, 1080), picture) for k in range(MAX_PICTURES))
    write_html(ReportContent("long", "", frames), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 23e6  # boxes, matches and plots take some more


def test_the_command_writes_a_report(answers, tmp_path, capsys):
    out = tmp_path / "new" / "report.html"
    assert main([str(answers), "--out", str(out), "--pictures", "3"]) == 0
    assert out.is_file()
    assert "12 frames" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(answers, tmp_path):
    with pytest.raises(InputError, match="at least 1"):
        main([str(answers), "--pictures", "0"])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another --out"):
        main([str(answers), "--out", str(tmp_path / "file" / "report.html")])
