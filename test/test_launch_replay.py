"""launch/replay.launch.py: the `replay` command line that it builds. launch is replaced, as it is not on PyPI.

The last test uses the real launch where it is installed.
"""

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import pytest

from perception_common.errors import InputError
from perception_common.resources import find_share
from replay_ros.commands.replay import parse

MODULES = (
    "launch",
    "launch.actions",
    "launch.events",
    "launch.events.process",
    "launch.launch_context",
    "launch.substitutions",
    "launch_ros.actions",
)


def load(repository):
    spec = importlib.util.spec_from_file_location("replay_launch", repository / "launch" / "replay.launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Recorded:
    """Records its arguments."""

    def __init__(self, *positional, **named):
        self.positional, self.named = positional, SimpleNamespace(**named)


class Context:
    """Stands in for launch's context: the given arguments, as the command line has them."""

    def __init__(self, given):
        self.given = given
        self.argv = [f"{name}:={value}" for name, value in given.items()]


@pytest.fixture
def description(repository, monkeypatch):
    """The launch file, loaded with classes of launch that only record their arguments."""
    for name in (*MODULES, "launch_ros", "ament_index_python", "ament_index_python.packages"):
        monkeypatch.setitem(sys.modules, name, MagicMock(spec=ModuleType))
    for name in ("DeclareLaunchArgument", "ExecuteProcess", "OpaqueFunction", "Shutdown"):
        setattr(sys.modules["launch.actions"], name, type(name, (Recorded,), {}))
    sys.modules["launch"].LaunchDescription = list
    sys.modules["launch"].LaunchDescriptionEntity = object
    sys.modules["launch.events.process"].ProcessExited = SimpleNamespace
    sys.modules["launch.launch_context"].LaunchContext = Context
    sys.modules["launch_ros.actions"].Node = type("Node", (Recorded,), {})
    sys.modules["launch.substitutions"].LaunchConfiguration = lambda name: SimpleNamespace(
        perform=lambda context: context.given[name]
    )
    share = find_share()
    sys.modules["ament_index_python.packages"].get_package_share_directory = lambda _: str(share)
    sys.modules["ament_index_python.packages"].get_package_prefix = lambda _: str(share.parents[1])
    return load(repository)


def started(description, **given):
    defaults = {name: default for name, (default, _) in description.ARGUMENTS.items()}
    return description.start(Context({**defaults, **given}))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rviz": "1"}, "rviz:=1 is neither true nor false"),
        ({"force": "yes"}, "force:=yes is neither true nor false"),
        ({"namespace": "1st"}, "namespace: '1st' is no namespace"),
        ({"name_space": "uav1"}, "replay.launch.py has no argument 'name_space': did you mean namespace"),
    ],
)
def test_what_is_wrong_is_refused_with_its_cause(description, monkeypatch, given, words):
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", "yolc_ros", "replay.launch.py"])
    with pytest.raises(InputError, match=words):
        started(description, bag="flight", **given)


def test_the_arguments_become_a_live_replay(description, tmp_path):
    (process,) = started(description, bag="flight/", rate="2.0", namespace="uav1", force="true")
    executable, *words = process.named.cmd
    assert executable == str(description.REPLAY)
    assert description.REPLAY.is_file()
    options = parse(words).options
    assert (options.bag.name, options.out.name, options.namespace) == ("flight", "flight_answers", "/uav1")
    assert (options.pace, options.rate, options.force, options.start_nodes) == ("rate", 2.0, True, True)
    assert options.params_file.is_file()


def test_the_launch_ends_with_the_replay_and_fails_with_it(description):
    (process,) = started(description, bag="flight")
    ended = process.named.on_exit(SimpleNamespace(returncode=0), {})
    assert type(ended).__name__ == "Shutdown"
    for status in (1, 3, 130, -9):
        with pytest.raises(RuntimeError, match=f"status {status}"):
            process.named.on_exit(SimpleNamespace(returncode=status), {})


@pytest.mark.parametrize(
    ("given", "of_rviz"), [("uav1", "uav1"), ("uav1/", "uav1"), ("/uav1", "/uav1"), ("/uav1/", "/uav1")]
)
def test_a_namespace_may_have_slashes_at_its_ends(description, given, of_rviz):
    process, rviz = started(description, bag="flight", namespace=given, rviz="true")
    assert parse(process.named.cmd[1:]).options.namespace == "/uav1"
    assert rviz.named.namespace == of_rviz


def test_rviz_gets_an_existing_layout(description):
    _, rviz = started(description, bag="flight", rviz="true")
    assert rviz.named.executable == "rviz2"
    assert (find_share() / "config" / "layouts" / "perception.rviz").samefile(rviz.named.arguments[1])


def test_every_argument_is_declared_and_only_the_bag_is_required(description):
    declared = description.generate_launch_description()[:-1]
    assert {each.positional[0] for each in declared} == set(description.ARGUMENTS)
    assert [each.positional[0] for each in declared if each.named.default_value is None] == ["bag"]


def test_the_real_launch_starts_the_replay(repository):
    launch = pytest.importorskip("launch", reason="launch needs an apt ROS")
    pytest.importorskip("launch_ros", reason="launch_ros needs an apt ROS")
    module, context = load(repository), launch.LaunchContext()
    for name, (default, _) in module.ARGUMENTS.items():
        context.launch_configurations[name] = "flight" if name == "bag" else default
    (process,) = module.start(context)
    assert process.cmd[0][0].text == str(module.REPLAY)
    assert module.generate_launch_description()
