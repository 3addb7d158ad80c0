"""The launch files for the nodes, the bridges and two cameras. launch is replaced, as it is not on PyPI.

The last tests use the real launch where it is installed.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import pytest
import yaml

from loftr_ros.parameters import LoftrParameters
from loftr_ros.sensors.topics import DEPTH, ODOMETRY
from perception_common.errors import InputError
from perception_common.node.parameter_file import read_parameters
from perception_common.resources import find_config, find_share
from perception_common.sensors.topics import ALTITUDES, IMU
from yolc_ros.parameters import YolcParameters

MODULES = (
    *("launch", "launch.actions", "launch.event_handlers", "launch.launch_context", "launch.substitutions"),
    *("launch.launch_description_sources", "launch_ros", "launch_ros.actions"),
    *("ament_index_python", "ament_index_python.packages"),
)
RECORDED = {
    "launch.actions": (
        *("DeclareLaunchArgument", "OpaqueFunction", "RegisterEventHandler", "GroupAction"),
        "IncludeLaunchDescription",
    ),
    "launch.event_handlers": ("OnShutdown",),
    "launch.launch_description_sources": ("PythonLaunchDescriptionSource",),
    "launch_ros.actions": ("Node",),
}


class Recorded:
    """Records its arguments."""

    def __init__(self, *positional, **named):
        self.positional, self.named = positional, SimpleNamespace(**named)


class Context:
    """Stands in for launch's context: the given arguments, as the command line has them."""

    def __init__(self, given):
        self.given = given
        self.argv = [
            f"{name}:={value}" for name, value in given.items() if name != "ros_namespace"
        ]  # set by launch_ros
        self.launch_configurations = dict(given)


