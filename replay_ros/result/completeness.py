"""What a replay did not answer although it was asked for, and why: empty where everything was answered."""

from __future__ import annotations

from collections.abc import Iterator

from replay_ros.result.answers import NodeAnswers
from replay_ros.result.replay_result import ReplayResult


def missing_answers(result: ReplayResult) -> tuple[str, ...]:
    """Return one clause for each kind of thing that is missing from the result."""
    return tuple(_missing(result))


def _missing(result: ReplayResult) -> Iterator[str]:
    if result.stopped:
        yield f"stopped after {result.frames} images: {result.stopped}"
    yield from (f"the bag is not complete: {loss}" for loss in result.losses)
    if result.frames == 0:
        yield f"no image of {result.image_topic} was played"
    for node in result.answers:
        yield from _unanswered(node)
    if result.pairs_without_camera:
        pairs = sum(count for name, count in result.topics.items() if name.endswith("loftr/relative_pose"))
        causes = "; ".join(result.without_camera) or "no usable camera_info"
        yield f"{result.pairs_without_camera} of {pairs} relative poses could not be estimated: {causes}"
    yield from result.not_done


def _unanswered(node: NodeAnswers) -> Iterator[str]:
    for refusal in node.refused:
        yield f"{node.node} refused {len(refusal.images)} of {node.images} images: {refusal.cause}"
    if node.missed:
        why = f" ({node.why_missed})" if node.why_missed else ""
        yield f"{node.node} left {len(node.missed)} of {node.images} images without an answer{why}"
