"""package.xml declares what is used, and the installed executables can be run."""

import ast
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

# A module of a ROS package by its name. Others (numpy, torch, ...) are pip's; see pyproject.toml.
ROS_PACKAGE = re.compile(r"\w+_(msgs|interfaces|bridge)|(rcl|launch|ament|tf2|rosidl)\w*|message_filters|rosbag2_py")
# Names of message modules and types in texts, as "rtabmap_msgs.srv" and "sensor_msgs/msg/Range".
IN_TEXT = re.compile(r"([a-z]\w+)(?:\.(?:msg|srv)\b|/(?:msg|srv)/)")
OURS = {"perception_common", "yolc_ros", "loftr_ros", "flight_sim", "replay_ros"}
WITHOUT_RELEASE = {"cslam_common_interfaces"}  # of Swarm-SLAM: neither apt nor rosdep have it


@pytest.fixture(scope="module")
def manifest(repository):
    return ET.parse(repository / "package.xml").getroot()


def used_packages(path):
    """The ROS packages whose modules a Python file imports or names."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= {name for name in IN_TEXT.findall(node.value) if ROS_PACKAGE.fullmatch(name)}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Node":
            names |= {each.value.value for each in node.keywords if each.arg == "package"}
    return {name for name in names if ROS_PACKAGE.fullmatch(name) or name == "rviz2"}


def test_every_ros_package_that_is_used_is_declared(repository, manifest):
    declared = {each.text for each in manifest if each.tag.endswith("depend")}
    files = [
        path for folder in (*OURS, "launch", "scripts", "examples") for path in (repository / folder).rglob("*.py")
    ]
    files.append(repository / "scripts" / "perception")
    used = {name for path in files if not {"msg", "srv"} & set(path.parts) for name in used_packages(path)}
    assert {"rclpy", "launch_ros", "ament_index_python", "tf2_msgs", "vision_msgs", "rviz2", "rtabmap_msgs"} <= used
    assert used - declared - WITHOUT_RELEASE == set()


def test_packages_that_are_used_where_they_are_installed_are_declared(manifest):
    declared = {each.text for each in manifest.iter("exec_depend")}
    assert {"cv_bridge", "message_filters", "launch"} <= declared


def test_what_most_users_do_not_need_is_optional(manifest):
    optional = {each.text for each in manifest.iter("exec_depend") if each.get("condition")}
    assert optional == {"python3-torch", "rtabmap_msgs", "rviz2"}


def test_the_versions_are_the_same(repository, manifest):
    assert f'version = "{manifest.findtext("version")}"' in (repository / "pyproject.toml").read_text()


def test_scripts_that_are_installed_as_programs_can_be_run(repository):
    """A symlink install runs the files of the source and build folders themselves, with their permissions."""
    cmake = (repository / "CMakeLists.txt").read_text()
    for name in re.findall(r"install\(PROGRAMS (scripts/\w+)", cmake):
        assert os.access(repository / name, os.X_OK), name


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("cmake"), reason="needs cmake")
def test_configured_executables_can_be_run(repository, tmp_path):
    """CMake itself makes the executables, from our CMakeLists.txt without its ROS parts."""
    cmake = (repository / "CMakeLists.txt").read_text()
    begin = cmake.index("set(executables")
    end = cmake.index("endforeach()", cmake.index("foreach(entry")) + len("endforeach()")
    (tmp_path / "scripts").mkdir()
    shutil.copy(repository / "scripts" / "executable.py.in", tmp_path / "scripts")
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.20)\nproject(yolc_ros NONE)\n{cmake[begin:end]}\n"
    )
    subprocess.run(["cmake", "-B", "build", "-S", "."], cwd=tmp_path, check=True, capture_output=True)
    made = list((tmp_path / "build" / "executables").iterdir())
    assert {"replay", "yolc_node"} <= {path.name for path in made}
    assert [path.name for path in made if not os.access(path, os.X_OK)] == []


def test_the_set_up_has_every_colcon_extension_that_it_uses(repository):
    build = (repository / "requirements" / "build.txt").read_text()
    assert "--packages-select" in (repository / "scripts" / "setup.sh").read_text()
    assert re.search(r"^colcon-package-selection==", build, re.MULTILINE)
