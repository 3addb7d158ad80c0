"""What the set-up says on a machine that lacks something: one line each, naming what to install."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perception_common.resources import find_share

TOOLS = ("bash", "dirname", "cat", "sha256sum", "find", "touch", "grep", "tail", "head", "uname", "rm", "mkdir", "env")

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(tmp_path, repository):
    """run(**tools): runs the set-up in an empty checkout on a PATH that has the basic tools and those given."""
    checkout = tmp_path / "checkout"
    shutil.copytree(repository / "scripts", checkout / "scripts")
    shutil.copytree(repository / "requirements", checkout / "requirements")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for tool in TOOLS:
        (bin_folder / tool).symlink_to(shutil.which(tool))

    def script(name, text):
        (bin_folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (bin_folder / name).chmod(0o755)

    def run(**tools):
        for name, text in tools.items():
            script(name, text)
        environment = {"PATH": str(bin_folder), "HOME": str(tmp_path), "PYTHON": "python3"}
        return subprocess.run(
            ["bash", "scripts/setup.sh"], cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )

    run.checkout = checkout
    return run


def last_line(result):
    assert result.returncode != 0
    return result.stderr.strip().splitlines()[-1]


def test_no_python(machine):
    assert "apt install python3 python3-venv" in last_line(machine())


def test_a_python_that_is_too_new(machine):
    assert "is Python 3.19" in last_line(machine(python3="echo 3.19"))


def test_no_venv(machine):
    line = last_line(machine(python3='case "$*" in *ensurepip*) exit 1;; *) echo 3.12;; esac'))
    assert "apt install python3-venv" in line


FAKE_VENV = """
case "$*" in
  *version_info*) echo 3.12 ;;
  "-m venv"*)
    for folder; do :; done
    mkdir -p "$folder/bin"
    printf '#!/bin/sh\\n%s\\n' '{pip}' > "$folder/bin/python"
    {chmod} 755 "$folder/bin/python" ;;
esac
"""


def fake_python(pip):
    return FAKE_VENV.format(pip=pip, chmod=shutil.which("chmod"))


@pytest.mark.skipif(Path("/opt/ros").exists(), reason="an apt ROS is used here")
def test_no_network(machine):
    pip = 'case "$*" in *pip*) echo "ERROR: Could not find a version of numpy" >&2; exit 1;; esac'
    result = machine(python3=fake_python(pip))
    assert "is the network up?" in last_line(result)
    assert "ERROR: Could not find a version of numpy" in result.stderr


@pytest.mark.skipif(Path("/opt/ros").exists(), reason="an apt ROS is used here")
def test_no_compiler_and_no_headers(machine):
    for folder in ("msg", "config", "launch", "weights", "perception_common", "yolc_ros", "loftr_ros", "flight_sim"):
        (machine.checkout / folder).mkdir()
    assert "apt install build-essential" in last_line(machine(python3=fake_python("echo /nowhere")))
    assert "apt install python3-dev" in last_line(machine(**{"c++": "exit 0"}))


def test_setup_bash_before_the_build(repository, tmp_path):
    shutil.copy(repository / "setup.bash", tmp_path)
    result = subprocess.run(
        ["bash", "-c", "source setup.bash"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert "run 'make'" in last_line(result)


def test_relocating_the_ros_wheels(repository, tmp_path):
    import numpy

    sys.path.insert(0, str(repository / "scripts"))
    try:
        from relocate_ros_wheels import relocate
    finally:
        sys.path.pop(0)
    export = tmp_path / "share" / "std_msgs" / "cmake" / "export_std_msgsExport.cmake"
    export.parent.mkdir(parents=True)
    export.write_text(
        'INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp312-cp312/include/python3.12;'
        '/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/core/include;${_IMPORT_PREFIX}/include/std_msgs"'
    )
    assert relocate(tmp_path) == 1
    text = export.read_text()
    assert "/opt/python" not in text
    assert numpy.get_include() in text
    assert "${_IMPORT_PREFIX}/include/std_msgs" in text
    assert relocate(tmp_path) == 0


EXECUTABLES = find_share().parents[1] / "lib" / "yolc_ros"


@pytest.mark.skipif(not EXECUTABLES.is_dir(), reason="runs against the installed tree")
def test_setup_bash_puts_yolc_and_no_general_name_on_the_path(repository):
    names = [path.name for path in EXECUTABLES.iterdir()]
    found = subprocess.run(
        ["bash", "-c", "source setup.bash && for name; do type -P $name; done", "bash", *names],
        cwd=repository,
        env={"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert [Path(line).name for line in found.stdout.splitlines()] == ["yolc"]