def load(path):
    spec = importlib.util.spec_from_file_location(path.name.replace(".", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def launch_file(repository, monkeypatch):
    """launch_file(name): a launch file, loaded with classes of launch that only record their arguments."""
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, MagicMock(spec=ModuleType))
    for module, names in RECORDED.items():
        for name in names:
            setattr(sys.modules[module], name, type(name, (Recorded,), {}))
    sys.modules["launch"].LaunchDescription = list
    sys.modules["launch"].LaunchDescriptionEntity = object
    sys.modules["launch.launch_context"].LaunchContext = Context
    sys.modules["launch.substitutions"].LaunchConfiguration = lambda name: SimpleNamespace(
        perform=lambda context: context.given[name]
    )
    share = find_share()
    sys.modules["ament_index_python.packages"].get_package_share_directory = lambda _: str(share)
    return lambda name: load(repository / "launch" / f"{name}.launch.py")


def processes(module, given, monkeypatch, name="perception"):
    """The processes that a launch file starts with the arguments, as `ros2 launch` would run it."""
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", "yolc_ros", f"{name}.launch.py"])
    defaults = {argument: default for argument, (default, _) in module.ARGUMENTS.items()}
    context = Context({**defaults, **given})
    start = module.start_nodes if name == "perception" else module.start_bridges
    return [each.named for each in start(context) if type(each).__name__ == "Node"]


@pytest.fixture
def perception(launch_file, monkeypatch):
    """perception(argument=value, ...): the processes that perception.launch.py starts."""
    module = launch_file("perception")
    return lambda **given: processes(module, given, monkeypatch)


def given_parameters(process, node):
    """What the arguments set for a node: the last parameter file."""
    return yaml.safe_load(Path(process.parameters[-1]).read_text())[f"/**/{node}"]["ros__parameters"]


@pytest.mark.parametrize(
    ("given", "executables"),
    [
        ({}, ["perception"]),
        ({"composed": "false"}, ["yolc_node", "loftr_node"]),
        ({"enable_matching": "false"}, ["yolc_node"]),
        ({"enable_detection": "false"}, ["loftr_node"]),
    ],
)
def test_the_arguments_select_the_nodes(perception, given, executables):
    assert [process.executable for process in perception(**given)] == executables


def test_without_arguments_the_parameter_file_alone_decides(perception):
    (process,) = perception()
    assert find_config("perception.yaml").samefile(process.parameters[0])
    assert given_parameters(process, "yolc_node") == given_parameters(process, "loftr_node") == {}
    assert process.remappings == []
    assert process.ros_arguments == []
    assert not process.respawn


def test_parameters_reach_the_nodes_that_have_them_with_their_types(perception, tmp_path):
    weights = tmp_path / "w.pth"
    weights.touch()
    (process,) = perception(
        use_sim_time="true", autostart="false", device="cpu", image_transport="compressed",
        yolc_model="yolc_w48", yolc_weights=str(weights), score_threshold="1", loftr_model="sift",
        loftr_weights="none", match_threshold="0.1", gimbal_pitch="-80", base_frame="base_link",
        base_from_optical="0 0 0 0 0 0 1", use_detections="true",
    )  # fmt: skip
    both = {"use_sim_time": True, "autostart": False, "device": "cpu", "image_transport": "compressed"}
    assert given_parameters(process, "yolc_node") == {
        **both, "model": "yolc_w48", "weights": str(weights), "score_threshold": 1.0,
    }  # fmt: skip
    assert given_parameters(process, "loftr_node") == {
        **both, "model": "sift", "weights": "none", "match_threshold": 0.1, "gimbal": "pitch", "gimbal_pitch": -80.0,
        "base_frame": "base_link", "base_from_optical": "0 0 0 0 0 0 1", "use_detections": True,
    }  # fmt: skip
    for node, kind in (("yolc_node", YolcParameters), ("loftr_node", LoftrParameters)):
        read_parameters(Path(process.parameters[-1]), node, kind)  # the nodes accept all of it


def test_a_sensor_topic_is_remapped_and_switched_on(perception):
    topics = {
        "altitude_topic": ("/range", ALTITUDES["range"].name),
        "depth_topic": ("/depth", DEPTH.name),
        "odometry_topic": ("/odom", ODOMETRY.name),
        "imu_topic": ("/imu/data", IMU.name),
    }
    (process,) = perception(
        altitude="range", base_frame="base_link", **{name: topic for name, (topic, _) in topics.items()}
    )
    assert sorted(process.remappings) == sorted((name, topic) for topic, name in topics.values())
    read = read_parameters(Path(process.parameters[-1]), "loftr_node", LoftrParameters)
    assert (read.altitude, read.use_depth, read.use_odometry, read.use_imu) == ("range", True, True, True)
    assert "use_imu" not in given_parameters(process, "yolc_node")


def test_the_image_topic_is_remapped_for_both_transports(perception):
    (process,) = perception(image_topic="/camera/image", camera_info_topic="/camera/info")
    assert ("image", "/camera/image") in process.remappings
    assert ("image/compressed", "/camera/image/compressed") in process.remappings
    assert ("camera_info", "/camera/info") in process.remappings


@pytest.mark.parametrize(
    ("given", "topic"),
    [
        ({}, "/image"),
        ({"namespace": "uav1"}, "/uav1/image"),
        ({"namespace": "uav1/"}, "/uav1/image"),
        ({"namespace": "/uav1/", "ros_namespace": "/fleet"}, "/uav1/image"),
        ({"namespace": "uav1", "image_topic": "camera/image"}, "/uav1/camera/image"),
        ({"namespace": "uav1", "image_topic": "/camera/image"}, "/camera/image"),
        ({"namespace": "uav1", "ros_namespace": "/fleet"}, "/fleet/uav1/image"),
    ],
)
def test_the_reliability_of_images_is_overridden_for_their_full_name(perception, given, topic):
    (process,) = perception(image_reliability="reliable", **given)
    for node in ("yolc_node", "loftr_node"):
        assert given_parameters(process, node) == {
            f"qos_overrides.{name}.subscription.reliability": "reliable" for name in (topic, f"{topic}/compressed")
        }


def test_respawn_and_log_level(perception):
    (process,) = perception(respawn="true", respawn_delay="5", log_level="debug")
    assert (process.respawn, process.respawn_delay) == (True, 5.0)
    assert process.ros_arguments == ["--log-level", "debug"]


def test_each_process_gets_the_enclave_of_its_name(perception):
    processes = perception(enclave="/yolc_ros", composed="false")
    assert [process.ros_arguments for process in processes] == [
        ["--enclave", "/yolc_ros/yolc_node"],
        ["--enclave", "/yolc_ros/loftr_node"],
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"enable_detection": "false", "enable_matching": "false"}, "nothing to start"),
        ({"composed": "perhaps"}, "composed:=perhaps is neither true nor false"),
        ({"use_sim_time": "1"}, "use_sim_time:=1 is neither"),
        ({"params_file": "/no/such/file.yaml"}, "params_file:=/no/such/file.yaml is no file"),
        ({"yolc_weights": "nothing.pth"}, "yolc_weights:=nothing.pth is no file"),
        ({"loftr_weights": "nothing.ckpt"}, "loftr_weights:=nothing.ckpt is no file"),
        ({"score_threshold": "high"}, "score_threshold:=high is no number"),
        ({"respawn_delay": "nan"}, "respawn_delay:=nan is no finite number"),
        ({"image_reliability": "maybe"}, "image_reliability:=maybe is unknown: give best_effort or reliable"),
        ({"namespace": "1st"}, "namespace: '1st' is no namespace"),
        ({"namespace": "a//b"}, "namespace: 'a//b' is no namespace"),
        ({"altitude_topic": "/range"}, "altitude:=range, float or fix"),
        ({"image_topik": "/camera/image"}, "did you mean image_topic"),
    ],
)
def test_what_is_wrong_is_refused_with_its_cause(perception, given, words):
    with pytest.raises(InputError, match=words):
        perception(**given)


