"""What the set-up says on a machine that lacks something: one line each, naming what to install."""

import os
import re
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
    """run(variables, **tools): runs the set-up in an empty checkout on a PATH that has the basic tools and those given.

    variables: of the environment, beside PATH, HOME and PYTHON.
    """
    checkout = tmp_path / "a checkout"
    shutil.copytree(repository / "scripts", checkout / "scripts")
    shutil.copytree(repository / "requirements", checkout / "requirements")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for tool in TOOLS:
        (bin_folder / tool).symlink_to(shutil.which(tool))

    def script(name, text):
        (bin_folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (bin_folder / name).chmod(0o755)

    def run(variables=(), **tools):
        for name, text in tools.items():
            script(name, text)
        environment = {"PATH": str(bin_folder), "HOME": str(tmp_path), "PYTHON": "python3", **dict(variables)}
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


@pytest.fixture
def venv(machine):
    """The .venv of the checkout, as `python3 -m venv` makes it; its Python answers 3.12 and has no network."""
    folder = machine.checkout / ".venv"
    (folder / "lib" / "python3.12" / "site-packages" / "pip").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_text('#!/bin/sh\ncase "$*" in *pip*) exit 1 ;; esac\necho 3.12\n')
    (folder / "bin" / "python").chmod(0o755)
    (folder / "bin" / "activate").write_text(f"VIRTUAL_ENV='{folder}'\n")
    (folder / "mine").touch()
    return folder


NO_NETWORK = fake_python('case "$*" in *pip*) exit 1; esac')


@pytest.mark.skipif(Path("/opt/ros").exists(), reason="an apt ROS is used here")
def test_a_venv_that_can_be_used_stays(machine, venv):
    result = machine(python3=NO_NETWORK)
    assert "network" in last_line(result)
    assert "creating" not in result.stdout
    assert (venv / "mine").exists()


@pytest.mark.skipif(Path("/opt/ros").exists(), reason="an apt ROS is used here")
@pytest.mark.parametrize("fault", ["moved", "another Python now", "interrupted", "no Python"])
def test_a_venv_that_cannot_be_used_is_replaced_with_the_build(machine, venv, fault):
    (machine.checkout / "build").mkdir()
    if fault == "moved":
        original = machine.checkout.parent / "original"
        shutil.copytree(venv, original / ".venv")
        (venv / "bin" / "activate").write_text(f"VIRTUAL_ENV='{original}/.venv'\n")
    elif fault == "another Python now":
        (venv / "lib" / "python3.12").rename(venv / "lib" / "python3.10")
    elif fault == "interrupted":
        (venv / "lib" / "python3.12" / "site-packages" / "pip").rmdir()
    else:
        (venv / "bin" / "python").unlink()
    result = machine(python3=NO_NETWORK)
    assert ".venv cannot be used" in result.stdout
    assert "creating .venv with Python 3.12" in result.stdout
    assert not (venv / "mine").exists()
    assert not (machine.checkout / "build").exists()


@pytest.mark.skipif(Path("/opt/ros").exists(), reason="an apt ROS is used here")
def test_a_venv_of_another_python_than_asked_for_is_said(machine, venv):
    result = machine(python3="echo 3.13")
    assert "stays with Python 3.12: remove it to change to Python 3.13" in result.stdout
    assert (venv / "mine").exists()


@pytest.mark.skipif(Path("/opt/ros").exists(), reason="an apt ROS is used here")
def test_the_build_does_not_use_the_defaults_of_a_user_for_colcon(machine, tmp_path):
    for folder in ("msg", "config", "launch", "weights", "perception_common", "yolc_ros", "loftr_ros", "flight_sim"):
        (machine.checkout / folder).mkdir()
    for file in ("CMakeLists.txt", "package.xml", "srv", "replay_ros", "Python.h"):
        (machine.checkout / file).touch()
    python = 'case "$*" in *colcon*) mkdir install; env > install/environment ;; *) echo "$PWD" ;; esac'
    user = {"COLCON_DEFAULTS_FILE": "mine.yaml", "COLCON_HOME": str(tmp_path)}
    chmod = shutil.which("chmod")
    tools = {"c++": "exit 0", "cmake": "exit 0", "python3": FAKE_VENV.format(pip=python, chmod=chmod)}
    result = machine(variables=user, **tools)
    assert result.returncode == 0, result.stderr
    environment = dict(
        line.split("=", 1) for line in (machine.checkout / "install" / "environment").read_text().splitlines()
    )
    assert "COLCON_DEFAULTS_FILE" not in environment
    assert environment["COLCON_HOME"] == str(machine.checkout / "build")


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


@pytest.mark.skipif(not EXECUTABLES.is_dir(), reason="runs against the installed tree")
@pytest.mark.parametrize("cdpath", ["", "{folder}/elsewhere"])
def test_setup_bash_in_a_folder_with_blanks(repository, tmp_path, cdpath):
    """The installed tree itself, as if it had been built there; colcon writes the path of the venv's Python into it."""
    checkout, built = tmp_path / "a checkout", EXECUTABLES.parents[1]
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (checkout / ".venv" / "bin" / "activate").write_text(f'VIRTUAL_ENV="{checkout}/.venv"\n')
    (tmp_path / "elsewhere" / "a checkout").mkdir(parents=True)
    shutil.copy(repository / "setup.bash", checkout)
    (checkout / "install").mkdir()
    for path in built.iterdir():
        (checkout / "install" / path.name).symlink_to(path)
    (checkout / "install" / "local_setup.bash").unlink()
    (checkout / "install" / "local_setup.bash").write_text(
        re.sub(
            r'_colcon_python_executable="/.*"',
            f'_colcon_python_executable="{checkout}/.venv/bin/python"',
            (built / "local_setup.bash").read_text(),
        )
    )
    found = subprocess.run(
        ["bash", "-c", 'source "a checkout/setup.bash" && type -P yolc'],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "CDPATH": cdpath.format(folder=tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.stdout, found.stderr) == (f"{checkout}/install/bin/yolc\n", "")
