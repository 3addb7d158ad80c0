"""Which old keyframes may show the place of the newest one: by the trajectory and by their descriptors."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from loftr_ros.loops.common_ground import common_ground, seen_point, seen_radius
from loftr_ros.loops.descriptor import similarities
from loftr_ros.loops.drift import ExpectedMotion, point_deviation, relative_covariance
from loftr_ros.loops.places import Place, Places
from perception_common.geometry import inverse

GAP = 7  # keyframes before the newest that are no candidates: a turn by 180 degrees on the spot makes that many
MIN_COMMON = 0.25  # share of the image that both must see, to be worth a check (empirical)
MIN_PROBABILITY = 0.2  # of that share, from trajectory and descriptor, to be worth a check (empirical)
FAR = 3.0  # standard deviations beyond which the trajectory excludes a place
INFLATION = 4.0  # of the trajectory's covariance, for errors of steps that are not independent (empirical)
UNKNOWN_PROBABILITY = 0.02  # of a place that no step joins to the newest one (empirical)
# Logarithm of the likelihood ratio of a similarity at z robust standard deviations above the median: a line fitted to
# a simulated flight, within limits, as it must not outvote a good trajectory.
_SLOPE, _ZERO, _LIMITS = 2.0, 1.0, (-3.0, 4.0)
_MIN_PLACES = 8  # from which a median and a deviation of similarities mean something (empirical)
_NEAREST = 200  # places by distance whose common ground is computed: bounds the time (empirical)


@dataclass(frozen=True, eq=False)
class Candidate:
    """An old keyframe to verify.

    score: expected share of the ground in common, times the probability of it; the rank. expected: motion from it to
    the newest keyframe; None where no steps join the two.
    """

    id: int
    score: float
    expected: ExpectedMotion | None = None


def loop_candidates(places: Places, count: int, usable: Container[int], gap: int = GAP) -> tuple[Candidate, ...]:
    """Return at most `count` keyframes that probably show the place of the newest one, the most promising first.

    usable: ids that can be matched. gap: number of keyframes before the newest that are no candidates.
    """
    newest = places.newest
    if newest is None or count == 0:
        return ()
    older = places.all[: -1 - gap]
    evidence = likelihood_ratios(newest, older)
    joined = _joined_candidates(places, newest, older, evidence)
    apart = [
        Candidate(place.id, MIN_COMMON * _posterior(UNKNOWN_PROBABILITY, ratio))
        for place, ratio in zip(older, evidence, strict=True)
        if place.section != newest.section and _posterior(UNKNOWN_PROBABILITY, ratio) >= MIN_PROBABILITY
    ]
    found = [candidate for candidate in (*joined, *apart) if candidate.id in usable]
    return tuple(sorted(found, key=lambda candidate: (-candidate.score, -candidate.id))[:count])


def similar_places(places: Places, descriptor: np.ndarray) -> dict[int, float]:
    """Return the similarity of an image to each place, by keyframe id, to find the map again."""
    known = places.all
    if not known:
        return {}
    values = similarities(descriptor, np.stack([place.descriptor for place in known]))
    return {place.id: float(value) for place, value in zip(known, values, strict=True)}


def likelihood_ratios(newest: Place, older: tuple[Place, ...]) -> np.ndarray:
    """How much more likely the descriptors are if the newest place is one of the older ones (N,), for each of them."""
    if len(older) < _MIN_PLACES:
        return np.ones(len(older))
    similarity = similarities(newest.descriptor, np.stack([place.descriptor for place in older]))
    off = similarity - np.median(similarity)
    deviation = 1.4826 * float(np.median(np.abs(off)))  # of a normal distribution
    return np.exp(np.clip(_SLOPE * (off / max(deviation, 1e-9) - _ZERO), *_LIMITS))


def _joined_candidates(
    places: Places, newest: Place, older: tuple[Place, ...], evidence: np.ndarray
) -> list[Candidate]:
    """Candidates among the places that steps join to the newest one."""
    if newest.camera is None or newest.depth is None:
        return []
    known = [
        (place, twist, ratio)
        for place, ratio in zip(older, evidence.tolist(), strict=True)
        if place.camera is not None and place.depth is not None
        if (twist := places.twist_to_newest(place)) is not None
    ]
    if not known:
        return []
    twists = INFLATION * np.stack([twist for _, twist, _ in known])
    here = seen_point(newest)
    distance = np.linalg.norm(np.stack([seen_point(place) for place, _, _ in known]) - here, axis=1)
    reach = np.array([seen_radius(place) for place, _, _ in known]) + seen_radius(newest)
    deviation = point_deviation(twists, np.repeat(here[None], len(known), axis=0))
    within = np.flatnonzero(distance <= reach + FAR * deviation)
    nearest = within[np.argsort((distance / (reach + deviation))[within], kind="stable")[:_NEAREST]]
    near = [known[index] for index in sorted(nearest.tolist())]
    if not near:
        return []
    expected = np.stack([inverse(place.T_map_camera) @ newest.T_map_camera for place, _, _ in near])
    covariances = np.stack(
        [relative_covariance(INFLATION * twist, place.T_map_camera, newest.T_map_camera) for place, twist, _ in near]
    )
    shares = common_ground([place for place, _, _ in near], newest, expected, covariances)
    is_enough = shares >= MIN_COMMON
    # Half a draw more on both sides: draws that never hit do not prove a probability of 0.
    priors = (is_enough.sum(axis=1) + 0.5) / (shares.shape[1] + 1)
    candidates = []
    for k, (place, _, ratio) in enumerate(near):
        probability = _posterior(priors[k], ratio)
        if probability >= MIN_PROBABILITY:
            share = float(shares[k, is_enough[k]].mean()) if is_enough[k].any() else MIN_COMMON
            motion = ExpectedMotion(expected[k], covariances[k], newest.depth)
            candidates.append(Candidate(place.id, probability * share, motion))
    return candidates


def _posterior(prior: float, ratio: float) -> float:
    """Probability after evidence with a likelihood ratio."""
    return prior * ratio / (1 - prior + prior * ratio)
