"""MCAP files: in any order, cut, damaged, claiming what they do not hold, and with messages that are not of ROS 2."""

import random
import tracemalloc

import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from perception_common.errors import InputError
from replay_ros.bags.messages import load_types
from replay_ros.bags.reader import open_bag
from replay_ros.bags.storage.compression import decompress, zstd
from replay_ros.bags.storage.piece import DamagedError

LONG = 400_000  # characters; three such messages fill a chunk of 1 MiB


def test_messages_outside_of_chunks_come_in_the_order_of_their_stamps(tmp_path, mcap, read_words, cdr):
    file = mcap().channel(1, "/words")
    for stamp in (30, 10, 20):
        file.message(1, stamp, cdr(str(stamp)))
    assert read_words(file.write(tmp_path / "a.mcap")) == (["10", "20", "30"], [])


def test_chunks_without_index_are_read(tmp_path, mcap, read_words, cdr):
    file = mcap().channel(1, "/words").chunk([(1, 5, cdr("b"))]).chunk([(1, 3, cdr("a")), (1, 9, cdr("c"))])
    assert read_words(file.write(tmp_path / "a.mcap")) == (["a", "b", "c"], [])


@pytest.mark.parametrize("keep", [0.35, 0.6, 0.95])
def test_a_cut_file_is_read_up_to_the_cut(tmp_path, write_words, read_words, keep):
    bag = write_words(tmp_path / "bag", [f"{number:03}" + "x" * LONG for number in range(12)])
    (bag / "metadata.yaml").unlink()
    data = (bag / "bag.mcap").read_bytes()
    (bag / "bag.mcap").write_bytes(data[: int(keep * len(data))])
    words, remarks = read_words(bag)
    assert [word[:3] for word in words] == [f"{number:03}" for number in range(len(words))]
    assert 12 * keep - 4 < len(words) <= 12 * keep
    assert len(remarks) == 1
    assert "bag.mcap: what is at byte" in remarks[0]


def test_a_file_whose_recorder_was_killed_says_so(tmp_path, mcap, read_words, cdr):
    path = tmp_path / "a.mcap"
    path.write_bytes(mcap().channel(1, "/words").message(1, 1, cdr("a")).data)
    words, (remark,) = read_words(path)
    assert words == ["a"]
    assert remark.startswith("a.mcap: it ends without an end mark: the recorder was stopped")


def test_a_damaged_chunk_loses_its_messages_and_no_others(tmp_path, write_words, read_words):
    bag = write_words(tmp_path / "bag", [f"{number:03}" + "x" * LONG for number in range(9)])
    data = bytearray((bag / "bag.mcap").read_bytes())
    place = data.index(b"004xxx") - 39  # the head of the message, inside of the second chunk
    data[place : place + 39] = b"\xff" * 39
    (bag / "bag.mcap").write_bytes(data)
    words, remarks = read_words(bag)
    assert {word[:3] for word in words} >= {"000", "001", "002", "006", "007", "008"}
    assert len(words) < 9
    assert any(f"{9 - len(words)} messages in the chunk" in remark for remark in remarks)


def test_chunks_behind_a_broken_record_are_found(tmp_path, write_words, read_words):
    bag = write_words(tmp_path / "bag", [f"{number:03}" + "x" * LONG for number in range(9)])
    data = bytearray((bag / "bag.mcap").read_bytes())
    second = data.index(b"\x06", data.index(b"002xxx") + LONG)  # a chunk follows the index of the first
    while data[second + 1 : second + 9] == bytes(8) or int.from_bytes(data[second + 1 : second + 9], "little") > 2**24:
        second = data.index(b"\x06", second + 1)
    data[second + 1 : second + 9] = b"\xff" * 8  # its length
    (bag / "bag.mcap").write_bytes(data)
    words, remarks = read_words(bag)
    assert [word[:3] for word in words][-3:] == ["006", "007", "008"]
    assert any("what is at byte" in remark for remark in remarks)


def test_a_wrong_checksum_loses_the_chunk(tmp_path, mcap, read_words, cdr):
    file = mcap().channel(1, "/words").chunk([(1, 1, cdr("a"))], crc=7).chunk([(1, 2, cdr("b"))])
    words, remarks = read_words(file.write(tmp_path / "a.mcap"))
    assert words == ["b"]
    assert "checksum is wrong" in remarks[0]


def test_claims_of_the_file_are_not_believed(tmp_path, mcap, read_words, cdr):
    file = mcap().channel(1, "/words").message(1, 1, cdr("a")).statistics(10**9)
    words, remarks = read_words(file.write(tmp_path / "a.mcap"))
    assert words == ["a"]
    assert remarks == ["a.mcap: its statistics count 1000000000 messages, and it holds 1"]


