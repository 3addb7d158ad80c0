"""launch/perception.launch.py; needs launch_ros, which is not on PyPI."""

import importlib.util

import pytest

launch = pytest.importorskip("launch", reason="launch needs an apt ROS")
pytest.importorskip("launch_ros", reason="launch_ros needs an apt ROS")


@pytest.fixture
def description(repository):
    spec = importlib.util.spec_from_file_location("perception_launch", repository / "launch" / "perception.launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("given", "executables"),
    [
        ({}, ["perception"]),
        ({"composed": "false"}, ["yolc_node", "loftr_node"]),
        ({"enable_matching": "false"}, ["yolc_node"]),
        ({"enable_detection": "false"}, ["loftr_node"]),
    ],
)
def test_the_arguments_select_the_nodes(description, given, executables):
    context = launch.LaunchContext()
    for name, (default, _) in description.ARGUMENTS.items():
        context.launch_configurations[name] = given.get(name, default)
    nodes = description.start_nodes(context)
    assert [node.node_executable for node in nodes] == executables


def test_other_values_than_true_and_false_are_refused(description):
    with pytest.raises(ValueError, match="neither true nor false"):
        description.is_true("perhaps")
