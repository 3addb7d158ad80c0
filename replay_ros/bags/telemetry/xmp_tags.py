"""XMP properties of a picture as texts by their names, such as "drone-dji:GimbalYawDegree".

XMP is XML from outside: its size is bounded, and document types, which XMP never has, are refused, so that no entity
can expand.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

from perception_common.errors import InputError

MAX_BYTES = 1 << 16  # of a packet: that of a JPEG segment
MOST_DEPTH = 32  # of nested elements; those of drones have 5


def read_xmp(packet: bytes) -> Mapping[str, str]:
    """Return the simple properties of an XMP packet, attributes and elements alike, by prefix and name.

    The prefix counts and not its address: makers keep the prefix and change the address. Of several properties of one
    name the first is taken. Raises InputError for a packet that is too large, or no XML.
    """
    if len(packet) > MAX_BYTES:
        raise InputError(f"its XMP has {len(packet)} bytes, more than {MAX_BYTES}")
    found: dict[str, str] = {}
    stack: list[list[str]] = []  # name and pieces of the text of each open element

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) == MOST_DEPTH:
            raise InputError(f"its XMP has elements nested more than {MOST_DEPTH} deep")
        stack.append([name])
        for key, value in attributes.items():
            if not key.startswith(("xmlns", "rdf:")):
                found.setdefault(key, value.strip())

    def end(name: str) -> None:
        _, *pieces = stack.pop()
        value = "".join(pieces).strip()
        if value and not name.startswith("rdf:"):
            found.setdefault(name, value)

    def refuse(*_: object) -> None:
        raise InputError("its XMP declares a document type, which XMP does not have")

    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda data: stack[-1].append(data)
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(packet.strip(b"\0 \t\r\n"), True)
    except expat.ExpatError as error:
        raise InputError(f"its XMP is damaged ({expat.errors.messages[error.code]})") from error
    return found
