import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import namedtuple
from pathlib import Path

import pytest

from perception_common.node.transport import prepare_process, raise_malloc_thresholds, use_large_image_profile
from perception_common.resources import find_config

VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")
NAMESPACE = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"
MB = 1 << 20


@pytest.fixture
def environment(monkeypatch):
    """The environment without profiles; restored afterwards."""
    for variable in (*VARIABLES, "RMW_IMPLEMENTATION"):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    return os.environ


@pytest.fixture
def shared_memory(monkeypatch):
    """Make the system report this many free bytes of shared memory."""

    def pretend(free: int) -> None:
        usage = namedtuple("usage", "f_bavail f_frsize")(free // 4096, 4096)
        monkeypatch.setattr(os, "statvfs", lambda folder: usage)

    pretend(1024 * MB)
    return pretend


def test_the_profile_is_set(environment, shared_memory):
    assert use_large_image_profile() is None
    assert environment[VARIABLES[0]] == str(find_config("fastdds_large_images.xml"))


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_profile_set_by_the_user_is_kept(environment, shared_memory, tmp_path, variable):
    mine = str(tmp_path / "mine.xml")
    Path(mine).touch()
    environment[variable] = mine
    assert use_large_image_profile() is None
    assert {name: environment.get(name) for name in VARIABLES} == {**dict.fromkeys(VARIABLES), variable: mine}


@pytest.mark.parametrize("variable", VARIABLES[:2])
def test_a_profile_of_the_user_that_does_not_exist_is_noted(environment, shared_memory, variable):
    environment[variable] = "/no/such/profile.xml"
    note = use_large_image_profile() or ""
    assert f"{variable} names /no/such/profile.xml, which does not exist" in note
    assert environment[variable] == "/no/such/profile.xml"
    assert use_large_image_profile() == note  # in every process


def test_transports_chosen_by_their_name_are_no_file(environment, shared_memory):
    environment["FASTDDS_BUILTIN_TRANSPORTS"] = "LARGE_DATA"
    assert use_large_image_profile() is None


@pytest.mark.parametrize("name", ["DEFAULT_FASTRTPS_PROFILES.xml", "DEFAULT_FASTDDS_PROFILES.xml"])
def test_a_profile_in_the_working_directory_is_kept(environment, shared_memory, tmp_path, monkeypatch, name):
    (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert use_large_image_profile() is None
    assert VARIABLES[0] not in environment


def test_other_middlewares_are_left_alone(environment, shared_memory):
    environment["RMW_IMPLEMENTATION"] = "rmw_cyclonedds_cpp"
    shared_memory(64 * MB)
    assert prepare_process() == ()
    assert VARIABLES[0] not in environment


@pytest.mark.parametrize("variable", VARIABLES[:2])
def test_our_profile_is_not_kept_where_its_segment_does_not_fit(environment, shared_memory, variable):
    """A parent process, such as a live replay or a launch file, may have set it while there was more room."""
    environment[variable] = "/elsewhere/share/yolc_ros/config/fastdds_large_images.xml"
    shared_memory(64 * MB)
    assert "64 MB free" in (use_large_image_profile() or "")
    assert variable not in environment


def test_preparing_a_process_tells_about_removed_segments_and_small_memory(environment, shared_memory, tmp_path):
    lock = tmp_path / "fastrtps_119479c4dcef5792_el"
    for path in (tmp_path / "fastrtps_119479c4dcef5792", lock):
        path.touch()
    os.utime(lock, (0, 0))
    shared_memory(64 * MB)
    removed, small = prepare_process(tmp_path)
    assert "removed 1 shared-memory segments" in removed
    assert "64 MB free" in small


def test_too_little_shared_memory_is_noted(environment, shared_memory):
    shared_memory(64 * MB)  # the default of a container
    note = use_large_image_profile()
    assert note is not None
    assert "64 MB free" in note
    assert "--shm-size" in note
    assert VARIABLES[0] not in environment


def test_a_system_without_shared_memory_is_noted(environment):
    assert "0 MB free" in (use_large_image_profile(Path("no such folder")) or "")


def test_the_profile_has_room_for_frames_and_keeps_udp():
    root = ET.parse(find_config("fastdds_large_images.xml")).getroot()
    transports = {
        transport.findtext(f"{NAMESPACE}type"): transport for transport in root.iter(f"{NAMESPACE}transport_descriptor")
    }
    assert set(transports) == {"SHM", "UDPv4"}
    frame = 1920 * 1080 * 3
    assert int(transports["SHM"].findtext(f"{NAMESPACE}segment_size") or 0) >= 10 * frame
    (participant,) = root.iter(f"{NAMESPACE}participant")
    assert participant.get("is_default_profile") == "true"
    used = {element.text for element in participant.find(f"{NAMESPACE}rtps/{NAMESPACE}userTransports") or ()}
    assert used == {transport.findtext(f"{NAMESPACE}transport_id") for transport in transports.values()}


MEASURE_FAULTS = """
import resource, sys
from perception_common.node.transport import raise_malloc_thresholds
if sys.argv[1] == "raised":
    assert raise_malloc_thresholds()
def faults_of_one_image():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    image = bytearray(6_000_000); image[:] = bytes(6_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
held = bytearray(40_000_000)  # above any threshold that glibc adapts by itself
faults_of_one_image()
print(sum(faults_of_one_image() for _ in range(5)))
"""


@pytest.mark.slow
@pytest.mark.skipif(not raise_malloc_thresholds(), reason="needs glibc")
def test_memory_of_freed_images_is_reused(repository):
    def faults(argument: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE_FAULTS, argument],
            cwd=repository, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return int(done.stdout)

    assert faults("raised") < 0.1 * faults("default")
