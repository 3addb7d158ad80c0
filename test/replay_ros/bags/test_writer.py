"""Written bags: their messages, files and metadata, and what happens on errors."""

import errno
import shutil
import sqlite3
import struct

import numpy as np
import pytest
import yaml

from perception_common.errors import InputError
from replay_ros.bags.messages import header, image_message, load_types, new, range_message
from replay_ros.bags.reader import Topic, open_bag
from replay_ros.bags.storage.piece import Definition
from replay_ros.bags.writer import BagWriter

TYPES = load_types()
SUFFIXES = {"mcap": ".mcap", "sqlite3": ".db3"}
STAMP = 1_311_868_169_163_498_001


def text(value):
    return new(TYPES, "std_msgs/msg/String", data=value)


def detections(stamp_ns):
    """Make one of our own messages with every kind of field in it."""
    detection = new(
        TYPES,
        "yolc_ros/msg/Detection",
        class_id=3,
        class_name="car",
        score=0.75,
        center_x=10.5,
        center_y=20.25,
        size_x=4.0,
        size_y=8.0,
        region=-1,
    )
    region = new(TYPES, "yolc_ros/msg/ClusterRegion", x0=1, y0=2, x1=30, y1=40, expected=5.0, scale=1.5)
    return new(
        TYPES,
        "yolc_ros/msg/DetectionArray",
        header=header(TYPES, stamp_ns, "camera_optical"),
        image_width=640,
        image_height=480,
        detections=[detection, detection],
        regions=[region],
        model="yolc_lite",
        trained=False,
        inference_seconds=0.125,
    )


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_written_messages_are_read_back_with_their_stamps_to_the_nanosecond(tmp_path, storage):
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    with BagWriter(tmp_path / "bag", storage) as bag:
        bag.write("camera/image", image_message(bag.types, image, "bgr8", STAMP, "camera"), STAMP)
        bag.write("/detections", detections(STAMP), STAMP + 1)
        bag.write("camera/image", image_message(bag.types, image, "bgr8", STAMP + 2, "camera"), STAMP + 2)
    with open_bag(tmp_path / "bag") as bag:
        messages = list(bag.messages())
        assert [(item.topic, item.stamp_ns) for item in messages] == [
            ("/camera/image", STAMP),
            ("/detections", STAMP + 1),
            ("/camera/image", STAMP + 2),
        ]
        np.testing.assert_array_equal(messages[0].message.data.reshape(48, 64, 3), image)
        array = messages[1].message
    assert (array.model, array.trained, array.inference_seconds) == ("yolc_lite", False, 0.125)
    assert (array.header.stamp.sec, array.header.stamp.nanosec) == divmod(STAMP, 10**9)
    assert [(each.class_name, each.center_y, each.region) for each in array.detections] == [("car", 20.25, -1)] * 2
    assert array.regions[0].x1 == 30


def test_plain_sqlite_reads_the_same_messages(tmp_path):
    """Oracle: the tables that rosbag2 reads, and the CDR of a string laid out by hand."""
    with BagWriter(tmp_path / "bag", "sqlite3") as bag:
        bag.write("words", text("hello"), STAMP)
    database = sqlite3.connect(tmp_path / "bag" / "bag.db3")
    name, kind, form, qos = database.execute(
        "SELECT name, type, serialization_format, offered_qos_profiles FROM topics"
    ).fetchone()
    assert (name, kind, form) == ("/words", "std_msgs/msg/String", "cdr")
    assert "reliable" in qos
    stamp, data = database.execute("SELECT timestamp, data FROM messages").fetchone()
    assert stamp == STAMP
    assert data[:14] == b"\0\1\0\0" + struct.pack("<I", 6) + b"hello\0"


