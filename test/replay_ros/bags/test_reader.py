"""Reading bags of all kinds, intact and damaged, and choosing their topics."""

import shutil

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from perception_common.errors import InputError
from replay_ros.bags.datasets.calibration import uncalibrated
from replay_ros.bags.messages import camera_info_message, image_message, load_types, new
from replay_ros.bags.reader import open_bag
from replay_ros.bags.topic_choice import find_camera_info_topic, find_image_topic, raw_image_topic
from replay_ros.bags.writer import BagWriter

TYPES = load_types()


def image(encoding="bgr8"):
    return image_message(TYPES, np.zeros((4, 6, 3), np.uint8), encoding, 1_000, "camera")


def info():
    return camera_info_message(TYPES, uncalibrated(6, 4), 1_000, "camera")


def depth():
    message = image("mono8")
    message.encoding, message.width, message.data, message.step = "16UC1", 3, message.data, 6
    return message


def text(value):
    return new(TYPES, "std_msgs/msg/String", data=value)


def write(path, messages, storage="mcap"):
    """Write messages by topic, or (topic, message) pairs, a microsecond apart."""
    pairs = messages.items() if isinstance(messages, dict) else messages
    with BagWriter(path, storage) as bag:
        for number, (topic, message) in enumerate(pairs):
            bag.write(topic, message, 1_000_000 + 1_000 * number)
    return path


def remarks(path):
    """Return what is told about a bag when all its messages are read."""
    told = []
    with open_bag(path, lambda _, remark: told.append(remark)) as bag:
        list(bag.raw_messages())
    return told


def words(path, topics=None):
    with open_bag(path) as bag:
        return [item.message.data for item in bag.messages(topics)]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_messages_come_in_the_order_of_their_receive_stamps(tmp_path, storage):
    with BagWriter(tmp_path / "bag", storage) as bag:
        for stamp in (30, 10, 20):
            bag.write("words", text(str(stamp)), stamp)
    assert words(tmp_path / "bag") == ["10", "20", "30"]


def test_topics_are_chosen_with_or_without_the_slash(tmp_path):
    bag = write(tmp_path / "bag", {"a": text("1"), "b": text("2"), "c": text("3")})
    assert words(bag, ["/a", "c"]) == ["1", "3"]
    assert words(bag, []) == []
    with pytest.raises(InputError, match=r"has no topic d; it has /a \(std_msgs/msg/String\), /b"):
        words(bag, ["d"])


def test_count_and_start_and_end_of_a_bag(tmp_path):
    with open_bag(write(tmp_path / "bag", {"a": text("1"), "b": text("2"), "c": text("3")})) as bag:
        assert (bag.count, bag.start_ns, bag.end_ns) == (3, 1_000_000, 1_002_000)
        assert bag.topic("a").count == 1
        assert bag.first_message("b").data == "2"


@pytest.mark.parametrize(("storage", "suffix"), [("mcap", "mcap"), ("sqlite3", "db3")])
def test_a_single_file_is_a_bag_too(tmp_path, storage, suffix):
    bag = write(tmp_path / "bag", {"a": text("1")}, storage)
    assert words(bag / f"bag.{suffix}") == ["1"]


@pytest.mark.parametrize(("storage", "suffix"), [("mcap", "mcap"), ("sqlite3", "db3")])
def test_a_split_bag_whose_metadata_is_lost_is_read_from_its_files(tmp_path, storage, suffix):
    folder = tmp_path / "split"
    folder.mkdir()
    for number, value in ((2, "second"), (10, "third"), (1, "first")):
        with BagWriter(tmp_path / f"part{number}", storage) as part:
            part.write("words", text(value), number)
        shutil.copy(tmp_path / f"part{number}" / f"part{number}.{suffix}", folder / f"bag_{number}.{suffix}")
    assert words(folder) == ["first", "second", "third"]
    with open_bag(folder) as bag:
        assert bag.topic("words").count == 3


@pytest.mark.parametrize(("storage", "suffix"), [("mcap", "mcap"), ("sqlite3", "db3")])
def test_a_split_bag_is_read_as_its_metadata_says(tmp_path, storage, suffix):
    with BagWriter(tmp_path / "split", storage) as bag:
        bag.write("words", text("first"), 1)
    with BagWriter(tmp_path / "rest", storage) as bag:
        bag.write("words", text("second"), 2)
        bag.write("words", text("third"), 3)
    shutil.copy(tmp_path / "rest" / f"rest.{suffix}", tmp_path / "split" / f"split_1.{suffix}")
    metadata = tmp_path / "split" / "metadata.yaml"
    content = yaml.safe_load(metadata.read_text())
    whole = content["rosbag2_bagfile_information"]
    whole["relative_file_paths"].append(f"split_1.{suffix}")
    whole["message_count"] = whole["topics_with_message_count"][0]["message_count"] = 3
    whole["duration"]["nanoseconds"] = 2
    del whole["files"]  # as in bags before ROS 2 Galactic
    metadata.write_text(yaml.safe_dump(content))
    assert words(tmp_path / "split") == ["first", "second", "third"]
    with open_bag(tmp_path / "split") as bag:
        assert (bag.topic("words").count, bag.start_ns, bag.end_ns) == (3, 1, 3)
    (tmp_path / "split" / f"split_1.{suffix}").unlink()
    assert words(tmp_path / "split") == ["first"]
    assert remarks(tmp_path / "split") == [
        f"split_1.{suffix} is missing, so its messages are left out: put it back into the folder"
    ]


