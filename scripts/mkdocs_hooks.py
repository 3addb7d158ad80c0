"""Hooks of mkdocs.yml: bring the Markdown files that lie outside docs/ into the site, and check the links to others.

Links between files are written as they work in the repository, for example `../weights/loftr_lite.md` in a page of
docs/. On the site such a link leads to the copy of that file. A link to anything else in the repository, such as a
configuration file, becomes plain text, as the site does not contain it. A link to a file that does not exist is a
warning, which ends a strict build.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
_FENCED = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
logger = logging.getLogger("mkdocs.hooks")
# The docstrings are plain text. What looks like a cross-reference in them, as `[--run-dir DIR] [--resume]`, is none.
logging.getLogger("mkdocs.plugins.mkdocs_autorefs").setLevel(logging.ERROR)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the Markdown files outside docs/ to the site, below repository/."""
    for path in (*(ROOT / name for name in OUTSIDE), *sorted((ROOT / "weights").glob("*.md"))):
        uri = f"repository/{path.relative_to(ROOT).as_posix()}"
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page from the layout of the repository to that of the site."""
    source = Path(str(page.file.abs_src_path)).resolve()

    def rewrite(match: re.Match[str]) -> str:
        mark, text, target, anchor = match.groups()
        path = Path(os.path.normpath(source.parent / target))
        if not path.exists():
            logger.warning("%s: the link to %s leads nowhere", source.relative_to(ROOT), target)
            return match[0]
        uri = _site_uri(path)
        if files.get_file_from_path(uri) is None:
            return text
        relative = os.path.relpath(uri, os.path.dirname(page.file.src_uri) or ".")
        return f"{mark}[{text}]({relative}{anchor or ''})"

    parts = _FENCED.split(markdown)
    parts[::2] = [_LINK.sub(rewrite, part) for part in parts[::2]]
    return "".join(parts)


def _site_uri(path: Path) -> str:
    relative = path.relative_to(ROOT).as_posix()
    return relative.removeprefix("docs/") if relative.startswith("docs/") else f"repository/{relative}"
