"""The HTML file: self-contained, without network access, small enough to mail."""

import json
import re
from enum import Enum
from html.parser import HTMLParser

import numpy as np
import pytest

from replay_ros.report.content.images import ReportFrame
from replay_ros.report.content.report import ReportContent
from replay_ros.report.content.text import FrameToCheck, ReportedProblem, Table, Tile
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


class Structure(HTMLParser):
    """The tags of a page with their attributes, in order."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, sorted(attributes)))


HOSTILE = (
    *("</script><script>alert(1)</script>", "</title><img src=x onerror=alert(1)>", "<!--", "-->", "]]>", "\u2028"),
    *("{{content}}", "{{title}}", "\\1", "&lt;", '" onload="x', "'", "\x00"),
)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_report_becomes_a_tag(text):
    """Names of bags, topics, classes and models come from outside."""

    def page(word):
        table = Table(word, (word,), ((word,),), word)
        return render_html(
            ReportContent(
                title=word, subtitle=word, frames=(ReportFrame(10**9, (8, 8), b"x"),), classes=(word,), shown=word,
                tiles=(Tile(word, word, word),), problems=(ReportedProblem(word),),
                frames_to_check=(FrameToCheck(0, (word,)),), tables=(table,), provenance=(table,),
            )
        )  # fmt: skip

    written = page(text)
    assert Structure(written).tags == Structure(page("plain")).tags
    data = json.loads(re.search(r'id="content">(.*?)</script>', written, re.DOTALL)[1])
    assert data["title"] == data["classes"][0] == data["tables"][0]["rows"][0][0] == text


def test_a_name_that_is_no_text_is_written_with_escapes(tmp_path):
    """Linux allows any bytes in the name of a bag; Python reads them as lone surrogates."""
    write_html(ReportContent("bag\udcff", "", ()), tmp_path / "report.html")
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert json.loads(re.search(r'id="content">(.*?)</script>', written, re.DOTALL)[1])["title"] == "bag\udcff"


def test_the_largest_report_is_small_enough_to_mail(tmp_path):
    picture = b"x" * (PICTURE_BYTES // MAX_PICTURES)
    frames = tuple(ReportFrame(10**9 * k, (1920, 1080), picture) for k in range(MAX_PICTURES))
    write_html(ReportContent("long", "", frames), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 23e6  # leaves room for boxes, matches and plots
