"""The layouts for RViz and Foxglove: they parse, hang together, and name topics and fields that exist."""

import json
import re

import pytest
import yaml

from perception_common.resources import find_config
from replay_ros.bags.messages import load_types
from replay_ros.commands.flight import build_parser

RVIZ_CLASSES = {"Grid", "Path", "Pose", "Image"}
RVIZ_TYPES = {
    "Path": "nav_msgs/msg/Path",
    "Pose": "geometry_msgs/msg/PoseStamped",
    "Image": "sensor_msgs/msg/Image",
}


@pytest.fixture(scope="module")
def topics(repository):
    """Type by name: what the README says of the nodes, and what a flight's bag holds."""
    rows = re.findall(
        r"^\|.*?\| (?:in|out) \| `(.+?)` \| `(.+?)` \|$", (repository / "README.md").read_text(), re.MULTILINE
    )
    named = {name if name.startswith("/") else f"/{name}": kind.replace("/", "/msg/") for name, kind in rows}
    assert len(named) > 10
    flown = re.findall(r"(?:camera|ground_truth)/\w+", build_parser().epilog)
    return named | {f"/{name}": "" for name in flown}


@pytest.fixture(scope="module")
def foxglove():
    return json.loads(find_config("layouts/foxglove.json").read_text())


def leaves(layout):
    """Ids of the panels in a tree of splits."""
    return [layout] if isinstance(layout, str) else [*leaves(layout["first"]), *leaves(layout["second"])]


def test_rviz_shows_topics_of_the_right_types(topics):
    layout = yaml.safe_load(find_config("layouts/perception.rviz").read_text())
    displays = layout["Visualization Manager"]["Displays"]
    shown = {}
    for display in displays:
        package, kind = display["Class"].split("/")
        assert package == "rviz_default_plugins"
        assert kind in RVIZ_CLASSES
        if "Topic" in display:
            shown[display["Topic"]["Value"]] = RVIZ_TYPES[kind]
    assert shown == {name: topics[name] for name in shown}
    assert {"/loftr/path", "/loftr/debug_image", "/yolc/debug_image"} <= shown.keys()
    names = {display["Name"] for display in displays}
    assert {"Detections", "Matches"} <= names & layout["Window Geometry"].keys()  # docked under their own names


def test_foxglove_panels_are_all_placed_once(foxglove):
    placed = leaves(foxglove["layout"])
    for panel in list(placed):
        placed += [each for tab in foxglove["configById"][panel].get("tabs", []) for each in leaves(tab["layout"])]
    assert sorted(placed) == sorted(foxglove["configById"])


def test_foxglove_names_topics_and_fields_that_exist(foxglove, topics):
    types = load_types()
    paths = set(re.findall(r'"(/[a-z_]+(?:/[a-z_]+)*(?:\.[a-z_.]+)?)"', json.dumps(foxglove["configById"])))
    assert len(paths) > 8
    for path in paths:
        topic, _, field = path.partition(".")
        assert topic in topics, path
        if field:
            assert field in {name for name, _ in types.fielddefs[topics[topic]][1]}, path
