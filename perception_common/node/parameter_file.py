"""Reads a node's parameters from a ROS parameter file without starting the node; both replays use it."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from perception_common.config import from_mapping
from perception_common.errors import InputError
from perception_common.node.parameters import check_parameters, convert_parameter, parameter_infos, unknown_parameter
from perception_common.text.rcl_parameters import Entry, read_entries

T = TypeVar("T")
_DECLARED_BY_RCLPY = ("use_sim_time", "start_type_description_service")
_FILE_OPTION = "--params-file"


def read_parameters(
    path: Path | None, node: str, kind: type[T], overrides: Mapping[str, Any] | None = None, *, namespace: str = ""
) -> T:
    """Read the parameters of `node` in a namespace into the parameter dataclass `kind`, as the node itself would.

    path: a file as `rcl_parameters` reads it; None: the defaults. overrides: values that replace those of the file.
    Raises InputError for values that the node would refuse, for unknown names in an entry of this node, and for a file
    whose entries are for nodes of other names or namespaces. An unknown name in an entry for all nodes may belong to
    another one, so it is only logged.
    """
    full_name = "/" + "/".join(part for part in (*namespace.split("/"), node) if part)
    where = f"{path}, {full_name}" if path else full_name
    infos = parameter_infos(kind)
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value, is_wild in _values_of(path, full_name):
        if name in _DECLARED_BY_RCLPY or name.startswith("qos_overrides."):
            continue
        if name in infos:
            values[name] = value
        elif is_wild:
            logging.getLogger(__name__).warning("%s: %s", where, unknown_parameter(name, list(infos)))
        else:
            raise InputError(f"{where}: {unknown_parameter(name, list(infos)).replace(' is ignored', '')}")
    try:
        converted = {
            name: convert_parameter(name, value, defaults[name], infos[name]) for name, value in values.items()
        }
        result = from_mapping(kind, converted | dict(overrides or {}), where)
        check_parameters(infos, vars(result))
    except InputError as error:
        raise error if str(error).startswith(where) else InputError(f"{where}: {error}") from error
    return result


def misses(path: Path, full_name: str) -> str:
    """Return why a file has no parameters for the node of this full name, and what to do; empty when it has some.

    A file that names neither this node nor a similar one says nothing about it, so it is no miss.
    """
    entries = read_entries(path)
    if not entries or any(entry.matches(full_name) for entry in entries):
        return ""
    node = full_name.rpartition("/")[2]
    others = {entry.node.rpartition("/")[2]: entry.node for entry in entries}
    near = node if node in others else next(iter(difflib.get_close_matches(node, others, n=1, cutoff=0.8)), "")
    if not near or near in _OTHER_NODES - {node}:
        return ""
    advice = "start it in that namespace (replay: --namespace), or write" if near == node else "correct the name, as"
    return f"{path} has parameters of {others[near]} and none of {full_name}: {advice} `/**/{node}`"


def missed_files(arguments: Sequence[str], full_name: str) -> list[str]:
    """Return `misses` for each parameter file in the arguments of a ROS command line that rcl has accepted."""
    found = []
    for option, value in itertools.pairwise(arguments):
        if option == _FILE_OPTION:
            with contextlib.suppress(InputError):
                found.append(misses(Path(value), full_name))
    return [words for words in found if words]


_OTHER_NODES = frozenset({"yolc_node", "loftr_node"})  # their names are similar, and files hold both


def _values_of(path: Path | None, full_name: str) -> list[tuple[str, Any, bool]]:
    """Return (name, value, whether its entry is for all nodes) of every value that applies, later ones count."""
    if path is None:
        return []
    if words := misses(path, full_name):
        raise InputError(words)
    matching: list[Entry] = [entry for entry in read_entries(path) if entry.matches(full_name)]
    return [(name, value, entry.is_wild) for entry in matching for name, value in entry.values.items()]
