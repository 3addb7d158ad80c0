"""Assigns the messages of a recorded replay to its images, also where header stamps repeat or are missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple


class Moment(NamedTuple):
    """Times of a message in a bag, nanoseconds.

    stamp_ns: of its header; None where the message cannot be read. received_ns: when it was received.
    """

    stamp_ns: int | None
    received_ns: int


def assign_to_images(images: Sequence[Moment], messages: Sequence[Moment]) -> list[int | None]:
    """Return the position of the image that each message belongs to; None where no image or no single one fits.

    A message has the stamp of its image. Where images share a stamp, and each has its message, these are assigned in
    order. Otherwise a message belongs to the only image that was received when it was: a replay in lockstep and an
    offline one record answers at the times of their images.
    """
    images_of: defaultdict[int | None, list[int]] = defaultdict(list)
    messages_of: defaultdict[int | None, list[int]] = defaultdict(list)
    for position, image in enumerate(images):
        images_of[image.stamp_ns].append(position)
    for index, message in enumerate(messages):
        messages_of[message.stamp_ns].append(index)
    assigned: list[int | None] = [None] * len(messages)
    for stamp, indices in messages_of.items():
        positions = images_of.get(stamp, [])
        if len(positions) == len(indices):
            for index, position in zip(indices, positions, strict=True):
                assigned[index] = position
            continue
        for index in indices:
            near = [each for each in positions if images[each].received_ns == messages[index].received_ns]
            if len(positions) == 1:  # several messages for one image: the last one counts
                near = positions
            if len(near) == 1:
                assigned[index] = near[0]
    return assigned
