"""Message definitions that a bag brings: which of them can be decoded, and by which types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from replay_ros.bags.cdr import CdrError, Decoder, referenced_types
from replay_ros.bags.storage.piece import Definition

MAX_CHARACTERS = 60_000  # of a definition; the largest of ROS 2 Jazzy, with all that it contains, has 30,000
MAX_TOTAL_CHARACTERS = 500_000  # of the definitions in a bag; parsing so many takes a minute
IDL_RULE = "=" * 80 + "\n"  # between the parts of an IDL definition
TYPE_NAME = re.compile(r"[A-Za-z]\w*/(msg|srv|action)/[A-Za-z]\w*", re.ASCII)
FIELD_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class Definitions:
    """Makes the decoders of the types in a bag.

    ours: the types that this package knows. They serve where the bag has no definition or one that cannot be read.
    """

    def __init__(self, ours: Typestore) -> None:
        self._ours = ours
        self._decoders: dict[tuple[str, str], Decoder | CdrError] = {}
        self._characters = 0

    def decoder(self, type_name: str, definition: Definition) -> Decoder:
        """Return the decoder of a type. Raises CdrError when it cannot be decoded; see `decoder_for`."""
        key = (type_name, definition.text)
        if key not in self._decoders:
            self._characters += len(_without_comments(definition.text))
            try:
                if self._characters > MAX_TOTAL_CHARACTERS:
                    raise CdrError(f"the definitions in the bag have more than {MAX_TOTAL_CHARACTERS} characters")
                self._decoders[key] = decoder_for(type_name, definition, self._ours)
            except CdrError as error:
                self._decoders[key] = error
        found = self._decoders[key]
        if isinstance(found, CdrError):
            raise found
        return found


def full_type_name(name: str) -> str:
    """Return the name of a type with its middle part: "sensor_msgs/Image" is "sensor_msgs/msg/Image"."""
    package, _, short = name.partition("/")
    return f"{package}/msg/{short}" if short and "/" not in short else name


def is_type_name(name: str) -> bool:
    """Tell whether a text is the full name of a ROS 2 type."""
    return TYPE_NAME.fullmatch(name) is not None


def decoder_for(type_name: str, definition: Definition, ours: Typestore) -> Decoder:
    """Return a decoder of a type as it is defined in a bag.

    ours: the types that this package knows. They serve where the bag has no definition or one that cannot be read.
    Raises CdrError when the type cannot be decoded, or when it lacks fields of the type that this package knows.
    """
    try:
        types = _parse(type_name, definition)
        for name in _closure(type_name, types, ours):
            _check_fields(name, types, ours)
    except _NoDefinitionError as error:
        if type_name not in ours.fielddefs:
            raise CdrError(str(error)) from error
        types = {}
    decoder = Decoder(_register(types, ours) if types else ours)
    decoder.check(type_name)
    return decoder


class _NoDefinitionError(Exception):
    """There is no definition, or it cannot be read."""


def _parse(type_name: str, definition: Definition) -> dict[str, Any]:
    """Return constants and fields by type."""
    text = _without_comments(definition.text)
    if not text:
        raise _NoDefinitionError("its definition is not in the bag")
    if len(text) > MAX_CHARACTERS:
        raise _NoDefinitionError(f"its definition has more than {MAX_CHARACTERS} characters")
    try:
        types = _parse_idl(text) if "idl" in definition.format else get_types_from_msg(text, type_name)
    except Exception as error:  # the parser raises anything
        raise _NoDefinitionError("its definition cannot be read") from error
    names = [field for constants, fields in types.values() for field, *_ in (*constants, *fields)]
    references = [name for _, fields in types.values() for name in referenced_types(fields)]
    # The names become part of Python code in `rosbags`.
    if not all(map(is_type_name, (*types, *references))) or not all(map(FIELD_NAME.fullmatch, names)):
        raise _NoDefinitionError("its definition has invalid names")
    if type_name not in types:
        raise _NoDefinitionError("its definition is of another type")
    return dict(types)


def _without_comments(text: str) -> str:
    """Return a definition without empty lines and lines of comments, which take the parser long."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("#", "//")))


def _parse_idl(text: str) -> Mapping[str, Any]:
    if not text.startswith(IDL_RULE):
        return get_types_from_idl(text)
    types: dict[str, Any] = {}
    for part in text.split(IDL_RULE)[1:]:
        types |= get_types_from_idl(part.partition("\n")[2])
    return types


def _closure(type_name: str, types: Mapping[str, Any], ours: Typestore) -> set[str]:
    """Return the type and all types that it contains."""
    found: set[str] = set()
    waiting = [type_name]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name not in types and name not in ours.fielddefs:
            raise _NoDefinitionError(f"there is no definition of {name}")
        waiting += referenced_types(types.get(name, ours.fielddefs.get(name))[1])
    return found


def _check_fields(name: str, types: Mapping[str, Any], ours: Typestore) -> None:
    """Raise CdrError when the definition in the bag lacks a field that this package may read."""
    if name not in types or name not in ours.fielddefs:
        return
    there = dict(types[name][1])
    for field, desc in ours.fielddefs[name][1]:
        if field == "structure_needs_at_least_one_member":
            continue
        if there.get(field) != desc:
            raise CdrError(f"its definition in the bag has no field {field} as in {name} of this package")


def _register(types: dict[str, Any], ours: Typestore) -> Typestore:
    """Return a store of these types and of the ones of ours that they contain."""
    if all(name in ours.fielddefs and fields == list(ours.fielddefs[name][1]) for name, (_, fields) in types.items()):
        return ours
    missing = {name: given for name, given in ours.fielddefs.items() if name not in types}
    store = get_typestore(Stores.EMPTY)
    store.register({**missing, **types})
    return store
