"""Reads a node's parameters from a ROS parameter file without starting the node; both replays use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import yaml

from perception_common.config import from_mapping
from perception_common.errors import InputError
from perception_common.node.parameters import check_parameters, parameter_infos

T = TypeVar("T")
_DECLARED_BY_RCLPY = ("use_sim_time", "start_type_description_service")


def read_parameters(path: Path | None, node: str, kind: type[T], overrides: Mapping[str, Any] | None = None) -> T:
    """Read the parameters of `node` into the parameter dataclass `kind`.

    path: YAML with `NODE: {ros__parameters: {...}}`; NODE may hold wildcards, later entries win. None: the defaults.
    overrides: values that replace those of the file. Raises InputError for unknown names and for values that the node
    itself would refuse.
    """
    values: dict[str, Any] = {}
    for pattern, parameters in _read_entries(path) if path else ():
        if _matches(pattern, node):
            values |= parameters
    values = {k: v for k, v in values.items() if k not in _DECLARED_BY_RCLPY and not k.startswith("qos_overrides")}
    where = f"{path}, {node}" if path else node
    result = from_mapping(kind, values | dict(overrides or {}), where)
    try:
        check_parameters(parameter_infos(kind), vars(result))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return result


def _matches(pattern: str, node: str) -> bool:
    """Say whether a node name of the file, perhaps with wildcards, means the node; its namespace is ignored."""
    last = pattern.rpartition("/")[2]
    return last in ("**", "*") or fnmatchcase(node, last)


def _read_entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the node names of the file and their parameters, in order."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: is not a ROS parameter file ({' '.join(str(error).split())})") from error
    for name, entry in (content or {}).items() if isinstance(content or {}, dict) else ():
        parameters = entry.get("ros__parameters") if isinstance(entry, dict) else None
        if not isinstance(parameters, dict):
            raise InputError(f"{path}: {name} has no ros__parameters; write `{name}: {{ros__parameters: {{...}}}}`")
        yield str(name), parameters
