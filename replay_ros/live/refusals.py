"""Which images without an answer the nodes cannot have used, found by decoding them as the nodes do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perception_common.errors import InputError
from perception_common.images.conversion import to_gray, to_rgb
from replay_ros.bags.reader import Bag
from replay_ros.live.frame_log import FrameLog
from replay_ros.outputs import DETECTIONS, STATUS

DECODERS: dict[str, Callable[[Any], Any]] = {DETECTIONS: to_rgb, STATUS: to_gray}  # as each node decodes images


def find_refusals(bag: Bag, image_topic: str, log: FrameLog) -> None:
    """Tell refused images from missed ones in the log: a node says how many it refused, not which."""
    suspects = log.suspects()
    last = max(suspects, default=-1)
    for position, raw in enumerate(bag.raw_messages([image_topic])):
        if position > last:
            return
        if position not in suspects:
            continue
        for topic in log.awaited:
            if position not in log.refused[topic]:
                try:
                    DECODERS[topic](bag.deserialize(raw))
                except InputError as error:
                    log.refuse(topic, position, str(error))