def test_the_launch_file_leaves_the_transport_to_the_nodes(perception, repository):
    """The nodes look at the shared memory; see perception_common/node/transport.py."""
    perception()
    for path in (repository / "launch").iterdir():
        assert "PROFILE" not in path.read_text()


@pytest.mark.parametrize("name", ["perception", "bridges"])
def test_every_argument_is_declared(launch_file, name):
    module = launch_file(name)
    declared = module.generate_launch_description()[:-1]
    assert [each.positional[0] for each in declared] == list(module.ARGUMENTS)
    used = {*module.PARAMETERS, *getattr(module, "TOPICS", ()), *getattr(module, "SWITCHES", ())}
    assert used <= set(module.ARGUMENTS)


@pytest.mark.parametrize("name", ["perception", "bridges"])
def test_the_page_has_every_argument_with_its_default(launch_file, repository, name):
    page = (repository / "docs" / "launch.md").read_text()
    text = page.split(f"\n## {name}.launch.py\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", text, re.MULTILINE)
    arguments = launch_file(name).ARGUMENTS
    assert [row[0] for row in rows] == list(arguments)
    for argument, default, meaning in rows:
        assert (arguments[argument][0].endswith(default.strip("`")), arguments[argument][1]) == (True, meaning)
        assert bool(arguments[argument][0]) == bool(default.strip("` "))


# --- bridges --------------------------------------------------------------------------------------------------------


def test_the_chosen_bridges_start_with_their_parameters(launch_file, monkeypatch, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**/rtabmap_bridge: {ros__parameters: {tolerance: 0.1}}")
    started = processes(
        launch_file("bridges"),
        {
            "rtabmap": "true", "vision_msgs": "true", "odom_topic": "/odom", "base_frame": "base_link",
            "namespace": "uav1", "params_file": str(mine),
        },
        monkeypatch,
        "bridges",
    )  # fmt: skip
    assert [each.executable for each in started] == ["rtabmap_bridge", "vision_msgs_bridge"]
    for each in started:
        assert (each.namespace, each.remappings, each.parameters[0]) == ("uav1", [("odom", "/odom")], str(mine))
    assert given_parameters(started[0], "rtabmap_bridge") == {"base_frame": "base_link"}
    assert given_parameters(started[1], "vision_msgs_bridge") == {}


def test_no_bridge_is_refused(launch_file, monkeypatch):
    with pytest.raises(InputError, match="give rtabmap:=true, swarm_slam:=true, vision_msgs:=true"):
        processes(launch_file("bridges"), {}, monkeypatch, "bridges")


# --- two cameras ----------------------------------------------------------------------------------------------------


def test_each_camera_includes_the_nodes_in_a_group_and_namespace_of_its_own(launch_file, perception):
    module = launch_file("two_cameras")
    _, *groups = module.generate_launch_description()
    namespaces = []
    for group in groups:
        ((include,),) = group.positional
        assert Path(include.positional[0].positional[0]).name == "perception.launch.py"
        arguments = dict(include.named.launch_arguments)
        namespaces.append(arguments["namespace"])
        perception(**{**arguments, "use_sim_time": ""})  # the arguments exist and are accepted
    assert len(set(namespaces)) == len(groups) == 2


# --- the real launch ------------------------------------------------------------------------------------------------

RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
path, *given = sys.argv[1:]
service = LaunchService(argv=given)
include = IncludeLaunchDescription(
    PythonLaunchDescriptionSource(path), launch_arguments=[each.split(":=", 1) for each in given]
)
service.include_launch_description(LaunchDescription([include]))
sys.exit(service.run())
"""


def run_launch(repository, name, *given):
    """Run a launch file as `ros2 launch` does; returns the exit status and what it printed."""
    pytest.importorskip("launch", reason="launch needs an apt ROS")
    pytest.importorskip("launch_ros", reason="launch_ros needs an apt ROS")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(repository / "launch" / f"{name}.launch.py"), *given],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("perception", "params_fil:=x", "did you mean params_file?"),
        ("perception", "params_file:=/no/such.yaml", "params_file:=/no/such.yaml is no file"),
        ("perception", "device:=banana", "parameter 'device' is 'banana': use auto, cpu, cuda or cuda:N"),
        ("perception", "log_level:=loud", "ROS refuses the arguments"),
        ("bridges", "rtabmap:=false", "no bridge is chosen"),
    ],
)
def test_the_real_launch_ends_with_status_1_and_the_cause(repository, name, given, words):
    status, printed = run_launch(repository, name, given)
    assert status == 1
    assert words in printed
    assert "Traceback" not in printed
