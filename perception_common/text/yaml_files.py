"""YAML from outside: plain values only, with bounds on the size, the nesting and what aliases expand to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from perception_common.errors import InputError
from perception_common.text.text_files import read_text

MAX_BYTES = 2**18  # of a YAML file: PyYAML reads some 100 kB a second, and parameters and calibrations have a few kB
MAX_NODES = 2**18  # of a document with every alias expanded; a file of MAX_BYTES without aliases stays below it
MAX_DEPTH = 100  # of open brackets: PyYAML takes a time that grows with the square of it


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file, as `parse_yaml`. Raises InputError that names the file."""
    text = read_text(path, limit=MAX_BYTES)
    try:
        return parse_yaml(text)
    except InputError as error:
        raise InputError(f"{path}: is {error}") from error


def parse_yaml(text: str) -> Any:
    """Return the content of the document in YAML text, None for an empty one; tags for other than plain values fail.

    So does the same key twice in one mapping, as one of both values would be lost. Raises InputError "not valid YAML
    (line: cause)", which does not name a file.
    """
    loader: Any = None
    check_depth(text)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_nodes(node)
        return _bounded(loader.construct_document(node))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise InputError(f"not valid YAML ({line}{problem})") from error
    except RecursionError as error:
        raise InputError("not valid YAML (it is nested too deeply)") from error
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        # PyYAML's constructors of tagged scalars, as "!!int x", raise these.
        raise InputError(f"not valid YAML (a value does not fit its tag: {error})") from error
    finally:
        if loader is not None:
            loader.dispose()


def check_depth(text: str) -> None:
    """Raise InputError where more than MAX_DEPTH brackets are open at once."""
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise InputError("not valid YAML (it is nested too deeply)")


def _check_nodes(root: yaml.Node) -> None:
    """Raise YAMLError when the document, with every alias expanded, has more than MAX_NODES nodes, or a key twice."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        key = id(node)
        if sizes.get(key) == 0:
            raise yaml.YAMLError("an alias refers to a part of itself")
        if key not in sizes:
            _check_keys(node)
            sizes[key] = 0  # while its children are counted
            sizes[key] = 1 + sum(size(child) for child in _children(node))
        return sizes[key]

    if size(root) > MAX_NODES:
        raise yaml.YAMLError(f"with its aliases expanded it has more than {MAX_NODES} values")


def _check_keys(node: yaml.Node) -> None:
    """Raise YAMLError for a key that stands twice in a mapping."""
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode):  # which cannot be a key of a dict
            continue
        name = (key.tag, key.value)
        if name in seen:
            problem = f"the key {key.value[:60]!r} stands twice; remove one of them"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        seen.add(name)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _bounded(value: Any) -> Any:
    """Return the value with integers beyond 64 bits as floats, which they are in ROS parameters too."""
    if isinstance(value, dict):
        return {key: _bounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bounded(item) for item in value]
    if isinstance(value, int) and abs(value) >= 2**63:
        return float("inf" if value > 0 else "-inf") if value.bit_length() > 1023 else float(value)
    return value