def compressed(path, mode, storage, count=3):
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/words", "std_msgs/msg/String", typestore=TYPES)
        for number in range(count):
            writer.write(connection, 10 + number, TYPES.serialize_cdr(text(str(number)), "std_msgs/msg/String"))
    return path


@pytest.mark.parametrize(
    ("mode", "storage"),
    [
        (CompressionMode.FILE, StoragePlugin.MCAP),
        (CompressionMode.FILE, StoragePlugin.SQLITE3),
        (CompressionMode.MESSAGE, StoragePlugin.SQLITE3),
        (CompressionMode.STORAGE, StoragePlugin.MCAP),
    ],
)
def test_compressed_bags_are_read(tmp_path, mode, storage):
    assert words(compressed(tmp_path / "bag", mode, storage)) == ["0", "1", "2"]


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_compressed_file_is_read_without_its_metadata(tmp_path, storage):
    bag = compressed(tmp_path / "bag", CompressionMode.FILE, storage)
    (file,) = bag.glob("*.zstd")
    assert words(file) == ["0", "1", "2"]
    (bag / "metadata.yaml").unlink()
    assert words(bag) == ["0", "1", "2"]
    assert [path.name for path in bag.iterdir()] == [file.name]


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_compressed_messages_are_read_without_metadata(tmp_path, storage):
    bag = compressed(tmp_path / "bag", CompressionMode.MESSAGE, storage)
    (bag / "metadata.yaml").unlink()
    assert words(bag) == ["0", "1", "2"]


def test_a_bag_without_definitions_is_read_with_those_of_jazzy(tmp_path):
    """Foxy and Humble record no definitions."""
    import sqlite3

    bag = write(tmp_path / "bag", {"a": text("1")}, "sqlite3")
    with sqlite3.connect(bag / "bag.db3") as database:
        database.execute("DELETE FROM message_definitions")
    assert words(bag) == ["1"]


def cut(keep):
    """Return a function that truncates the storage file of a bag to a share `keep` of its size."""

    def shorten(bag):
        (file,) = (file for file in bag.iterdir() if file.suffix in (".mcap", ".db3"))
        data = file.read_bytes()
        file.write_bytes(data[: int(keep * len(data))])

    return shorten


def scramble(bag):
    """Overwrite the middle of an mcap file; its index stays intact."""
    file = bag / "bag.mcap"
    data = bytearray(file.read_bytes())
    data[100:4000] = b"\xff" * 3900
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("storage", "damage", "sentence"),
    [
        ("mcap", cut(0.7), r"cannot be read as a bag .*`mcap recover"),
        ("mcap", cut(0.0), r"bag.mcap is empty; restore it from a copy"),
        ("mcap", scramble, r"is damaged after 0 messages|cannot be read as a bag"),
        ("sqlite3", cut(0.5), r"`sqlite3 BROKEN.db3 .recover"),
        ("sqlite3", cut(0.0), r"bag.db3 is empty; restore it from a copy"),
        ("mcap", lambda bag: (bag / "bag.mcap").unlink(), r"the storage files are missing \(bag.mcap\); put them back"),
    ],
)
def test_the_error_for_a_damaged_bag_says_how_to_recover_it(tmp_path, storage, damage, sentence):
    bag = write(tmp_path / "bag", [("words", text(str(number) * 500)) for number in range(50)], storage)
    damage(bag)
    with pytest.raises(InputError, match=sentence) as caught:
        words(bag)
    assert str(bag) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("gone", lambda path: None, "does not exist; give the folder of a bag"),
        ("empty", lambda path: path.mkdir(), "is not a bag .*give the folder of a bag"),
        ("old.bag", lambda path: path.write_bytes(b"#ROSBAG V2.0"), "is a ROS 1 bag; convert it with `rosbags-convert"),
        ("file.txt", lambda path: path.write_bytes(b"x"), "is not a bag; give the folder"),
        ("empty.mcap", lambda path: path.write_bytes(b""), "is empty; restore it"),
        ("text.mcap", lambda path: path.write_bytes(b"x" * 100), "cannot be read as a bag"),
        ("text.db3", lambda path: path.write_bytes(b"x" * 100), "cannot be read as a bag"),
    ],
)
def test_the_error_for_a_path_that_is_not_a_bag_gives_advice(tmp_path, name, make, sentence):
    make(tmp_path / name)
    with pytest.raises(InputError, match=sentence):
        words(tmp_path / name)