@pytest.mark.parametrize("size", [2**40, 2**63, 2**64 - 1])
def test_a_chunk_that_claims_much_takes_no_memory(tmp_path, mcap, read_words, size, cdr):
    file = mcap().channel(1, "/words").message(1, 1, cdr("a"))
    file.chunk([], size=size, compression="zstd", stored=zstd.compress(bytes(1000)))
    tracemalloc.start()
    words, remarks = read_words(file.write(tmp_path / "a.mcap"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert words == ["a"]
    assert f"{size} bytes, more than" in remarks[0]
    assert peak < 50 * 2**20


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_decompression_stops_at_its_limit(compression):
    import lz4.frame

    content = bytes(50 * 2**20)
    packed = zstd.compress(content) if compression == "zstd" else lz4.frame.compress(content)
    tracemalloc.start()
    with pytest.raises(DamagedError, match="more than 1000 bytes"):
        decompress(packed, compression, 1000)
    assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    tracemalloc.stop()
    assert decompress(packed, compression, len(content)) == content
    with pytest.raises(DamagedError, match=r"cut|broken"):
        decompress(packed[:-20], compression)


def test_messages_that_are_not_of_ros_2_are_left_out_and_named(tmp_path, mcap, read_words, cdr):
    file = mcap().channel(1, "/words").message(1, 1, cdr("a"))
    file.channel(2, "/events", kind="Event", form="jsonschema", definition="{}", encoding="json").message(2, 2, b"{}")
    file.channel(3, "/log", kind="foxglove.Log", form="protobuf", definition="", encoding="protobuf").message(
        3, 3, b"x"
    )
    file.channel(4, "/raw", kind="", encoding="json").message(4, 4, b"{}")
    file.channel(5, "/od d", kind="std_msgs/msg/String").message(5, 5, cdr("b"))
    file.channel(6, "/cdr", kind="Event", form="", definition="").message(6, 6, cdr("b"))
    path = file.write(tmp_path / "a.mcap")
    words, remarks = read_words(path)
    assert words == ["a"]
    assert remarks == [
        "1 messages on '/events' are left out: they are 'json' messages of Event, not ROS 2 messages (cdr)",
        "1 messages on '/log' are left out: they are 'protobuf' messages of foxglove.Log, not ROS 2 messages (cdr)",
        "1 messages on '/raw' are left out: they are 'json' messages, not ROS 2 messages (cdr)",
        "1 messages on '/od d' are left out: its name is not the name of a topic",
        "1 messages on '/cdr' are left out: 'Event' is not the name of a ROS 2 type",
    ]
    with open_bag(path) as bag:
        assert (list(bag.topics), bag.count, bag.start_ns, bag.end_ns) == (["/words"], 1, 1, 1)
        with pytest.raises(InputError, match=r"1 messages on '/events' are left out: they are 'json' messages"):
            bag.topic("events")


def test_the_part_of_a_topic_that_has_another_type_is_a_loss(tmp_path, mcap, cdr):
    file = mcap().channel(1, "/words").message(1, 1, cdr("a")).message(1, 2, cdr("b"))
    file.channel(2, "/words", kind="std_msgs/msg/Empty", definition="").message(2, 3, cdr(""))
    with open_bag(file.write(tmp_path / "a.mcap")) as bag:
        loss = (
            "1 messages on '/words' are left out: they are std_msgs/msg/Empty, and the topic is a std_msgs/msg/String"
        )
        assert bag.losses == (loss,)
        assert bag.remarks.count(loss) == 1


def test_a_file_of_ros_1_says_so(tmp_path, mcap):
    file = mcap("ros1").channel(1, "/a", kind="std_msgs/String", form="ros1msg", encoding="ros1").message(1, 1, b"x")
    with (
        pytest.raises(InputError, match=r"no messages of ROS 2 \(.*'ros1' messages of std_msgs/String.*convert it"),
        open_bag(file.write(tmp_path / "a.mcap")),
    ):
        pass


def test_messages_of_undescribed_channels_are_counted(tmp_path, mcap, read_words, cdr):
    file = mcap().channel(1, "/words").message(1, 1, cdr("a")).message(9, 2, cdr("b")).message(9, 3, cdr("c"))
    words, remarks = read_words(file.write(tmp_path / "a.mcap"))
    assert (words, remarks) == (["a"], ["a.mcap: 2 messages of channels that it does not describe are left out"])


def all_kinds_of_bags(folder, cdr):
    """Write the same twelve words in every storage and compression."""
    modes = [(plugin, mode) for plugin in StoragePlugin for mode in CompressionMode]
    for plugin, mode in modes:
        if (plugin, mode) == (StoragePlugin.SQLITE3, CompressionMode.STORAGE):
            continue  # does not exist
        path = folder / f"{plugin.name}_{mode.name}"
        writer = Writer(path, version=9, storage_plugin=plugin)
        writer.set_compression(mode, CompressionFormat.ZSTD)
        with writer:
            connection = writer.add_connection("/words", "std_msgs/msg/String", typestore=load_types())
            for number in range(12):
                writer.write(connection, number + 1, cdr(str(number)))
        yield path


def damage(data, source):
    """Flip, overwrite, remove or add some bytes."""
    place = source.randrange(len(data))
    kind = source.randrange(5)
    if kind == 0:
        data[place] ^= 1 << source.randrange(8)
    elif kind == 1:
        data[place : place + 8] = source.choice([b"\xff" * 8, bytes(8), (2**40).to_bytes(8, "little")])
    elif kind == 2:
        del data[place : place + source.randrange(1, 100)]
    elif kind == 3:
        data[place:place] = source.randbytes(source.randrange(1, 50))
    else:
        del data[place + 1 :]


def test_damaged_bytes_give_what_is_left_or_an_input_error_and_lose_nothing_silently(tmp_path, read_words, cdr):
    source = random.Random(0)
    for bag in all_kinds_of_bags(tmp_path, cdr):
        files = {file: file.read_bytes() for file in bag.iterdir()}
        for _ in range(25):
            file = source.choice(sorted(files))
            data = bytearray(files[file])
            damage(data, source)
            file.write_bytes(data)
            try:
                words, remarks = read_words(bag)
            except InputError:
                pass
            else:
                assert len(words) >= 12 or remarks
            file.write_bytes(files[file])
