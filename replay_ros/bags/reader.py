"""Read rosbag2 recordings (mcap or sqlite3, whole or split, compressed or not) without ROS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import ConnectionExtRosbag2, Qos
from rosbags.typesys.store import Typestore

from perception_common.errors import InputError
from replay_ros.bags.datasets.sequences import IMAGE_SUFFIXES, natural_key
from replay_ros.bags.messages import load_types

STORAGE_SUFFIXES = (".mcap", ".db3")
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
DEPTH_ENCODINGS = ("16UC1", "32FC1")


@dataclass(frozen=True)
class Topic:
    """A topic in a bag. name: absolute, with a leading slash. type: as "sensor_msgs/msg/Image". qos: as offered."""

    name: str
    type: str
    count: int
    qos: tuple[Qos, ...]


@dataclass(frozen=True)
class BagMessage:
    """A message and when it was received (nanoseconds), which is not its header's stamp."""

    topic: str
    type: str
    stamp_ns: int
    message: Any


@dataclass(frozen=True)
class RawMessage:
    """A message as it lies in the bag (CDR) and when it was received (nanoseconds)."""

    topic: str
    type: str
    stamp_ns: int
    data: bytes


class Bag:
    """An open bag; `open_bag` makes it."""

    def __init__(self, path: Path, reader: AnyReader) -> None:
        self.path = path
        self.topics: Mapping[str, Topic] = _topics(reader)
        self._reader = reader

    @property
    def types(self) -> Typestore:
        """The message types of the bag, from the definitions in it (or Jazzy's and ours where it has none)."""
        return self._reader.typestore

    @property
    def count(self) -> int:
        """Number of messages."""
        return sum(topic.count for topic in self.topics.values())

    @property
    def start_ns(self) -> int:
        """When the first message was received, nanoseconds."""
        return self._reader.start_time

    @property
    def end_ns(self) -> int:
        """When the last message was received, nanoseconds."""
        return self._reader.end_time - 1

    def topic(self, name: str) -> Topic:
        """Return the topic of that name, with or without the leading slash. Raises InputError when there is none."""
        topic = self.topics.get(absolute(name))
        if topic is None:
            raise InputError(f"{self.path} has no topic {name}; it has {listing(self.topics)}")
        return topic

    def of_type(self, *types: str) -> list[Topic]:
        """Return the topics of these types that hold messages, by name."""
        return [topic for topic in self.topics.values() if topic.type in types and topic.count > 0]

    def raw_messages(self, topics: Iterable[str] | None = None) -> Iterator[RawMessage]:
        """Iterate over messages as bytes in the order of their receive stamps; None stands for all topics.

        Raises InputError for a topic that is not there, and where the bag is damaged.
        """
        names = None if topics is None else {self.topic(name).name for name in topics}
        if names is not None and not names:  # rosbags takes no connections for all connections
            return
        chosen = [
            connection
            for connection in self._reader.connections
            if names is None or absolute(connection.topic) in names
        ]
        source = self._reader.messages(chosen)
        done = 0
        while True:
            try:
                connection, stamp_ns, data = next(source)
            except StopIteration:
                return
            except Exception as error:  # whatever a parser says about bytes that are not what they should be
                raise InputError(
                    f"{self.path} is damaged after {done} messages ({error}); {_recovery(self.path)}"
                ) from error
            done += 1
            yield RawMessage(absolute(connection.topic), connection.msgtype, stamp_ns, data)

    def messages(self, topics: Iterable[str] | None = None) -> Iterator[BagMessage]:
        """Iterate over messages in the order of their receive stamps; None stands for all topics.

        Raises InputError for a topic that is not there or whose type is unknown, and where the bag is damaged.
        """
        for raw in self.raw_messages(topics):
            yield BagMessage(raw.topic, raw.type, raw.stamp_ns, self.deserialize(raw))

    def deserialize(self, raw: RawMessage) -> Any:
        """Decode a message. Raises InputError when its type is unknown or its bytes do not fit the type."""
        if raw.type not in self.types.fielddefs:
            raise InputError(
                f"{self.path} has no definition of {raw.type} (topic {raw.topic}); record it with ROS 2 Iron or later"
            )
        try:
            return self._reader.deserialize(raw.data, raw.type)
        except Exception as error:  # AnyReaderError, or what numpy and struct say about too few bytes
            raise InputError(
                f"{self.path}: a message on {raw.topic} at {raw.stamp_ns / 1e9:.6f} s is no {raw.type} ({error}); "
                f"{_recovery(self.path)}"
            ) from error

    def first(self, topic: str) -> Any | None:
        """Return the first message of a topic, or None when it holds none."""
        return next((item.message for item in self.messages([topic])), None)


@contextmanager
def open_bag(path: Path | str) -> Iterator[Bag]:
    """Open a bag: its folder, or one .mcap or .db3 file.

    A folder without metadata.yaml (the recorder was killed) is read from the storage files in it.
    Raises InputError for a path that is missing, no bag, damaged or empty, and says what to do.
    """
    path = Path(path)
    paths = _storage_paths(path)
    try:
        reader = AnyReader(paths, default_typestore=load_types())
        reader.open()
    except Exception as error:  # AnyReaderError and, from damaged files, whatever the parsers meet
        raise InputError(f"{path} cannot be read as a bag ({_one_line(error)}); {_recovery(path)}") from error
    try:
        bag = Bag(path, reader)
        if bag.count == 0:
            raise InputError(f"{path} holds no messages; record it again and check that the topics are published")
        yield bag
    finally:
        reader.close()


def absolute(name: str) -> str:
    """Return a topic name with its leading slash."""
    return name if name.startswith("/") else f"/{name}"


