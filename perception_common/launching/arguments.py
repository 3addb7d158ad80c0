"""What the launch files do with their arguments: checks that refuse with the cause, and parameters for the nodes.

Neither launch nor ROS is imported. An empty argument was not given: what the parameter file says then holds.
"""

from __future__ import annotations

import difflib
import math
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from perception_common.errors import InputError
from perception_common.text.rcl_parameters import read_entries
from perception_common.text.ros_names import node_namespace

Convert = Callable[[str, str], Any]  # (argument, text) -> value
_OF_LAUNCH = ("launch-prefix", "launch-prefix-filter", "emulate_tty", "sigterm_timeout", "sigkill_timeout")


def to_bool(argument: str, text: str) -> bool:
    """Convert "true" or "false", in any case. Raises InputError."""
    if text.lower() not in ("true", "false"):
        raise InputError(f"{argument}:={text} is neither true nor false")
    return text.lower() == "true"


def to_number(argument: str, text: str) -> float:
    """Convert to a finite float. Raises InputError."""
    try:
        value = float(text)
    except ValueError as error:
        raise InputError(f"{argument}:={text} is no number") from error
    if not math.isfinite(value):
        raise InputError(f"{argument}:={text} is no finite number")
    return value


def to_text(argument: str, text: str) -> str:
    """Return the text."""
    return text


def to_choice(argument: str, text: str, choices: Sequence[str]) -> str:
    """Return the text. Raises InputError where it is none of the choices."""
    if text not in choices:
        raise InputError(f"{argument}:={text} is unknown: give {' or '.join(choices)}")
    return text


def to_namespace(argument: str, text: str) -> str:
    """Return a namespace without a slash at its end, relative unless it begins with one. Raises InputError."""
    try:
        namespace = node_namespace(text)
    except InputError as error:
        raise InputError(f"{argument}: {error}") from error
    return (namespace or "/") if text.strip().startswith("/") else namespace.removeprefix("/")


def to_weights(argument: str, text: str) -> str:
    """Return "default", "none" or the path of an existing file. Raises InputError."""
    return text if text in ("default", "none") else str(existing_file(argument, text))


def existing_file(argument: str, text: str) -> Path:
    """Return the path of a file, with ~ expanded. Raises InputError where there is none."""
    path = Path(text).expanduser()
    if not path.is_file():
        raise InputError(f"{argument}:={text} is no file; check the path")
    return path


def parameter_file(argument: str, text: str, nodes: Sequence[str]) -> Path:
    """Return the path of a parameter file for one of the nodes at least, given by their full names.

    Raises InputError for a missing file, one that rcl refuses, and one without parameters for any of the nodes, which
    would silently start with other parameters than were meant.
    """
    path = existing_file(argument, text)
    try:
        entries = read_entries(path)
    except InputError as error:
        raise InputError(f"{argument}:={text} cannot be read: {str(error).removeprefix(f'{path}: ')}") from error
    if not any(entry.matches(node) for node in nodes for entry in entries):
        example = nodes[0].rpartition("/")[2]
        raise InputError(f"{argument}:={text} has no parameters for {' or '.join(nodes)}: name them /**/{example}")
    return path


def check_names(words: Sequence[str], known: Collection[str], launch_file: Path) -> None:
    """Raise InputError for an argument on the command line that the launch file does not have.

    launch itself ignores it. words: NAME:=VALUE, those of the launch file that `ros2 launch` runs. They are checked if
    it is this one: those of a launch file that includes this one may have any names.
    """
    if launch_file.name not in (Path(word).name for word in sys.argv):
        return
    for name in (word.partition(":=")[0] for word in words):
        if name not in known and name not in _OF_LAUNCH:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise InputError(f"{launch_file.name} has no argument {name!r}: {hint}")


def full_name(namespaces: Sequence[str], name: str) -> str:
    """Return the full name of a topic or node in namespaces, the outermost first; an absolute one replaces those."""
    result = ""
    for part in (*namespaces, name):
        result = part.rstrip("/") if part.startswith("/") else f"{result}/{part}".rstrip("/")
    return result


def ros_arguments(executable: str, *, log_level: str, enclaves: str) -> list[str]:
    """Return the arguments after --ros-args for the log level and the SROS2 enclave of a process; empty: not given."""
    level = ["--log-level", log_level] if log_level else []
    return level + (["--enclave", f"{enclaves.rstrip('/')}/{executable}"] if enclaves else [])


def write_parameters(values: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write parameters by node into a temporary ROS parameter file.

    The entries are named /**/NODE. Given as the last file they replace those of other files; launch_ros would write
    /**, which an entry for NODE in an earlier file replaces.
    """
    content = {f"/**/{node}": {"ros__parameters": dict(parameters)} for node, parameters in values.items()}
    with tempfile.NamedTemporaryFile("w", prefix="launch_params_", suffix=".yaml", delete=False) as file:
        yaml.safe_dump(content, file)
    return Path(file.name)
