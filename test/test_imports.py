"""Who may import whom: the rules that keep each package usable and testable on its own."""

import ast
from pathlib import Path

import pytest

OURS = ("perception_common", "yolc_ros", "loftr_ros", "flight_sim", "replay_ros")
ROS = {
    *(
        "rclpy",
        "builtin_interfaces",
        "diagnostic_msgs",
        "geometry_msgs",
        "lifecycle_msgs",
        "nav_msgs",
        "rcl_interfaces",
    ),
    *("rosgraph_msgs", "sensor_msgs", "std_msgs", "visualization_msgs", "vision_msgs", "yolc_ros.msg", "yolc_ros.srv"),
    "cv_bridge",
}
ALLOWED = {
    "perception_common": {"perception_common"},
    "yolc_ros": {"perception_common", "yolc_ros"},
    "loftr_ros": {"perception_common", "loftr_ros"},
    "flight_sim": {"flight_sim"},
    "replay_ros": set(OURS),
}
# Simulated flights are a source of training data, and nothing but the training may know of them.
TRAINING = {"training", "datasets"}
WITH_ROS = {
    "perception_common/node.py",
    "perception_common/parameters.py",
    "perception_common/runtime.py",
    "perception_common/bridge.py",
    "yolc_ros/bridges/vision.py",
    "yolc_ros/messages.py",
    "yolc_ros/node.py",
    "loftr_ros/messages.py",
    "loftr_ros/node.py",
    "loftr_ros/transforms.py",
    "loftr_ros/bridges/rtabmap.py",
    "loftr_ros/bridges/swarm_slam.py",
}
OPTIONAL_ROS = {"perception_common/image.py": {"cv_bridge"}}
RUNTIME_ONLY = {"torchvision", "mmcv", "mmdet", "mmengine", "kornia"}


def modules(repository: Path) -> list[Path]:
    return [path for package in OURS for path in sorted((repository / package).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
    return found


def is_of(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.fixture(scope="module")
def imported(repository):
    result = {path.relative_to(repository): imports(path) for path in modules(repository)}
    assert len(result) > 30
    return result


def test_packages_import_only_what_stands_below_them(imported):
    for path, names in imported.items():
        allowed = ALLOWED[path.parts[0]] | {"yolc_ros.msg", "yolc_ros.srv"}  # of ROS, which merely share the name
        if TRAINING & set(path.parts):
            allowed = allowed | {"flight_sim"}
        wrong = {name for name in names if is_of(name, set(OURS)) and not is_of(name, allowed)}
        assert not wrong, f"{path} imports {wrong}"


def test_networks_know_torch_only(imported):
    for path, names in imported.items():
        if path.parts[1] == "network":
            assert not {name for name in names if is_of(name, {"cv2", "numpy", *ROS, "perception_common"})}, path
            assert not {name for name in names if is_of(name, set(OURS)) and ".network" not in name}, path


def test_only_the_nodes_and_the_replay_need_ros(imported):
    for path, names in imported.items():
        if path.parts[0] == "replay_ros" or str(path) in WITH_ROS:
            continue
        wrong = {name for name in names if is_of(name, ROS)} - OPTIONAL_ROS.get(str(path), set())
        assert not wrong, f"{path} imports {wrong}"


def test_the_cores_do_not_import_training(imported):
    for path, names in imported.items():
        if not TRAINING & set(path.parts) and path.parts[0] != "replay_ros":
            assert not {name for name in names if is_of(name, set(OURS)) and TRAINING & set(name.split("."))}, path


def test_no_heavy_frameworks(imported):
    for path, names in imported.items():
        if path.parts[:2] != ("replay_ros", "benchmarks"):  # which measure against a peer
            assert not {name for name in names if is_of(name, RUNTIME_ONLY)}, path