def find_image_topic(bag: Bag, name: str | None = None, option: str = "--image-topic") -> str:
    """Return the image topic: the one named, or the only one in the bag.

    A compressed topic beside its raw one, and depth images beside colour images, are not candidates of their own.
    Raises InputError when there is none or several, naming them and the `option` that chooses.
    """
    if name is not None:
        topic = bag.topic(name)
        if topic.type not in (IMAGE, COMPRESSED_IMAGE):
            raise InputError(f"{topic.name} in {bag.path} is a {topic.type}, no image; {_images_there(bag)}")
        return topic.name
    names = [topic.name for topic in bag.of_type(IMAGE, COMPRESSED_IMAGE)]
    names = [topic for topic in names if image_base(topic) == topic or image_base(topic) not in names]
    if len(names) > 1:
        names = [topic for topic in names if not is_depth_topic(topic, bag.first(topic))] or names
    if not names:
        raise InputError(
            f"{bag.path} has no messages of type sensor_msgs/Image or CompressedImage; it has {listing(bag.topics)}"
        )
    if len(names) > 1:
        raise InputError(f"{bag.path} has several image topics ({', '.join(names)}); choose one with {option}")
    return names[0]


def find_camera_info_topic(
    bag: Bag, image_topic: str, name: str | None = None, option: str = "--camera-info-topic"
) -> str | None:
    """Return the camera_info topic of an image topic, or None when the bag holds no CameraInfo at all.

    The one named, else `camera_info` beside the image, else the only one in the bag. Raises InputError for several.
    """
    if name is not None:
        topic = bag.topic(name)
        if topic.type != CAMERA_INFO:
            raise InputError(f"{topic.name} in {bag.path} is a {topic.type}, no sensor_msgs/msg/CameraInfo")
        return topic.name
    names = [topic.name for topic in bag.of_type(CAMERA_INFO)]
    sibling = f"{image_base(absolute(image_topic)).rpartition('/')[0]}/camera_info"
    if sibling in names:
        return sibling
    if len(names) > 1:
        raise InputError(
            f"{bag.path} has no {sibling} but {', '.join(names)}; choose the one of {image_topic} with {option}"
        )
    return names[0] if names else None


def image_base(topic: str) -> str:
    """Return the topic whose compressed form this is ("/camera/image/compressed": "/camera/image"), else itself."""
    for suffix in ("/compressed", "/compressedDepth"):
        if topic.endswith(suffix):
            return topic.removesuffix(suffix)
    return topic


def is_depth_topic(name: str, first: Any) -> bool:
    """Tell whether an image topic holds depth; `first` is its first message."""
    return name.endswith("/compressedDepth") or getattr(first, "encoding", None) in DEPTH_ENCODINGS


def listing(topics: Mapping[str, Topic]) -> str:
    """Name topics with their types, for a message."""
    return ", ".join(f"{topic.name} ({topic.type})" for topic in topics.values()) or "no topics"


def _topics(reader: AnyReader) -> dict[str, Topic]:
    topics: dict[str, Topic] = {}
    for connection in sorted(reader.connections, key=lambda each: each.topic):
        name = absolute(connection.topic)
        qos = tuple(connection.ext.offered_qos_profiles) if isinstance(connection.ext, ConnectionExtRosbag2) else ()
        before = topics[name].count if name in topics else 0
        topics[name] = Topic(name, connection.msgtype, before + connection.msgcount, qos)
    return topics


def _storage_paths(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"{path} does not exist; give the folder of a bag or a .mcap or .db3 file")
    if path.is_file():
        if path.suffix == ".bag":
            raise InputError(f"{path} is a ROS 1 bag; convert it with `rosbags-convert --src {path} --dst {path.stem}`")
        if _is_compressed_file(path):
            raise InputError(
                f"{path} is compressed; give its folder with metadata.yaml, or unpack it: `zstd -d {path}`"
            )
        if path.suffix not in STORAGE_SUFFIXES:
            raise InputError(f"{path} is no bag; give the folder of a bag or a .mcap or .db3 file")
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty; record it again")
        return [path]
    if (path / "metadata.yaml").is_file():
        return [path]
    files = [file for file in path.iterdir() if file.suffix in STORAGE_SUFFIXES and file.stat().st_size > 0]
    packed = next((file for file in path.iterdir() if _is_compressed_file(file)), None)
    if not files and packed is not None:
        raise InputError(f"{path} has compressed files and no metadata.yaml; unpack them: `zstd -d {packed}`")
    if not files:
        images = any(file.suffix.lower() in IMAGE_SUFFIXES for file in path.iterdir())
        advice = f"make one of its images with `make_bag {path} OUT`" if images else "give the folder of a bag"
        raise InputError(f"{path} is no bag (no metadata.yaml, no .mcap or .db3 file); {advice}")
    return sorted(files, key=lambda file: natural_key(file.name))


def _is_compressed_file(path: Path) -> bool:
    """Tell whether a file is a storage file that the recorder compressed as a whole."""
    return path.suffix == ".zstd" and path.with_suffix("").suffix in STORAGE_SUFFIXES


def _images_there(bag: Bag) -> str:
    images = bag.of_type(IMAGE, COMPRESSED_IMAGE)
    return f"images are on {', '.join(topic.name for topic in images)}" if images else "the bag has no images"


def _recovery(path: Path) -> str:
    """Say how to save what is left of a damaged bag."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    if any(file.suffix == ".mcap" for file in files):
        return "`mcap recover BROKEN.mcap -o SAVED.mcap` saves what is left, then open SAVED.mcap"
    if any(file.suffix == ".db3" for file in files):
        return "`sqlite3 BROKEN.db3 .recover | sqlite3 SAVED.db3` saves what is left, then open SAVED.db3"
    return "copy its storage files beside metadata.yaml, or record it again"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
