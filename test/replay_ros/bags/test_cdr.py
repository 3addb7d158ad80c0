"""Decoding CDR: both dialects of empty sequences, both byte orders, and bytes that fit no type."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from replay_ros.bags.cdr import CdrError, Decoder
from replay_ros.bags.messages import load_types, new

TYPES = load_types()
SIZES = {"uint8": (1, "B"), "uint16": (2, "H"), "uint32": (4, "I"), "int64": (8, "q")}
SIZES |= {"float32": (4, "f"), "float64": (8, "d")}


def store_of(fields):
    """Return types with one message "a/msg/A" of these (type, is sequence) fields and nested "a/msg/B" sequences."""
    lines = [f"{kind}{'[]' if is_sequence else ''} f{number}" for number, (kind, is_sequence) in enumerate(fields)]
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg("\n".join([*lines, "uint32 mark"]), "a/msg/A"))
    return store


def encode(fields, values, *, padded, fill=b"\0", order="<"):
    """Write a message by the rules of CDR, independently of the package; padded: align empty sequences, too."""
    body = b""

    def align(size):
        nonlocal body
        body += fill * (-len(body) % size)

    for (kind, is_sequence), value in [*zip(fields, values, strict=True), (("uint32", False), 0xABCD)]:
        size, code = SIZES[kind]
        numbers = value if is_sequence else [value]
        if is_sequence:
            align(4)
            body += struct.pack(f"{order}I", len(numbers))
        if numbers or padded:
            align(size)
        body += struct.pack(f"{order}{len(numbers)}{code}", *numbers)
    return bytes([0, int(order == "<"), 0, 0]) + body


FIELD = st.tuples(st.sampled_from(sorted(SIZES)), st.booleans())
FIELDS = st.lists(FIELD, min_size=1, max_size=6)
LONG_FIELDS = st.lists(st.sampled_from(["float64", "int64"]), min_size=1, max_size=3)


def values_of(draw, fields, min_size=0):
    scalar = st.integers(1, 100)
    return [draw(st.lists(scalar, min_size=min_size, max_size=3)) if many else draw(scalar) for _, many in fields]


def assert_values(message, fields, values):
    for number, ((_, is_sequence), value) in enumerate(zip(fields, values, strict=True)):
        found = getattr(message, f"f{number}")
        assert (list(found) if is_sequence else found) == value
    assert message.mark == 0xABCD


@settings(max_examples=200, deadline=None)
@given(data=st.data(), fields=FIELDS, order=st.sampled_from("<>"))
def test_messages_without_padding_of_empty_sequences_are_read(data, fields, order):
    values = values_of(data.draw, fields)
    written = encode(fields, values, padded=False, order=order)
    assert_values(Decoder(store_of(fields)).decode(written, "a/msg/A"), fields, values)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), before=st.lists(FIELD, max_size=3), long=LONG_FIELDS, order=st.sampled_from("<>"))
def test_messages_with_padding_of_empty_sequences_are_read(data, before, long, order):
    """The padded sequences are followed by a length that is not 0, since a number may equal the padding."""
    fields, values = before, values_of(data.draw, before, min_size=1)
    for kind in long:
        fields = [*fields, (kind, True), ("uint8", True)]
        values = [*values, data.draw(st.sampled_from([[], [5], [6, 7]])), data.draw(st.sampled_from([[1], [2] * 5]))]
    written = encode(fields, values, padded=True, order=order)
    assert_values(Decoder(store_of(fields)).decode(written, "a/msg/A"), fields, values)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), fields=FIELDS)
def test_unused_bytes_that_fast_dds_reserves_for_empty_sequences_are_ignored(data, fields):
    values = values_of(data.draw, fields)
    written = encode(fields, values, padded=False)
    reserved = max(len(encode(fields, values, padded=True)) - len(written), 0)
    message = Decoder(store_of(fields)).decode(written + b"\x6f" * reserved, "a/msg/A")
    assert_values(message, fields, values)


@pytest.mark.parametrize("frame", ["", "c", "cam", "camera", "camera_link", "camera_optical_frame"])
@pytest.mark.parametrize("model", ["", "plumb_bob", "equidistant"])
def test_messages_that_ros_serialises_are_read(frame, model):
    pytest.importorskip("rclpy")
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import JointState

    from yolc_ros.msg import Keyframe

    keyframe = Keyframe(id=7, distortion_model=model)
    joints = JointState(effort=[2.5])
    keyframe.header.frame_id = joints.header.frame_id = frame
    decoder = Decoder(TYPES)
    found = decoder.decode(serialize_message(keyframe), "yolc_ros/msg/Keyframe")
    assert (found.id, found.header.frame_id, found.distortion_model, len(found.d)) == (7, frame, model, 0)
    found = decoder.decode(serialize_message(joints), "sensor_msgs/msg/JointState")
    assert (list(found.position), list(found.velocity), list(found.effort)) == ([], [], [2.5])


def test_nested_messages_texts_and_truth_values_are_read():
    text = new(TYPES, "std_msgs/msg/String", data="größe")
    assert (
        Decoder(TYPES).decode(TYPES.serialize_cdr(text, "std_msgs/msg/String"), "std_msgs/msg/String").data == "größe"
    )
    data = bytearray(TYPES.serialize_cdr(new(TYPES, "std_msgs/msg/Bool", data=True), "std_msgs/msg/Bool"))
    data[4] = 2  # any byte but 0 is true
    assert Decoder(TYPES).decode(data, "std_msgs/msg/Bool").data is True
    points = [new(TYPES, "geometry_msgs/msg/Point32", x=float(n), y=0.0, z=0.0) for n in range(3)]
    polygon = new(TYPES, "geometry_msgs/msg/Polygon", points=points)
    written = TYPES.serialize_cdr(polygon, "geometry_msgs/msg/Polygon")
    assert [each.x for each in Decoder(TYPES).decode(written, "geometry_msgs/msg/Polygon").points] == [0, 1, 2]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "do not fit"),
        (b"\xff\xff\xff\xff", "do not fit"),  # a text of 4 GiB
        (b"\x00\x00\x00\x00", "do not fit"),  # a text without its end mark
        (b"\x02\x00\x00\x00ab", "do not fit"),
        (b"\x02\x00\x00\x00\xff\x00", "do not fit"),  # no UTF-8
        (b"\x02\x00\x00\x00a\x00more than that", "do not fit"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(body, reason):
    with pytest.raises(CdrError, match=reason):
        Decoder(TYPES).decode(b"\0\1\0\0" + body, "std_msgs/msg/String")


@pytest.mark.parametrize("representation", [0x02, 0x03, 0x06, 0x07, 0x0A, 0x0B])
def test_another_representation_than_plain_cdr_is_named(representation):
    text = TYPES.serialize_cdr(new(TYPES, "std_msgs/msg/String", data="abc"), "std_msgs/msg/String")
    with pytest.raises(CdrError, match=f"representation 0x{representation:04x} of DDS-XTypes"):
        Decoder(TYPES).decode(bytes([0, representation]) + bytes(text[2:]), "std_msgs/msg/String")


def test_claimed_lengths_take_no_memory():
    types = get_typestore(Stores.EMPTY)
    types.register(get_types_from_msg("float64[4000000000] a\nstring[2000000000] b", "a/msg/Large"))
    types.register(get_types_from_msg("uint8[] a\nstring[] b", "a/msg/Long"))
    for name in ("a/msg/Large", "a/msg/Long"):
        with pytest.raises(CdrError):
            Decoder(types).decode(b"\0\1\0\0" + struct.pack("<I", 2**32 - 1) * 8, name)


def test_types_that_cannot_be_decoded_are_refused():
    types = get_typestore(Stores.EMPTY)
    types.register(get_types_from_msg("a/B b", "a/msg/A") | get_types_from_msg("a/A[] a", "a/msg/B"))
    with pytest.raises(CdrError, match="contains itself"):
        Decoder(types).check("a/msg/A")
    types.register(get_types_from_msg("a/Missing b", "a/msg/C"))
    with pytest.raises(CdrError, match="no definition of a/msg/Missing"):
        Decoder(types).check("a/msg/C")


def test_arrays_have_the_byte_order_of_the_machine():
    message = Decoder(store_of([("uint16", True)])).decode(
        encode([("uint16", True)], [[1, 256]], padded=False, order=">"), "a/msg/A"
    )
    assert message.f0.tolist() == [1, 256]
    assert message.f0.dtype == np.dtype("=u2")
