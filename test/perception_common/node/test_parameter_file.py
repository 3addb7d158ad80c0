"""Reading ROS parameter files without a node."""

from dataclasses import dataclass

import pytest

from loftr_ros.parameters import LoftrParameters
from perception_common.errors import InputError
from perception_common.node.parameter_file import missed_files, misses, read_parameters
from perception_common.node.parameters import parameter
from perception_common.resources import find_config
from yolc_ros.parameters import YolcParameters


@dataclass(frozen=True)
class Few:
    threshold: float = parameter(0.3, "lowest score", low=0.0, high=1.0)
    mode: str = parameter("fast", "how", choices=("fast", "good"))


def read(tmp_path, text, **overrides):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    return read_parameters(path, "a_node", Few, overrides)


@pytest.mark.parametrize("name", ["/**", "/**/a_node", "a_node", "/a_node", "/*"])
def test_an_entry_applies_by_node_name_or_wildcard(tmp_path, name):
    assert read(tmp_path, f'"{name}": {{ros__parameters: {{threshold: 0.5}}}}') == Few(threshold=0.5)


def test_other_nodes_and_parameters_of_rclpy_are_ignored(tmp_path):
    text = """
/**/other_node: {ros__parameters: {whatever: 1}}
/**/a_node: {ros__parameters: {use_sim_time: true, mode: good, qos_overrides./image.subscription.depth: 1}}
"""
    assert read(tmp_path, text) == Few(mode="good")


def test_later_entries_and_overrides_win(tmp_path):
    text = "/**: {ros__parameters: {threshold: 0.1, mode: good}}\na_node: {ros__parameters: {threshold: 0.2}}"
    assert read(tmp_path, text) == Few(threshold=0.2, mode="good")
    assert read(tmp_path, text, threshold=0.9) == Few(threshold=0.9, mode="good")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a_node: {ros__parameters: {treshold: 0.5}}", "treshold"),
        ("a_node: {ros__parameters: {threshold: 1.5}}", "0 to 1"),
        ("a_node: {ros__parameters: {mode: slow}}", "fast, good"),
        ("a_node: {threshold: 0.5}", "ros__parameters"),
        ("a_node: [", "not a ROS parameter file"),
        ("a_node: {ros__parameters: {mode: on}}", "in quotes; choose one of fast, good"),
        ("a_node: {ros__parameters: {mode: 5}}", "not a str: choose one of fast, good"),
        ('a_node: {ros__parameters: {threshold: "0.5"}}', "without quotes"),
        ("a_node: {ros__parameters: {threshold: .nan}}", "finite"),
        ("a_node: {ros__parameters: {threshold: }}", "threshold has no value"),
        ("a_node: {ros__parameters: }", "holds no parameters"),
        ("a_node: {ros_parameters: {threshold: 0.5}}", "ros__parameters"),
        ("a_node:\n\tros__parameters: {}", "not a ROS parameter file"),
        ("/drone1/a_node: {ros__parameters: {threshold: 0.5}}", "/drone1/a_node and none of /a_node: .*namespace"),
        ("a_nod: {ros__parameters: {threshold: 0.5}}", "correct the name, as `/\\*\\*/a_node`"),
    ],
)
def test_invalid_files_are_refused_as_a_node_would(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_parameters(tmp_path / "none.yaml", "a_node", Few)


def test_the_shipped_parameter_file_is_valid():
    assert read_parameters(find_config("perception.yaml"), "yolc_node", YolcParameters).model == "yolc_lite"
    assert read_parameters(None, "yolc_node", YolcParameters) == YolcParameters()


@pytest.mark.parametrize(("node", "kind"), [("yolc_node", YolcParameters), ("loftr_node", LoftrParameters)])
def test_the_shipped_file_has_the_defaults_of_the_code(node, kind):
    """So a file that holds only some parameters changes only those."""
    assert read_parameters(find_config("perception.yaml"), node, kind) == kind()


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices(device):
    assert read_parameters(None, "yolc_node", YolcParameters, {"device": device}).device == device


@pytest.mark.parametrize("device", ["banana", "CPU", "cuda:", "cuda:x", "", "cpu\n"])
def test_a_device_that_cannot_be_is_refused_at_start(device):
    with pytest.raises(InputError, match="use auto, cpu, cuda or cuda:N"):
        read_parameters(None, "yolc_node", YolcParameters, {"device": device})


@pytest.mark.parametrize(
    "text", ["drone1: {a_node: X}", "/drone1/a_node: X", "/drone1: {'**': X}", "/**/drone1/a_node: X"]
)
def test_the_namespace_counts_as_for_a_node(tmp_path, text):
    path = tmp_path / "p.yaml"
    path.write_text(text.replace("X", "{ros__parameters: {threshold: 0.5}}"))
    assert read_parameters(path, "a_node", Few, namespace="drone1") == Few(threshold=0.5)
    assert read_parameters(path, "a_node", Few, namespace="/drone1/") == Few(threshold=0.5)
    assert "none of /drone2/a_node" in misses(path, "/drone2/a_node") or text.startswith("/drone1: {'**'")


def test_a_whole_number_and_an_exponent_are_floats(tmp_path):
    for text, value in (("1", 1.0), ("1e-1", 0.1), ("0x0", 0.0)):
        assert read(tmp_path, f"a_node: {{ros__parameters: {{threshold: {text}}}}}") == Few(threshold=value)


def test_an_unknown_name_in_an_entry_for_all_nodes_is_logged(tmp_path, caplog):
    assert read(tmp_path, "/**: {ros__parameters: {camera_name: front, mode: good}}") == Few(mode="good")
    assert "unknown parameter 'camera_name' is ignored" in caplog.text


def test_files_of_the_command_line_that_miss_a_node_are_told(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("/drone1/a_node: {ros__parameters: {threshold: 0.5}}")
    arguments = ["program", "--ros-args", "--params-file", str(path), "--params-file", str(tmp_path / "gone.yaml")]
    assert missed_files(arguments, "/drone1/a_node") == []
    (words,) = missed_files(arguments, "/a_node")
    assert "write `/**/a_node`" in words
    path.write_text("loftr_node: {ros__parameters: {}}\n/**/other: {ros__parameters: {a: 1}}")
    assert missed_files(arguments, "/yolc_node") == []  # a file of other nodes


@pytest.mark.parametrize(
    "bomb",
    [
        "a: &a [1]\n" + "".join(f"b{k}: &b{k} [{'*a,' * 9}]\n" for k in range(9)),
        "[" * 100_000,
        f"/**: {{ros__parameters: {{threshold: {'9' * 6000}}}}}",
        f"/**: {{ros__parameters: {{threshold: 0x{'f' * 6000}}}}}",
        "/**: {ros__parameters: {threshold: !!python/object/apply:os.getcwd []}}",
        "? [1]\n: 2",
        "/**/a_(node: {ros__parameters: {threshold: 1.0}}",
        "{ros__parameters: {threshold: 1.0}}",
    ],
)
def test_hostile_files_are_refused(tmp_path, bomb):
    with pytest.raises(InputError):
        read(tmp_path, bomb)
