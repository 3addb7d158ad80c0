"""What both replays take: topics of a bag, and messages that cannot be decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

from perception_common.errors import InputError
from replay_ros.bags.reader import Bag, RawMessage
from replay_ros.bags.topic_choice import find_camera_info_topic, find_image_topic


def find_camera_topics(bag: Bag, image_topic: str | None, camera_info_topic: str | None) -> tuple[str, str | None]:
    """Return the topics of the images and of their camera_info, None without one.

    Raises InputError where the choice is not clear.
    """
    image = find_image_topic(bag, image_topic)
    return image, find_camera_info_topic(bag, image, camera_info_topic)


@dataclass
class Undecoded:
    """Messages of a replay's inputs that could not be decoded. counts: by topic and the cause of the first one."""

    counts: dict[str, int] = field(default_factory=dict)
    _causes: dict[str, str] = field(default_factory=dict)

    def add(self, raw: RawMessage, error: InputError) -> None:
        """Count a message."""
        cause = self._causes.setdefault(raw.topic, f"{raw.topic}: {error}")
        self.counts[cause] = self.counts.get(cause, 0) + 1
