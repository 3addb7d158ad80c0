"""ROS parameter files read as rcl reads them, without ROS: node names, namespaces, wildcards and types of values.

As in rcl_yaml_param_parser and rclpy of Jazzy: every mapping above `ros__parameters` is a part of the node's name;
mappings below it join the names of parameters with dots; every entry that matches the node's full name applies, and of
several values of a parameter the one of the later entry counts, where an entry that occurs again stays in its first
place. Unquoted yes, no, on, off, y and n are booleans.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from perception_common.errors import InputError
from perception_common.text.text_files import read_text
from perception_common.text.yaml_files import MAX_BYTES, check_depth

KEY = "ros__parameters"
_TRUE = {"Y", "y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}
_FALSE = {"N", "n", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}
_INTEGER = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)
_TINY = sys.float_info.min  # strtod refuses smaller numbers as out of range
_SPECIAL = re.compile(r"[+-]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True)
class Entry:
    """The parameters of one node name in a file, which may hold wildcards. values: bool, int, float, str or lists."""

    node: str
    values: dict[str, Any]

    @property
    def is_wild(self) -> bool:
        """Whether the entry is for every node of a namespace."""
        return self.node.rpartition("/")[2] in ("*", "**")

    def matches(self, full_name: str) -> bool:
        """Tell whether the entry is for the node of this full name, as "/uav1/yolc_node". Raises InputError."""
        # rclpy replaces "/*" by (/\w+), so that "/**" becomes (/\w+)*
        try:
            return re.fullmatch(self.node.replace("/*", r"(/\w+)"), full_name) is not None
        except re.error as error:  # rcl takes the name for a regular expression too
            raise InputError(f"{self.node!r} is no node name: {error}") from error


def read_entries(path: Path) -> tuple[Entry, ...]:
    """Return the entries of a file in their order. Raises InputError for a file that rcl refuses."""
    text = read_text(path, limit=MAX_BYTES)
    try:
        check_depth(text)
        documents = list(yaml.compose_all(_without_aliases(text), Loader=yaml.SafeLoader))
        entries: dict[str, dict[str, Any]] = {}
        for document in documents:
            if document is not None:
                for node, name, value in _parameters(document, ()):
                    entries.setdefault(node, {})[name] = value
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is not a ROS parameter file ({' '.join(str(error).split())})") from error
    except RecursionError as error:
        raise InputError(f"{path}: is not a ROS parameter file (it is nested too deeply)") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return tuple(Entry(node, values) for node, values in entries.items())


def _without_aliases(text: str) -> str:
    """Return the text. Raises YAMLError where it holds an alias, which rcl refuses and which may expand without end."""
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.AliasToken):
            raise yaml.YAMLError(f"line {token.start_mark.line + 1}: rcl does not support aliases (*{token.value})")
    return text


def _parameters(node: yaml.Node, names: tuple[str, ...]) -> Iterator[tuple[str, str, Any]]:
    """Yield (node name, parameter, value) of a mapping of node names."""
    where = "/".join(names) or "the file"
    if not isinstance(node, yaml.MappingNode):
        node_name = names[0] if names else "NODE"
        raise InputError(f"{where} has no {KEY}; write `{node_name}: {{{KEY}: {{...}}}}`")
    for key, value in node.value:
        if key.value != KEY:
            yield from _parameters(value, (*names, _key(key)))
        elif not names:
            raise InputError(f"there is no node name above {KEY}; write `/**: {{{KEY}: {{...}}}}` for every node")
        elif not isinstance(value, yaml.MappingNode):
            raise InputError(f"{where}: {KEY} holds no parameters; remove it, or write `{KEY}: {{NAME: VALUE}}`")
        else:
            full = "/".join(names)
            for name, found in _values(value, ()):
                yield full if full.startswith("/") else f"/{full}", name, found


def _values(node: yaml.MappingNode, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for key, value in node.value:
        name = (*names, _key(key))
        if isinstance(value, yaml.MappingNode):
            yield from _values(value, name)
        else:
            yield ".".join(name), _value(value, ".".join(name))


def _value(node: yaml.Node, name: str) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return scalar(node, name)
    items = [scalar(item, name) for item in node.value]
    if len({type(item) for item in items}) > 1:
        raise InputError(f"{name}: the values of a list must have one type, as 1.0 and 2.0")
    return items


def scalar(node: yaml.Node, name: str) -> bool | int | float | str:
    """Return a value with the type that rcl gives it. Raises InputError for none."""
    if not isinstance(node, yaml.ScalarNode):
        raise InputError(f"{name}: a list must hold plain values")
    text: str = node.value
    if node.style in ("'", '"') or (node.tag == "tag:yaml.org,2002:str" and _has_tag(node)):
        return text
    if not text:
        raise InputError(f"{name} has no value; write one, or '' for empty text")
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        digits = text.lstrip("+-")
        base = 16 if digits[:2].lower() == "0x" else 8 if digits[0] == "0" else 10
        if len(digits) < 24 and -(2**63) <= int(text, base) < 2**63:
            return int(text, base)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    if _DECIMAL.fullmatch(text):
        number = float(text)
        mantissa = text.lower().split("e")[0]
        is_out_of_range = math.isinf(number) or (abs(number) < _TINY and re.search("[1-9]", mantissa))
        return text if is_out_of_range and "n" not in mantissa else number  # "inf" and "nan" are meant
    return text


def _has_tag(node: yaml.ScalarNode) -> bool:
    """Tell whether the text was written with the tag !!str: its mark then begins before the value."""
    return node.start_mark.buffer is not None and node.start_mark.buffer[node.start_mark.pointer] == "!"


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.value:
        raise InputError(f"line {node.start_mark.line + 1}: a name is expected")
    return str(node.value)