def test_definitions_of_our_messages_are_stored_in_the_bag(tmp_path):
    with BagWriter(tmp_path / "bag", "sqlite3") as bag:
        bag.write("detections", detections(STAMP), STAMP)
    (definition,) = (
        sqlite3.connect(tmp_path / "bag" / "bag.db3")
        .execute("SELECT encoded_message_definition FROM message_definitions")
        .fetchone()
    )
    assert "MSG: yolc_ros/ClusterRegion" in definition
    assert "float32 inference_seconds" in definition


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_metadata_names_the_files_after_the_bag(tmp_path, storage):
    with BagWriter(tmp_path / "runs" / "flight.1", storage) as bag:
        bag.write("words", text("a"), 10)
        bag.write("words", text("b"), 30)
    folder = tmp_path / "runs" / "flight.1"
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    (file,) = metadata["relative_file_paths"]
    assert file == f"flight.1.{'mcap' if storage == 'mcap' else 'db3'}"
    assert (folder / file).is_file()
    assert (metadata["message_count"], metadata["duration"]["nanoseconds"]) == (2, 20)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["flight.1"]  # no temporary folder is left


def test_an_error_leaves_nothing_behind(tmp_path):
    def fail():
        with BagWriter(tmp_path / "bag") as bag:
            bag.write("words", text("hello"), STAMP)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def write_one(path, value="hello", **options):
    with BagWriter(path, **options) as bag:
        bag.write("words", text(value), STAMP)


def words_in(path):
    with open_bag(path) as bag:
        return [item.message.data for item in bag.messages()]


def test_a_bag_is_replaced_only_with_force(tmp_path):
    write_one(tmp_path / "bag", "old")
    with pytest.raises(InputError, match="bag exists; choose another name or replace it with --force"):
        write_one(tmp_path / "bag", "new")
    assert words_in(tmp_path / "bag") == ["old"]
    write_one(tmp_path / "bag", "new", storage="sqlite3", force=True)
    assert words_in(tmp_path / "bag") == ["new"]
    assert not (tmp_path / "bag" / "bag.mcap").exists()


def test_an_error_while_replacing_keeps_the_old_bag(tmp_path):
    write_one(tmp_path / "bag", "old")

    def fail():
        with BagWriter(tmp_path / "bag", force=True) as bag:
            bag.write("words", text("new"), STAMP)
            raise InputError("no more")

    with pytest.raises(InputError, match="no more"):
        fail()
    assert words_in(tmp_path / "bag") == ["old"]


def test_a_folder_with_other_files_is_never_replaced(tmp_path):
    write_one(tmp_path / "bag")
    (tmp_path / "bag" / "notes.txt").write_text("precious")
    with pytest.raises(InputError, match="exists and is not only a bag"):
        write_one(tmp_path / "bag", force=True)
    assert (tmp_path / "bag" / "notes.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "storage", "sentence"),
    [
        ("bag.mcap", "mcap", "a bag is a folder"),
        ("bag?mode=ro", "sqlite3", "has one of the characters"),
        ("bag", "zip", "unknown storage 'zip'; choose one of mcap, sqlite3"),
    ],
)
def test_invalid_paths_and_storages_are_refused(tmp_path, name, storage, sentence):
    with pytest.raises(InputError, match=sentence):
        BagWriter(tmp_path / name, storage)


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file cannot be written \(Not a directory\); choose another path"):
        write_one(tmp_path / "file" / "bag")


