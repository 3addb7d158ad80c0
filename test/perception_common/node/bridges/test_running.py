"""A bridge whose messages are missing."""

import pytest

from perception_common.errors import InputError
from perception_common.node.bridges.running import load_messages


def test_missing_messages_are_named_with_what_to_install():
    with pytest.raises(InputError, match="no_such_msgs is not installed: apt install ros-jazzy-no-such-msgs, and"):
        load_messages("no_such_msgs.msg", "apt install ros-jazzy-no-such-msgs")
