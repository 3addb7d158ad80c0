"""Typed configuration: a YAML file read into frozen dataclasses, strictly.

A dataclass is the schema. Its fields may be bool, int, float, str, pathlib.Path, Literal, Any, other dataclasses,
tuple[X, ...], tuple[X, Y], dict[str, X] and Mapping[str, X], `X | None` of these, a Literal of words `| float`, and
tagged unions: `A | B` of dataclasses that each have a field `kind` of type Literal, by which the key `kind` chooses
one. Unknown keys, missing keys without a default and values of the wrong type raise InputError with the file and the
key.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from perception_common.errors import InputError
from perception_common.text.yaml_files import read_yaml

T = TypeVar("T")


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str = "configuration") -> T:
    """Build the dataclass `cls` from plain values; `where` names their origin in errors.

    Integers are accepted for floats; a bool is not a number. Raises InputError, also for a ValueError that the
    dataclass's `__post_init__` raises.
    """
    return _to_dataclass(cls, mapping, where, ())


def load_yaml(cls: type[T], path: Path | str) -> T:
    """Read a YAML file into the dataclass `cls`.

    Raises InputError for a missing or broken file, and like `from_mapping`.
    """
    content = read_yaml(Path(path))
    return from_mapping(cls, {} if content is None else content, str(path))


def to_mapping(config: Any) -> dict[str, Any]:
    """Convert a configuration to plain values for YAML: tuples become lists, paths become strings."""
    return {field.name: _to_plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_mapping(value)
    if isinstance(value, tuple | list):
        return [_to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _to_dataclass(cls: type[T], value: Any, where: str, keys: tuple[str, ...]) -> T:
    if not isinstance(value, Mapping):
        raise _error(where, keys, f"must be a mapping of {cls.__name__}'s keys, not {_show(value)}")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for key in value:
        if key not in fields:
            raise _error(where, keys, f"unknown key {key!r}; {_suggestion(str(key), list(fields))}")
    missing = [name for name, field in fields.items() if name not in value and _is_required(field)]
    if missing:
        raise _error(where, keys, f"required key{'s' * (len(missing) > 1)} missing: {', '.join(missing)}")
    hints = get_type_hints(cls)
    values = {key: _convert(hints[key], item, where, (*keys, key)) for key, item in value.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise _error(where, keys, str(error)) from error


def _convert(annotation: Any, value: Any, where: str, keys: tuple[str, ...]) -> Any:
    """Check `value` against a type annotation and return it as that type."""
    origin = get_origin(annotation)
    if dataclasses.is_dataclass(annotation):
        return _to_dataclass(annotation, value, where, keys)  # type: ignore[arg-type]
    if origin is Literal:
        return _convert_choice(get_args(annotation), value, where, keys)
    if origin in (Union, types.UnionType):
        return _convert_union(annotation, value, where, keys)
    if origin is tuple:
        return _convert_tuple(get_args(annotation), value, where, keys)
    if origin in (dict, Mapping):
        return _convert_mapping(get_args(annotation)[1], value, where, keys)
    if annotation is Any:
        return value
    if annotation is float and type(value) in (int, float):
        return float(value)
    if annotation is Path and isinstance(value, str):
        return Path(value)
    if annotation in (bool, int, float, str, Path):
        if type(value) is annotation:
            return value
        hint = "; write 1.0e-3, YAML reads 1e-3 as text" if annotation is float and _looks_like_number(value) else ""
        raise _error(where, keys, f"must be {_NAMES[annotation]}, not {_show(value)}{hint}")
    raise TypeError(f"{'.'.join(keys)}: a configuration field cannot have the type {annotation}")


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}


def _convert_choice(choices: tuple[Any, ...], value: Any, where: str, keys: tuple[str, ...]) -> Any:
    if any(type(value) is type(choice) and value == choice for choice in choices):
        return value
    raise _error(where, keys, f"must be one of {', '.join(map(str, choices))}, not {_show(value)}")


_TAG = "kind"  # the key that chooses between the dataclasses of a union


def _convert_union(annotation: Any, value: Any, where: str, keys: tuple[str, ...]) -> Any:
    """Convert to `X | None`, or to the dataclass of a tagged union that the key `kind` names."""
    options = [option for option in get_args(annotation) if option is not type(None)]
    if value is None and len(options) < len(get_args(annotation)):
        return None
    if len(options) == 1:
        return _convert(options[0], value, where, keys)
    words = [option for option in options if get_origin(option) is Literal]
    if len(words) == 1 and len(options) == 2 and float in options:
        return _convert(words[0] if isinstance(value, str) else float, value, where, keys)
    by_kind = {kind: option for option in options for kind in _kinds(option)}
    if not all(_kinds(option) for option in options):
        raise TypeError(f"{'.'.join(keys)}: a configuration field cannot have the type {annotation}")
    if not isinstance(value, Mapping) or _TAG not in value:
        raise _error(where, keys, f"must be a mapping with the key {_TAG!r}, one of {', '.join(by_kind)}")
    kind = _convert_choice(tuple(by_kind), value[_TAG], where, (*keys, _TAG))
    return _to_dataclass(by_kind[kind], value, where, keys)


def _kinds(option: Any) -> tuple[str, ...]:
    """Values that the field `kind` of a dataclass can take; empty for other types."""
    return get_args(get_type_hints(option).get(_TAG)) if dataclasses.is_dataclass(option) else ()


def _convert_tuple(items: tuple[Any, ...], value: Any, where: str, keys: tuple[str, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _error(where, keys, f"must be a list, not {_show(value)}")
    if len(items) == 2 and items[1] is Ellipsis:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        raise _error(where, keys, f"must be a list of {len(items)} values, not of {len(value)}")
    return tuple(
        _convert(annotation, item, where, (*keys[:-1], f"{keys[-1]}[{index}]"))
        for index, (annotation, item) in enumerate(zip(items, value, strict=True))
    )


def _convert_mapping(annotation: Any, value: Any, where: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Convert to a dict whose keys are text."""
    if not isinstance(value, Mapping):
        raise _error(where, keys, f"must be a mapping, not {_show(value)}")
    for key in value:
        if not isinstance(key, str):
            raise _error(where, keys, f"has the key {_show(key)}, which is no text")
    return {key: _convert(annotation, item, where, (*keys, key)) for key, item in value.items()}


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _suggestion(key: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(known)}"


def _looks_like_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return isinstance(value, str)


def _show(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _error(where: str, keys: tuple[str, ...], problem: str) -> InputError:
    return InputError(f"{where}: {'.'.join(keys)}{': ' if keys else ''}{problem}")
