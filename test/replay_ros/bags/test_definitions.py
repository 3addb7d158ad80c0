"""Message definitions from bags: used, replaced by our own, refused, and never run as code."""

from contextlib import suppress

import pytest

from replay_ros.bags.cdr import CdrError
from replay_ros.bags.definitions import decoder_for, full_type_name, is_type_name
from replay_ros.bags.messages import load_types, new
from replay_ros.bags.storage.piece import Definition

OURS = load_types()
STRING = OURS.serialize_cdr(new(OURS, "std_msgs/msg/String", data="hello"), "std_msgs/msg/String")


def test_a_definition_of_the_bag_is_used():
    decoder = decoder_for("acme_msgs/msg/Word", Definition("ros2msg", "string word\n"), OURS)
    assert decoder.decode(STRING, "acme_msgs/msg/Word").word == "hello"
    idl = "module acme_msgs { module msg { struct Word { string word; }; }; };"
    for text in (idl, f"{'=' * 80}\nIDL: acme_msgs/msg/Word\n{idl}"):
        decoder = decoder_for("acme_msgs/msg/Word", Definition("ros2idl", text), OURS)
        assert decoder.decode(STRING, "acme_msgs/msg/Word").word == "hello"


@pytest.mark.parametrize("text", ["", "float99 yaw", "\0\0\0", "string data " * 200_000])
def test_a_known_type_is_decoded_by_our_definition_where_that_of_the_bag_is_unusable(text):
    decoder = decoder_for("std_msgs/msg/String", Definition("ros2msg", text), OURS)
    assert decoder.decode(STRING, "std_msgs/msg/String").data == "hello"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "its definition is not in the bag"),
        ("float99 yaw", "no definition of acme_msgs/msg/float99"),
        ("uint8", "its definition cannot be read"),
        ("acme_msgs/Missing m", "no definition of acme_msgs/msg/Missing"),
        ("wstring w", "no definition of acme_msgs/msg/wstring"),
        ("acme_msgs/Word[] w", "contains itself"),
    ],
)
def test_an_unknown_type_without_a_usable_definition_is_refused(text, sentence):
    with pytest.raises(CdrError, match=sentence):
        decoder_for("acme_msgs/msg/Word", Definition("ros2msg", text), OURS)


@pytest.mark.parametrize("text", ["float64 data", "string text", "string[] data"])
def test_a_known_type_that_lacks_our_fields_is_refused(text):
    with pytest.raises(CdrError, match="has no field data as in std_msgs/msg/String of this package"):
        decoder_for("std_msgs/msg/String", Definition("ros2msg", text), OURS)


def test_a_known_type_may_have_more_fields():
    definition = Definition("ros2msg", "string data\nuint8[] more\n")
    written = bytes(STRING) + b"\0" * (-len(STRING) % 4) + b"\1\0\0\0\7"
    message = decoder_for("std_msgs/msg/String", definition, OURS).decode(written, "std_msgs/msg/String")
    assert (message.data, message.more.tolist()) == ("hello", [7])


ATTACK = "__import__('pathlib').Path(r'{mark}').touch()"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a/msg/A:\n    {attack}\nclass B", "uint8 x"),
        ('a/msg/A"""\n    {attack}\n    """', "uint8 x"),
        ("a/msg/A': {attack}, 'b", "uint8 x"),
        ("a/msg/A", 'uint8 x\nstring C="""\'\n{attack}\n"""'),
        ("a/msg/A", "uint8 x\nuint8 X={attack}"),
        ("a/msg/A", "a/B(){attack} x"),
        ("a/msg/A", "a/B x\n" + "=" * 80 + "\nMSG: a/B:\n    {attack}\nuint8 y"),
    ],
)
def test_definitions_do_not_run_code(tmp_path, name, text):
    attack = ATTACK.format(mark=tmp_path / "mark")
    name, text = name.replace("{attack}", attack), text.replace("{attack}", attack)
    with suppress(CdrError):  # refused or read, but never run
        decoder_for(name, Definition("ros2msg", text), OURS)
    assert list(tmp_path.iterdir()) == []


def test_type_names():
    assert full_type_name("sensor_msgs/Image") == "sensor_msgs/msg/Image"
    assert full_type_name("a/srv/B_Event") == "a/srv/B_Event"
    assert is_type_name("sensor_msgs/msg/Image")
    assert not any(map(is_type_name, ("Event", "foxglove.Log", "a/msg/B c", "a/msg/B\n", "a/msg/é", "")))
