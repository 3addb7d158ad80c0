"""The pages agree with the code: messages, parameters, warnings, paths, links and versions."""

import ast
import importlib.util
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md")),
    *sorted((REPOSITORY / "weights").glob("*.md")),
    *sorted(DOCS.rglob("*.md")),
]
HOW_TO = [page for page in sorted((DOCS / "how_to").glob("*.md")) if page.name != "index.md"]
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def page_id(path):
    return str(path.relative_to(REPOSITORY))


def section(text, title):
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


# --- messages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [*sorted((REPOSITORY / "msg").glob("*.msg")), *sorted((REPOSITORY / "srv").glob("*.srv"))], ids=page_id
)
def test_every_field_of_a_message_is_described(path):
    described = section((DOCS / "messages.md").read_text(), path.stem)
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    names = [line.split("=")[0].split()[1] for line in lines if line and line != "---"]
    assert names
    assert [name for name in names if f"`{name}" not in described] == []


# --- parameters -----------------------------------------------------------------------------------------------------


def test_the_page_of_parameters_is_current():
    """If this fails: python scripts/document_parameters.py."""
    path = REPOSITORY / "scripts" / "document_parameters.py"
    spec = importlib.util.spec_from_file_location("document_parameters", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page()


# --- warnings and errors --------------------------------------------------------------------------------------------

# Where the nodes' messages come from. Command lines, training and datasets have their own.
NODE_CODE = (
    *("launch/perception.launch.py", "launch/bridges.launch.py", "perception_common/launching"),
    *("perception_common/node", "perception_common/images", "perception_common/cameras", "perception_common/backends"),
    *(
        "perception_common/weights.py",
        "perception_common/checkpoints",
        "perception_common/shared_memory.py",
        "perception_common/resources.py",
        "perception_common/config.py",
        "perception_common/sensors",
        "yolc_ros/ros",
        "yolc_ros/bridges",
        "yolc_ros/detector.py",
        "yolc_ros/parameters.py",
        "yolc_ros/ground_sensors.py",
        "yolc_ros/georeference",
    ),
    *("loftr_ros/ros", "loftr_ros/bridges", "loftr_ros/sensors", "loftr_ros/geometry", "loftr_ros/trajectory"),
    *("loftr_ros/parameters.py", "loftr_ros/frontend.py", "loftr_ros/matcher_choice.py", "loftr_ros/base_frame.py"),
)
# The functions whose argument is a message for the user, with its position.
REPORTING = dict.fromkeys(("InputError", "warning", "error", "_fail", "failed_match", "unknown_scale", "_unusable"), 0)
REPORTING |= {"refuse": 0, "report": 1, "failed_pose": 1, "_error": 2}
# Functions that return such a message.
RETURNING = {
    *(
        "incompatible_qos",
        "missing_images",
        "lost_images",
        "_remedy",
        "unknown",
        "use_large_image_profile",
        "_missing_profile",
        "_choose_device",
        "_choose_dtype",
    ),
    *("rejection", "_ground_rejection", "moving_boxes", "_in_parent", "stale_sentences"),
}


def node_sources():
    for name in NODE_CODE:
        path = REPOSITORY / name
        assert path.exists(), name
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def called_name(node):
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def literals(node):
    """The fixed parts of the strings in an expression: of an f-string those between its fields."""
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def messages_of(path):
    """The longest fixed part of each message that a file reports, with its line."""
    tree = ast.parse(path.read_text())
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (place := REPORTING.get(called_name(node))) is not None:
            if len(node.args) > place and (parts := literals(node.args[place])):
                found.append((node.lineno, max(parts, key=len)))
        elif isinstance(node, ast.FunctionDef) and node.name in RETURNING:
            texts = [each for each in ast.walk(node) if isinstance(each, ast.JoinedStr)]
            texts += [each for part in ast.walk(node) if isinstance(part, ast.Return) for each in ast.walk(part)]
            found += [(each.lineno, max(literals(each), key=len)) for each in texts if literals(each)]
    return [(line, text.replace("`", "").strip()) for line, text in found if len(text.strip()) > 8]


def test_the_functions_that_return_messages_exist():
    sources = "\n".join(path.read_text() for path in node_sources())
    assert [name for name in sorted({*REPORTING, *RETURNING}) if not re.search(rf"\b{name}\(", sources)] == []


def test_every_warning_and_error_of_the_nodes_is_explained():
    page = " ".join((DOCS / "troubleshooting.md").read_text().replace("`", "").split())
    collected = [(path, line, text) for path in node_sources() for line, text in messages_of(path)]
    assert len(collected) > 80
    missing = [f"{page_id(path)}:{line}: {text}" for path, line, text in collected if text not in page]
    assert missing == []


# --- how to add -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", HOW_TO, ids=page_id)
def test_a_change_touches_at_most_five_files(path):
    """Each page has the files to touch as the rows of its first table; tests and docs are not counted."""
    table = section(path.read_text(), "Files")
    files = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert 1 <= len(files) <= 5
    assert not [name for name in files if name.startswith(("test/", "docs/"))]


# --- paths and links ------------------------------------------------------------------------------------------------

FOLDERS = ("perception_common", "yolc_ros", "loftr_ros", "flight_sim", "replay_ros", "config", "msg", "srv", "launch")
FOLDERS += ("test", "docs", "scripts", "weights", "requirements", "examples")
PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./*-]*)`")
MESSAGE_TYPE = re.compile(r"yolc_ros/(msg/|srv/)?[A-Z]\w+$|yolc_ros/(msg|srv)$")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_paths_in_the_text_exist(page):
    """Names in capitals (NAME) stand for files to be made, as those of table rows that say "new"."""
    if page.name == "CHANGELOG.md" or page.parent.name == "weights":
        pytest.skip("tells of earlier states")
    text = re.sub(r"^\| .* \| new: .*$", "", page.read_text(), flags=re.MULTILINE)
    named = {name for name in PATH.findall(text) if not MESSAGE_TYPE.match(name)}
    named = {name for name in named if "NAME" not in name}
    assert [name for name in sorted(named) if not list(REPOSITORY.glob(name.rstrip("/")))] == []


def anchors(path):
    """The anchors of the headings of a page, as GitHub and MkDocs name them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", FENCED.sub("", page.read_text()))
    for link in links:
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_navigation_of_the_site():
    text = (REPOSITORY / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    named = re.findall(r"([\w/]+\.md)$", text, re.MULTILINE)
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert {name for name in named if not name.startswith("repository/")} == pages


@pytest.mark.parametrize("path", sorted((DOCS / "images").glob("*.svg")), ids=page_id)
def test_drawings_are_well_formed_and_used(path):
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    assert any(f"images/{path.name}" in page.read_text() for page in DOCS.glob("*.md"))


# --- release --------------------------------------------------------------------------------------------------------


def test_the_version_is_the_same_everywhere():
    project = re.search(r'^version = "(.*)"$', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)[1]
    package = ElementTree.parse(REPOSITORY / "package.xml").getroot().findtext("version")
    newest = re.search(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert package == project == newest


@pytest.mark.slow
def test_the_built_site_is_not_committed():
    listed = subprocess.run(["git", "ls-files", "site"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert listed.stdout == ""
