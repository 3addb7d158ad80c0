"""Writes a report as one self-contained HTML file: pictures, data, style sheet, scripts and plotly.js."""

from __future__ import annotations

import base64
import dataclasses
import html
import importlib.util
import json
import math
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.atomic_file import make_folder, output_file
from perception_common.errors import InputError
from replay_ros.report.content.images import MatchKind
from replay_ros.report.content.report import ReportContent

PAGE = Path(__file__).absolute().parent / "page"
_SCRIPTS = ("report.js", "viewer.js", "plots.js")
_LARGEST_EXACT = 2**53  # from here on, JavaScript rounds integers
_DIGITS = 6  # of floats: enough for plots, and keeps the file small
_KIND_NAMES = {MatchKind.OUTLIER: "outliers", MatchKind.INLIER: "inliers", MatchKind.DYNAMIC: "dynamic"}


def write_html(content: ReportContent, path: Path) -> None:
    """Write the report. Raises InputError when it cannot be written or plotly is missing."""
    write_page(render_html(content), path)


def write_page(text: str, path: Path) -> None:
    """Write a page of HTML. Raises InputError."""
    make_folder(path.parent)
    with output_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")  # names of files may be no text


def render_html(content: ReportContent) -> str:
    """Return the report as HTML. Raises InputError when plotly is missing, whose script is embedded."""
    parts = {
        "title": html.escape(content.title),
        "css": read_page("report.css"),
        "content": _content_json(content),
        "plotly": _escape_script(find_plotly().read_text(encoding="utf-8")),
        "script": _escape_script("\n".join(read_page(name) for name in _SCRIPTS)),
    }
    return fill_page("template.html", parts)


def fill_page(template: str, parts: Mapping[str, str]) -> str:
    """Return a template of the page with its {{names}} replaced by these parts."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], read_page(template))


def find_plotly() -> Path:
    """Return the path of plotly.js in the Python package plotly. Raises InputError when it is not installed."""
    found = importlib.util.find_spec("plotly")
    script = Path(found.origin).parent / "package_data" / "plotly.min.js" if found and found.origin else None
    if script is None or not script.is_file():
        raise InputError("the plots of the report need plotly: pip install plotly")
    return script


def to_plain(value: Any) -> Any:
    """Return a value of the types that JSON has.

    Dataclasses become objects, arrays lists, enums their values, pictures data URIs. Floats are rounded to six
    significant digits, NaN and infinity become null, and integers too large for JavaScript become text.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_KIND_NAMES.get(key, str(key)): to_plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [to_plain(each) for each in value]
    if isinstance(value, bytes):
        return f"data:image/jpeg;base64,{base64.b64encode(value).decode('ascii')}"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < _LARGEST_EXACT else str(value)
    return value


def _content_json(content: ReportContent) -> str:
    first = min((frame.stamp_ns for frame in content.frames), default=0)
    seconds = [(frame.stamp_ns - first) / 1e9 for frame in content.frames]
    text = json.dumps(to_plain(content) | {"seconds": seconds}, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")  # data must not contain "</script>"


def read_page(name: str) -> str:
    """Return a file of the page."""
    return (PAGE / name).read_text(encoding="utf-8")


def _escape_script(text: str) -> str:
    return text.replace("</script", "<\\/script")
