"""The parameters of a node from a ROS parameter file, without a node: both replays read the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import yaml

from perception_common.config import from_mapping
from perception_common.errors import InputError

T = TypeVar("T")
_OF_EVERY_NODE = ("use_sim_time", "start_type_description_service")


def read_parameters(path: Path | None, node: str, kind: type[T], overrides: Mapping[str, Any] | None = None) -> T:
    """Read the parameters of `node` into the dataclass `kind`, as `perception_common.node.parameters` declares it.

    path: YAML with `NODE: {ros__parameters: {...}}`, where wildcards may stand for the name; later entries win. None:
    the defaults. overrides: what is given elsewhere. Raises InputError for unknown names and values out of range.
    """
    values: dict[str, Any] = {}
    for name, parameters in _entries(path) if path else ():
        if _names(name, node):
            values |= parameters
    values = {k: v for k, v in values.items() if k not in _OF_EVERY_NODE and not k.startswith("qos_overrides")}
    where = f"{path}, {node}" if path else node
    result = from_mapping(kind, values | dict(overrides or {}), where)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        info, value = field.metadata["parameter"], getattr(result, field.name)
        if info.choices and value not in info.choices:
            raise InputError(f"{where}: {field.name} is {value!r}; choose one of {', '.join(info.choices)}")
        if info.low is not None and info.high is not None and not info.low <= value <= info.high:
            raise InputError(f"{where}: {field.name} is {value!r}; it must lie in {info.low:g} to {info.high:g}")
    return result


def _names(pattern: str, node: str) -> bool:
    """Whether a node's name in a parameter file stands for the node; `/**` is any namespace, also none."""
    last = pattern.rpartition("/")[2]
    return last in ("**", "*") or fnmatchcase(node, last)


def _entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: is no ROS parameter file ({' '.join(str(error).split())})") from error
    for name, entry in (content or {}).items() if isinstance(content or {}, dict) else ():
        parameters = entry.get("ros__parameters") if isinstance(entry, dict) else None
        if not isinstance(parameters, dict):
            raise InputError(f"{path}: {name} has no ros__parameters; write `{name}: {{ros__parameters: {{...}}}}`")
        yield str(name), parameters
