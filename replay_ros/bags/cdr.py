"""Decode ROS 2 messages (CDR), of every writer and without running code that a bag brings.

Writers treat an empty sequence of 8-byte numbers in three ways. Current middlewares write its length and nothing more.
Older ones, and older recordings, align it as if numbers followed. Fast DDS reserves room for this alignment without
using it, so unused bytes follow the message. `Decoder` reads all three.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys.store import Typestore

ENCAPSULATION = 4  # bytes before the message: the byte order, and options
SLACK = 3  # bytes after the message that fill up to a multiple of 4
MAX_ELEMENTS = 2_000_000  # messages and texts in one message; an array of numbers is one value
CODES = dict(  # of the module struct, which are those of numpy
    **dict(zip(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"), "bhiqBHIQ", strict=True)),
    **dict(zip(("float32", "float64", "bool", "byte", "char"), "fd?bB", strict=True)),
)


class CdrError(Exception):
    """Bytes that are no message of a type, or a type that cannot be decoded."""


class Decoder:
    """Decodes the messages of a `Typestore`."""

    def __init__(self, types: Typestore) -> None:
        self._types = types
        self._plans: dict[str, _Read] = {}

    def check(self, type_name: str) -> None:
        """Raise CdrError when messages of a type cannot be decoded: the definition is incomplete or unsupported."""
        self._plan(type_name, ())

    def has_header(self, type_name: str) -> bool:
        """Tell whether a type begins with a std_msgs/Header."""
        fields = self._types.fielddefs[type_name][1]
        return bool(fields) and fields[0][1] == (Nodetype.NAME, "std_msgs/msg/Header")

    def type_hash(self, type_name: str) -> str:
        """Return the hash of a type as REP-2016 defines it, "RIHS01_..."."""
        return self._types.hash_rihs01(type_name)

    def decode(self, data: bytes | memoryview, type_name: str) -> Any:
        """Decode a message. Raises CdrError when the bytes do not fit the type."""
        _check_representation(data)
        plan = self._plan(type_name, ())
        plain = self._attempt(data, plan, padded=False)
        if plain is not None and not plain.has_empty:
            return plain.value
        padded = self._attempt(data, plan, padded=True)
        found = [each for each in (plain, padded) if each is not None]
        if not found:
            raise CdrError(f"its {len(data)} bytes do not fit the type")
        return min(found, key=lambda each: each.dirty).value  # `min` takes the first of equals

    def stamp(self, data: bytes | memoryview) -> int:
        """Return the stamp of a message that begins with a header, nanoseconds. Raises CdrError when it is short."""
        source = _Source(data)
        seconds, nanoseconds = _number("i")(source), _number("I")(source)
        return int(seconds * 10**9 + nanoseconds)

    def _attempt(self, data: bytes | memoryview, plan: _Read, *, padded: bool) -> _Attempt | None:
        """Decode with or without alignment of empty sequences; None when the bytes do not fit."""
        try:
            source = _Source(data, padded=padded)
            value = plan(source)
        except (CdrError, UnicodeDecodeError):
            return None
        unused = {source.end - source.position, source.end - source.padded_position}
        if not any(0 <= each <= SLACK for each in unused):
            return None
        return _Attempt(value, has_empty=source.has_empty, dirty=source.dirty)

    def _plan(self, type_name: str, above: tuple[str, ...]) -> _Read:
        """Return the function that reads a type. above: the types that contain it."""
        if type_name in self._plans:
            return self._plans[type_name]
        if type_name in above:
            raise CdrError(f"the definition of {type_name} contains itself")
        if type_name not in self._types.fielddefs:
            raise CdrError(f"there is no definition of {type_name}")
        inside = (*above, type_name)
        reads = [self._field(desc, inside) for _, desc in self._types.fielddefs[type_name][1]]
        make = self._types.types[type_name]

        def read(source: _Source) -> Any:
            source.count_element()
            return make(*[each(source) for each in reads])

        self._plans[type_name] = read
        return read

    def _field(self, desc: Any, above: tuple[str, ...]) -> _Read:
        kind, about = desc
        if kind in (Nodetype.BASE, Nodetype.NAME):
            return self._single(desc, above)
        inner, length = about
        fixed = length if kind == Nodetype.ARRAY else None
        if inner[0] == Nodetype.BASE and inner[1][0] != "string":
            return _numbers(_code(inner[1][0]), fixed)
        single = self._single(inner, above)

        def read_list(source: _Source) -> list[Any]:
            count = source.length() if fixed is None else fixed
            if count > source.end - source.position:  # each takes a byte or more
                raise CdrError(f"{count} elements are more than there are bytes")
            return [single(source) for _ in range(count)]

        return read_list

    def _single(self, desc: Any, above: tuple[str, ...]) -> _Read:
        kind, about = desc
        if kind == Nodetype.NAME:
            return self._plan(about, above)
        if about[0] == "string":
            return _text
        return _number(_code(about[0]))


def _check_representation(data: bytes | memoryview) -> None:
    """Raise CdrError for a message that names another representation of DDS-XTypes 1.3, table 60, than plain CDR."""
    representation = int.from_bytes(data[:2], "big")
    if len(data) >= ENCAPSULATION and 2 <= representation <= 0x0B:
        raise CdrError(
            f"it is in the representation 0x{representation:04x} of DDS-XTypes (XCDR2 or a parameter list) and not in "
            "plain CDR; set its writer to XCDR1"
        )


class _Source:
    """The bytes of a message and where reading stands.

    position: counts from the end of the encapsulation. padded_position: where it would stand with alignment of empty
    sequences. has_empty: such a sequence occurred where alignment matters. dirty: bytes of alignment that are not 0.
    """

    def __init__(self, data: bytes | memoryview, *, padded: bool = False) -> None:
        view = memoryview(data)
        if len(view) < ENCAPSULATION or view[0] != 0 or view[1] > 1:
            raise CdrError("it does not begin as CDR does")
        self.data = view[ENCAPSULATION:]
        self.end = len(self.data)
        self.order: Literal["<", ">"] = "<" if view[1] else ">"
        self.position = self.padded_position = 0
        self.has_empty = False
        self.dirty = 0
        self._padded = padded
        self._elements = 0

    def take(self, size: int, count: int = 1) -> int:
        """Go beyond `count` numbers of `size` bytes; returns where they begin."""
        begin = self._align(size)
        self.position += size * count
        if self.position > self.end:
            raise CdrError("it ends early")
        if self.has_empty:
            self.padded_position += -self.padded_position % size + size * count
        else:
            self.padded_position = self.position
        return begin

    def take_none(self, size: int) -> None:
        """Go beyond an empty sequence of numbers of `size` bytes."""
        if -self.padded_position % size or -self.position % size:
            self.has_empty = True
            self.padded_position += -self.padded_position % size
            if self._padded:
                self._align(size)

    def length(self) -> int:
        """Read the length of a sequence or a text."""
        begin = self.take(4)
        return int.from_bytes(self.data[begin : begin + 4], "little" if self.order == "<" else "big")

    def count_element(self) -> None:
        """Count a message or a text. Raises CdrError for more than MAX_ELEMENTS."""
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise CdrError(f"it has more than {MAX_ELEMENTS} elements")

    def _align(self, size: int) -> int:
        gap = -self.position % size
        if gap:
            self.dirty += sum(map(bool, self.data[self.position : self.position + gap]))
            self.position += gap
        return self.position


class _Attempt:
    """A message as one way of reading gives it."""

    def __init__(self, value: Any, *, has_empty: bool, dirty: int) -> None:
        self.value, self.has_empty, self.dirty = value, has_empty, dirty


_Read = Callable[[_Source], Any]


def referenced_types(fields: list[tuple[str, Any]]) -> Iterator[str]:
    """Iterate over the names of the message types in the fields of a definition."""
    for _, (kind, about) in fields:
        inner = (kind, about) if kind in (Nodetype.BASE, Nodetype.NAME) else about[0]
        if inner[0] == Nodetype.NAME:
            yield inner[1]


def _code(name: str) -> str:
    if name not in CODES:
        raise CdrError(f"fields of the type {name} are not supported")
    return CODES[name]


def _numbers(code: str, fixed: int | None) -> _Read:
    """Return a function that reads an array or a sequence of numbers: (N,) in the byte order of the machine."""
    dtype = np.dtype(code)
    size = dtype.itemsize

    def read(source: _Source) -> np.ndarray:
        count = source.length() if fixed is None else fixed
        if count == 0:
            source.take_none(size)
            return np.empty(0, dtype)
        begin = source.take(size, count)
        if code == "?":  # any byte but 0 is true, and numpy expects 1
            return np.frombuffer(source.data, np.uint8, count, begin) != 0
        values = np.frombuffer(source.data, dtype.newbyteorder(source.order), count, begin)
        return values if values.dtype.isnative else values.astype(dtype)

    return read


def _number(code: str) -> _Read:
    unpack = {order: struct.Struct(order + code).unpack_from for order in "<>"}
    size = struct.calcsize(f"<{code}")

    def read(source: _Source) -> Any:
        begin = source.take(size)
        return unpack[source.order](source.data, begin)[0]

    return read


def _text(source: _Source) -> str:
    source.count_element()
    size = source.length()
    begin = source.take(1, size)
    if size == 0 or source.data[begin + size - 1] != 0:
        raise CdrError("a text has no end mark")
    return bytes(source.data[begin : begin + size - 1]).decode()
