"""How the errors of two edges that share a keyframe depend on each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from replay_ros.benchmarks.consistency.matched_edges import EdgeError

ROLES = ("newer in both", "older in both", "newer in one, older in the other")
"""What the shared keyframe is in the two edges."""


def shared_correlations(edges: Sequence[EdgeError]) -> dict[str, tuple[float, int]]:
    """Correlation of the rotation errors of two edges of a chain that share a keyframe, and the number of such edges.

    By ROLES. Each rotation error is turned into the axes of the shared keyframe and divided by its standard deviations,
    so that each of the three components counts alike. NaN without edges.
    """
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {role: [] for role in ROLES}
    for one, other in combinations([edge for edge in edges if edge.error is not None], 2):
        if one.chain == other.chain:
            for role, keyframe in _shared(one, other):
                found[role].append((_standardised(one, keyframe), _standardised(other, keyframe)))
    return {role: (_correlation(errors), len(errors)) for role, errors in found.items()}


def _shared(one: EdgeError, other: EdgeError) -> Iterator[tuple[str, int]]:
    """Yield the role and position of the shared keyframe, if there is one."""
    if one.newer == other.newer:
        yield ROLES[0], one.newer
    if one.older == other.older:
        yield ROLES[1], one.older
    if one.newer == other.older or one.older == other.newer:
        yield ROLES[2], one.newer if one.newer == other.older else one.older


def _standardised(edge: EdgeError, keyframe: int) -> np.ndarray:
    """Rotation error (3,) of an edge in the axes of one of its keyframes, in standard deviations."""
    assert edge.error is not None
    assert edge.covariance is not None
    to_axes = np.eye(3) if keyframe == edge.older else edge.rotation.T
    covariance = to_axes @ edge.covariance[-3:, -3:] @ to_axes.T
    values, vectors = np.linalg.eigh(covariance)
    whitening = (vectors / np.sqrt(values)) @ vectors.T
    return whitening @ to_axes @ edge.error[-3:]


def _correlation(errors: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    if not errors:
        return float("nan")
    one, other = np.array(errors).transpose(1, 0, 2)
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))