def test_topics_have_one_known_type(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write("words", text("hello"), STAMP)
        with pytest.raises(InputError, match=r"/words already holds std_msgs/msg/String"):
            bag.declare("/words", "std_msgs/msg/Float64")
        with pytest.raises(InputError, match=r"the message type acme_msgs/msg/Thing is unknown"):
            bag.declare("/things", "acme_msgs/msg/Thing")


def test_latched_topics_are_offered_as_latched(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.declare("/tf_static", "tf2_msgs/msg/TFMessage")
        bag.write("words", text("hello"), STAMP)
    with open_bag(tmp_path / "bag") as bag:
        assert bag.topic("tf_static").qos[0].durability.name == "TRANSIENT_LOCAL"
        assert bag.topic("words").qos[0].durability.name == "VOLATILE"


def test_a_bag_with_foreign_types_is_copied_byte_for_byte(tmp_path):
    (tmp_path / "msg").mkdir()
    (tmp_path / "msg" / "Strange.msg").write_text("uint8[] payload\nstring name\n")
    strange = load_types(tmp_path / "msg")
    message = new(strange, "yolc_ros/msg/Strange", payload=np.arange(5, dtype=np.uint8), name="x")
    with BagWriter(tmp_path / "first", types=strange) as bag:
        bag.write("strange", message, STAMP)
    with open_bag(tmp_path / "first") as source, BagWriter(tmp_path / "second", "sqlite3") as copy:
        for topic in source.topics.values():
            copy.declare_copy(topic)
        for raw in source.raw_messages():
            copy.write_raw(raw.topic, raw.data, raw.stamp_ns)
    with open_bag(tmp_path / "first") as first, open_bag(tmp_path / "second") as second:
        assert list(first.raw_messages()) == list(second.raw_messages())
        assert first.topics.keys() == second.topics.keys()
        assert first.topic("strange").definition.text == second.topic("strange").definition.text
        assert next(second.messages()).message.name == "x"


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_what_a_recording_has_flushed_is_readable_before_it_is_closed(tmp_path, storage):
    with BagWriter(tmp_path / "bag", storage, flush_seconds=0.0) as writer:
        for number in range(3):
            writer.write("/altitude", range_message(writer.types, 50.0, number + 1, "altimeter"), number + 1)
        (file,) = tmp_path.glob(f".bag.*/bag/*{SUFFIXES[storage]}")
        copy = tmp_path / f"copy{file.suffix}"
        shutil.copyfile(file, copy)  # as a killed process leaves it
    with open_bag(copy) as bag:
        assert bag.topic("/altitude").count == 3


def test_recordings_on_a_full_disk_are_kept_beside_each_other(tmp_path, monkeypatch):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def record():
        monkeypatch.undo()
        with BagWriter(tmp_path / "bag", flush_seconds=0.0) as writer:
            writer.write("/altitude", range_message(writer.types, 50.0, 1, "altimeter"), 1)
            monkeypatch.setattr("rosbags.rosbag2.storage_mcap.McapWriter.close_chunk", no_space)
            writer.write("/altitude", range_message(writer.types, 50.0, 2, "altimeter"), 2)

    for name in ("bag.cut", "bag.cut_2"):
        with pytest.raises(InputError, match=rf"No space left.*are in .*{name}$"):
            record()
        with open_bag(tmp_path / name) as bag:
            assert bag.topic("/altitude").count >= 1
    assert not (tmp_path / "bag").exists()


@pytest.mark.parametrize(
    ("form", "text"), [("ros2msg", "float99 yaw"), ("ros2msg", ""), ("ros2idl", "module broken {")]
)
def test_messages_of_types_that_cannot_be_decoded_are_copied(tmp_path, form, text):
    topic = Topic("/gimbal", "acme_msgs/msg/Gimbal", 1, (), Definition(form, text))
    for storage in ("mcap", "sqlite3"):
        with BagWriter(tmp_path / storage, storage) as bag:
            bag.declare_copy(topic)
            bag.write_raw("/gimbal", b"\0\1\0\0data", STAMP)
        with open_bag(tmp_path / storage) as bag:
            (raw,) = bag.raw_messages()
            assert (raw.topic, raw.type, raw.stamp_ns, raw.data) == (topic.name, topic.type, STAMP, b"\0\1\0\0data")
            assert bag.topic("gimbal").definition.text.endswith(text)
            with pytest.raises(InputError, match="is a acme_msgs/msg/Gimbal, which cannot be decoded"):
                list(bag.messages(["gimbal"]))
            assert list(bag.messages()) == []