def test_the_error_for_a_folder_of_images_names_make_bag(tmp_path):
    (tmp_path / "1.PNG").write_bytes(b"x")
    with pytest.raises(InputError, match=rf"make one of its images with `make_bag {tmp_path} OUT`"):
        words(tmp_path)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_without_messages_is_refused(tmp_path, storage):
    with BagWriter(tmp_path / "bag", storage) as bag:
        bag.declare("words", "std_msgs/msg/String")
    with pytest.raises(InputError, match="holds no messages"):
        words(tmp_path / "bag")


def test_a_message_that_is_not_of_its_type_is_named(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.declare("images", "sensor_msgs/msg/Image")
        bag.write_raw("images", b"\0\1\0\0nonsense", 2_000_000_000)
    with pytest.raises(InputError, match=r"a message on /images at 2\.000000 s is not a sensor_msgs/msg/Image"):
        words(tmp_path / "bag")


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        ({"camera/image": image()}, "/camera/image"),
        ({"camera/image/compressed": image("compressed-jpeg")}, "/camera/image/compressed"),
        ({"camera/image": image(), "camera/image/compressed": image("compressed-jpeg")}, "/camera/image"),
        ({"color/image": image(), "depth/image": depth()}, "/color/image"),
        ({"color/image": image(), "depth/image/compressedDepth": image("compressed-png")}, "/color/image"),
        ({"words": text("a"), "camera/image": image()}, "/camera/image"),
    ],
)
def test_the_only_image_topic_is_found_by_its_type(tmp_path, topics, expected):
    with open_bag(write(tmp_path / "bag", topics)) as bag:
        assert find_image_topic(bag) == expected


def test_of_several_image_topics_one_must_be_named(tmp_path):
    with open_bag(write(tmp_path / "bag", {"left/image": image(), "right/image": image(), "a": text("")})) as bag:
        with pytest.raises(InputError, match=r"several image topics \(/left/image, /right/image\).*--image-topic"):
            find_image_topic(bag)
        assert find_image_topic(bag, "left/image") == "/left/image"
        with pytest.raises(
            InputError, match=r"/a in .* is a std_msgs/msg/String, not an image; images are on /left/image"
        ):
            find_image_topic(bag, "a")


def test_the_error_for_a_bag_without_images_lists_its_topics(tmp_path):
    with (
        open_bag(write(tmp_path / "bag", {"a": text("")})) as bag,
        pytest.raises(InputError, match=r"no messages of type .*; it has /a \(std_msgs"),
    ):
        find_image_topic(bag)


def test_a_named_topic_without_messages_is_refused(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write("camera/image", image(), 5)
        bag.declare("empty/image", "sensor_msgs/msg/Image")
        bag.declare("empty/camera_info", "sensor_msgs/msg/CameraInfo")
    with open_bag(tmp_path / "bag") as bag:
        assert find_image_topic(bag) == "/camera/image"
        with pytest.raises(InputError, match=r"/empty/image in .* has no messages: check that it was published"):
            find_image_topic(bag, "empty/image")
        with pytest.raises(InputError, match=r"/empty/camera_info in .* has no messages"):
            find_camera_info_topic(bag, "/camera/image", "empty/camera_info")


@pytest.mark.parametrize(
    ("topics", "image_topic", "expected"),
    [
        ({"left/camera_info": info(), "right/camera_info": info()}, "/right/image", "/right/camera_info"),
        ({"left/camera_info": info(), "right/camera_info": info()}, "left/image/compressed", "/left/camera_info"),
        ({"elsewhere/info": info()}, "/camera/image", "/elsewhere/info"),
        ({"camera/image": image()}, "/camera/image", None),
    ],
)
def test_camera_info_is_found_beside_the_image(tmp_path, topics, image_topic, expected):
    with open_bag(write(tmp_path / "bag", topics)) as bag:
        assert find_camera_info_topic(bag, image_topic) == expected


def test_of_several_foreign_camera_infos_one_must_be_named(tmp_path):
    with open_bag(write(tmp_path / "bag", {"a/camera_info": info(), "b/camera_info": info()})) as bag:
        with pytest.raises(
            InputError, match=r"has no /c/camera_info but /a/camera_info, /b/camera_info.*--camera-info"
        ):
            find_camera_info_topic(bag, "/c/image")
        assert find_camera_info_topic(bag, "/c/image", "b/camera_info") == "/b/camera_info"


def test_the_raw_topic_of_a_compressed_one():
    assert raw_image_topic("/a/image/compressed") == raw_image_topic("/a/image") == "/a/image"
