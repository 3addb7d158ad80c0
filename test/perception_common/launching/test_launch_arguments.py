"""Checks of launch arguments, and the parameters that they become. The oracle of the file's effect is rclpy itself."""

import sys
from pathlib import Path

import pytest
import rclpy
import yaml

from perception_common.errors import InputError
from perception_common.launching.arguments import (
    check_names,
    existing_file,
    full_name,
    parameter_file,
    to_bool,
    to_namespace,
    to_number,
    to_weights,
    write_parameters,
)


def overrides_of(name, namespace, *files):
    """The parameters that rcl gives a node from parameter files."""
    words = [word for file in files for word in ("--params-file", str(file))]
    context = rclpy.Context()
    rclpy.init(args=["test", "--ros-args", "-r", f"__ns:={namespace}", *words], context=context)
    try:
        node = rclpy.create_node(name, context=context)
        values = {name: each.value for name, each in node._parameter_overrides.items()}
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)
    return values


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("false", False)])
def test_switches(text, value):
    assert to_bool("composed", text) is value


@pytest.mark.parametrize("text", ["perhaps", "1", "", "yes"])
def test_other_words_than_true_and_false_are_refused_by_name(text):
    with pytest.raises(InputError, match=r"composed:=.* is neither true nor false"):
        to_bool("composed", text)


def test_numbers():
    assert to_number("score_threshold", "0.25") == 0.25
    with pytest.raises(InputError, match="score_threshold:=high is no number"):
        to_number("score_threshold", "high")


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
def test_numbers_are_finite(text):
    with pytest.raises(InputError, match=r"respawn_delay:=.* is no finite number"):
        to_number("respawn_delay", text)


@pytest.mark.parametrize(
    ("text", "namespace"),
    [("", ""), ("uav1", "uav1"), ("uav1/", "uav1"), ("/uav1/", "/uav1"), ("/", "/"), (" /fleet/uav1 ", "/fleet/uav1")],
)
def test_a_namespace_stays_relative_or_absolute(text, namespace):
    assert to_namespace("namespace", text) == namespace


def test_files_must_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "w.pth").touch()
    assert existing_file("weights", "~/w.pth") == tmp_path / "w.pth"
    assert to_weights("weights", "~/w.pth") == str(tmp_path / "w.pth")
    assert [to_weights("weights", word) for word in ("default", "none")] == ["default", "none"]
    for missing in ("~/v.pth", str(tmp_path)):
        with pytest.raises(InputError, match="is no file; check the path"):
            to_weights("weights", missing)


NAMES = ("/**", "/*", "/*/*", "/**/yolc_node", "/*/yolc_node", "yolc_node", "/yolc_node", "/uav1/yolc_node", "/uav1/**")


@pytest.mark.parametrize("namespace", ["", "/uav1", "/fleet/uav1"])
@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_file_is_for_a_node_where_rcl_gives_the_node_its_parameters(tmp_path, name, namespace):
    path = tmp_path / "p.yaml"
    path.write_text(f"{name}: {{ros__parameters: {{given: 1}}}}")
    nodes = [f"{namespace}/yolc_node"]
    if "given" in overrides_of("yolc_node", namespace or "/", path):
        assert parameter_file("params_file", str(path), nodes) == path
    else:
        with pytest.raises(InputError, match="has no parameters for"):
            parameter_file("params_file", str(path), nodes)


def test_a_parameter_file_may_have_namespaces_around_the_nodes(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("uav1: {yolc_node: {ros__parameters: {given: 1}}}")
    assert "given" in overrides_of("yolc_node", "/uav1", path)
    assert parameter_file("params_file", str(path), ["/uav1/loftr_node", "/uav1/yolc_node"]) == path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yolk_node: {ros__parameters: {a: 1}}", "has no parameters for /yolc_node or /loftr_node: name them /"),
        ("yolc_node: {a: 1}", "yolc_node/a has no ros__parameters"),
        ("", "has no parameters"),
        ("just text", "the file has no ros__parameters"),
        ("yolc_node: [", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_parameter_file_for_none_of_the_nodes_is_refused(tmp_path, text, words):
    path = tmp_path / "p.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=words):
        parameter_file("params_file", str(path), ["/yolc_node", "/loftr_node"])


KNOWN = ("image_topic", "params_file")


def test_an_unknown_argument_of_the_launched_file_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", "yolc_ros", "perception.launch.py"])
    launch_file = Path("/opt/share/yolc_ros/launch/perception.launch.py")
    check_names(["image_topic:=/a", "launch-prefix:=gdb"], KNOWN, launch_file)
    with pytest.raises(
        InputError, match=r"perception.launch.py has no argument 'params_fil': did you mean params_file"
    ):
        check_names(["params_fil:=x"], KNOWN, launch_file)
    with pytest.raises(InputError, match="there are image_topic, params_file"):
        check_names(["banana:=x"], KNOWN, launch_file)


def test_the_arguments_of_a_launch_file_that_includes_this_one_are_its_own(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", "mine", "drone.launch.py"])
    check_names(["payload:=x"], KNOWN, Path("/opt/share/yolc_ros/launch/perception.launch.py"))


@pytest.mark.parametrize(
    ("namespaces", "topic", "expected"),
    [
        (("", ""), "image", "/image"),
        (("", "uav1"), "image", "/uav1/image"),
        (("/fleet", "uav1"), "camera/image", "/fleet/uav1/camera/image"),
        (("/fleet", "/uav1/"), "image", "/uav1/image"),
        (("/fleet", "uav1"), "/camera/image", "/camera/image"),
    ],
)
def test_names_are_resolved_in_the_namespaces(namespaces, topic, expected):
    assert full_name(namespaces, topic) == expected


FILES_OF_USERS = (
    "/**: {ros__parameters: {text: file, kept: 1}}",
    "/**/yolc_node: {ros__parameters: {text: file, kept: 1}}",
    "/uav1/yolc_node: {ros__parameters: {text: file, kept: 1}}",
    "/**: {ros__parameters: {text: all}}\n/uav1/yolc_node: {ros__parameters: {text: file, kept: 1}}",
    "/uav1/yolc_node: {ros__parameters: {text: file, kept: 1}}\n/**: {ros__parameters: {text: all}}",
)


@pytest.mark.parametrize("text", FILES_OF_USERS)
def test_given_parameters_replace_those_of_any_file_and_leave_the_rest(tmp_path, text):
    """Also where the file names the node in full, which would replace an entry for /**."""
    given = {
        "text": "off", "number": 1.0, "switch": False,
        "qos_overrides./uav1/image.subscription.reliability": "reliable",
    }  # fmt: skip
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    written = write_parameters({"yolc_node": given, "loftr_node": {"text": "other"}})
    values = overrides_of("yolc_node", "/uav1", mine, written)
    written.unlink()
    assert values == {**given, "kept": 1}
    assert type(values["number"]) is float  # rcl takes 1 for an integer, which a float parameter refuses


def test_the_written_file_is_yaml_that_names_each_node():
    path = write_parameters({"yolc_node": {}, "loftr_node": {"model": "sift"}})
    content = yaml.safe_load(path.read_text())
    path.unlink()
    assert content["/**/loftr_node"]["ros__parameters"] == {"model": "sift"}
