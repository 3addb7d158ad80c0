"""What a bridge says while it waits for other programs."""

import pytest

from perception_common.errors import InputError
from perception_common.node.bridge import Peer, PeerWatch, load_messages
from perception_common.node.problems import Problems


class Log:
    def __init__(self):
        self.lines = []

    def info(self, line):
        self.lines.append(line)


class Node:
    """Stands in for rclpy's node: `tick` is what its timer calls."""

    def __init__(self):
        self.log, self.is_running = Log(), True

    def get_logger(self):
        return self.log

    def create_timer(self, seconds, callback, clock):
        self.tick = callback
        return self

    def cancel(self):
        self.is_running = False


def test_what_is_missing_is_said_once_and_ends_when_it_comes():
    there = {"/a": False, "/b": False}
    node, warnings = Node(), []
    problems = Problems(warnings.append)
    PeerWatch(
        node,
        problems,
        [
            Peer("topic", "/a", "SLAM (package slam)", lambda: there["/a"]),
            Peer("service", "/b", "loftr_node", lambda: there["/b"]),
        ],
    )
    assert node.log.lines == ["waiting for /a of SLAM (package slam), /b of loftr_node"]
    for _ in range(3):
        node.tick()
    assert warnings == [
        "there is no topic /a after 5 s: start SLAM (package slam), or remap the name",
        "there is no service /b after 5 s: start loftr_node, or remap the name",
    ]
    there["/a"] = True
    node.tick()
    assert list(problems.active()) == warnings[1:]
    there["/b"] = True
    node.tick()
    assert problems.active() == ()
    assert not node.is_running
    assert node.log.lines[1:] == ["everything that the bridge waits for is there"]


def test_missing_messages_are_named_with_what_to_install():
    with pytest.raises(InputError, match="no_such_msgs is not installed: apt install ros-jazzy-no-such-msgs, and"):
        load_messages("no_such_msgs.msg", "apt install ros-jazzy-no-such-msgs")
