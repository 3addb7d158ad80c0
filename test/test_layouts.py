"""The layouts for RViz and Foxglove: they parse, hang together, and name topics and fields that exist."""

import json
import re

import pytest
import yaml

from perception_common.resources import find_config
from replay_ros.bags.messages import load_types
from replay_ros.commands.flight import build_parser

RVIZ_TYPES = {
    "MarkerArray": "visualization_msgs/msg/MarkerArray",
    "Odometry": "nav_msgs/msg/Odometry",
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
        assert kind in {"Grid", *RVIZ_TYPES}
        if "Topic" in display:
            shown[display["Topic"]["Value"]] = RVIZ_TYPES[kind]
    assert shown == {name: topics[name] for name in shown}
    assert {"/loftr/path", "/loftr/debug_image", "/yolc/debug_image"} <= shown.keys()
    assert {"/loftr/odometry", "/yolc/object_markers"} <= shown.keys()
    names = {display["Name"] for display in displays}
    assert {"Detections", "Matches"} <= names & layout["Window Geometry"].keys()  # docked under their own names


def test_foxglove_panels_are_all_placed_once(foxglove):
    placed = leaves(foxglove["layout"])
    for panel in list(placed):
        placed += [each for tab in foxglove["configById"][panel].get("tabs", []) for each in leaves(tab["layout"])]
    assert sorted(placed) == sorted(foxglove["configById"])


def field_type(types, message, path):
    """The type of a nested field, as "pose.pose.position.x"; None for one that does not exist."""
    for name in path.split("."):
        fields = dict(types.fielddefs[message][1]) if message in types.fielddefs else {}
        if name not in fields:
            return None
        kind = fields[name]
        while isinstance(kind[1], tuple) and not isinstance(kind[1][0], str):  # an array of ...
            kind = kind[1][0]
        message = kind[1] if isinstance(kind[1], str) else kind[1][0]
    return message


def test_foxglove_names_topics_and_fields_that_exist(foxglove, topics):
    types = load_types()
    paths = set(re.findall(r'"(/[a-z_]+(?:/[a-z_]+)*(?:\.[a-z_.]+)?)"', json.dumps(foxglove["configById"])))
    assert len(paths) > 8
    assert {"/yolc/object_markers", "/yolc/object_fix", "/yolc/image_markers", "/yolc/tracks.tracks"} <= paths
    assert "/loftr/odometry.pose.pose.position.x" in paths
    for path in paths:
        topic, _, field = path.partition(".")
        assert topic in topics, path
        if field:
            assert field_type(types, topics[topic], field), path
    assert field_type(types, topics["/loftr/odometry"], "pose.pose.position.w") is None
