"""What became of each image of a replay at each node: answered, refused for a cause, or missed.

An image is named by its position among the images of the bag, from 0: stamps may repeat or be missing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class Refusal:
    """Images that could not be used. cause: of the first one. images: their positions, ascending."""

    cause: str
    images: tuple[int, ...]


@dataclass(frozen=True)
class NodeAnswers:
    """The images of a replay at one node. images = answered + refused + missed.

    refused: images that could not be used, by cause. missed: positions of the others without an answer, ascending.
    why_missed: what the node says about them; may be empty. ambiguous: answers to images that share their stamp, so
    that the counts hold while the positions of the missed images are those without an answer in order.
    """

    node: str
    images: int
    refused: tuple[Refusal, ...] = ()
    missed: tuple[int, ...] = ()
    why_missed: str = ""
    ambiguous: int = 0

    def __post_init__(self) -> None:
        unanswered = self.unanswered
        if len(set(unanswered)) < len(unanswered) or not all(0 <= position < self.images for position in unanswered):
            raise ValueError(f"the images without an answer are no distinct ones of {self.images}")

    @property
    def refused_images(self) -> int:
        """Number of images that could not be used."""
        return sum(len(refusal.images) for refusal in self.refused)

    @property
    def answered(self) -> int:
        """Number of images with an answer."""
        return self.images - self.refused_images - len(self.missed)

    @property
    def unanswered(self) -> tuple[int, ...]:
        """Positions of all images without an answer, ascending."""
        refused = [position for refusal in self.refused for position in refusal.images]
        return tuple(sorted([*refused, *self.missed]))

    @property
    def loss(self) -> float:
        """Missed images over all images."""
        return len(self.missed) / self.images if self.images else 0.0

    def describe(self) -> str:
        """Return the counts in words."""
        return f"{self.node} answered {self.answered}, refused {self.refused_images}, missed {len(self.missed)}"


def node_answers(
    node: str,
    images: int,
    answered: Collection[int],
    refused: Mapping[int, str],
    why_missed: str = "",
    ambiguous: int = 0,
) -> NodeAnswers:
    """Account for all images at a node. answered: positions. refused: cause by position."""
    found = set(answered)
    refused = {position: cause for position, cause in refused.items() if position not in found}
    missed = tuple(position for position in range(images) if position not in found and position not in refused)
    return NodeAnswers(node, images, group_refusals(refused), missed, why_missed if missed else "", ambiguous)


def group_refusals(refused: Mapping[int, str]) -> tuple[Refusal, ...]:
    """Group causes by position into refusals; causes that differ in numbers only are one."""
    groups: dict[str, list[int]] = {}
    for position in sorted(refused):
        groups.setdefault(_NUMBER.sub("#", refused[position]), []).append(position)
    return tuple(Refusal(refused[positions[0]], tuple(positions)) for positions in groups.values())


def refused_images(answers: Collection[NodeAnswers]) -> tuple[Refusal, ...]:
    """Return the refusals of all nodes, each image once: nodes refuse the same images for the same cause."""
    causes = {position: refusal.cause for node in answers for refusal in node.refused for position in refusal.images}
    return group_refusals(causes)
