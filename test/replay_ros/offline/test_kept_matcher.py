"""A matcher with kept results: known places are part of the question."""

import numpy as np
import pytest

from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matcher import Matcher
from perception_common.backends.devices import choose_device
from replay_ros.offline.kept_results import KeptMatcher
from replay_ros.offline.result_cache import run_cache


class Counting(Matcher):
    calls = 0

    def match(self, features0, features1, known=None, *, rough=False):
        Counting.calls += 1
        return super().match(features0, features1, known, rough=rough)


@pytest.fixture
def counting():
    matcher = Matcher.load("loftr_lite", None, choose_device("cpu"), MatcherSettings(threshold=1e-3, border=0))
    Counting.calls = 0
    return Counting(**vars(matcher))


def test_rough_matches_do_not_pass_for_full_ones(counting, tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (64, 96)).astype(np.uint8)
    with run_cache(tmp_path / "out", "a") as cache:
        kept = KeptMatcher(counting, cache)
        encoded = kept.encode(image)
        rough = [kept.match(encoded, encoded, rough=True) for _ in range(2)]
        full = [kept.match(encoded, encoded) for _ in range(2)]
    assert Counting.calls == 2
    assert np.isnan(rough[1].spread).all()
    assert np.isfinite(full[1].spread).all()


def test_each_set_of_known_places_has_its_own_result(counting, tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (64, 96)).astype(np.uint8)
    known = [None, rng.uniform(10, 50, (20, 2)), rng.uniform(10, 50, (20, 2))]
    with run_cache(tmp_path / "out", "a") as cache:
        kept = KeptMatcher(counting, cache)
        encoded = kept.encode(image)
        first = [kept.match(encoded, encoded, each) for each in known]
        assert Counting.calls == 3
        again = [kept.match(encoded, encoded, each) for each in known]
        assert Counting.calls == 3
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.points0, other.points0)
        np.testing.assert_array_equal(one.points1, other.points1)
