"""Kept matches of a replay: turned and shrunk images have entries of their own, and equal those of the matcher."""

from dataclasses import fields

import cv2
import numpy as np
import pytest

from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matcher import Matcher
from loftr_ros.turning.features import TurnedFeatures
from loftr_ros.turning.matching import TurnedMatcher, View
from perception_common.backends.devices import choose_device
from replay_ros.offline.kept_results import KeptMatcher
from replay_ros.offline.result_cache import ResultCache


@pytest.fixture(scope="module")
def loftr():
    return Matcher.load("loftr_lite", "default", choose_device("cpu"), MatcherSettings(max_side=160))


def texture(height, width):
    noise = np.random.default_rng(0).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4.0), None, 0, 255, cv2.NORM_MINMAX)


def test_a_replay_turns_as_the_node_does_and_again_without_the_network(loftr, tmp_path, monkeypatch):
    older = texture(200, 380)
    newer = np.ascontiguousarray(np.rot90(older))

    def match(matcher):
        turned = TurnedMatcher(matcher, "auto", TurnedFeatures(1 << 30))
        return turned.match(View(0, older, matcher.encode(older)), View(1, newer), None)

    plain = match(loftr)
    assert plain.turns == 3
    assert len(plain.matches) > 20
    for _ in range(2):  # computed, then read
        kept = match(KeptMatcher(loftr, ResultCache(tmp_path)))
        assert (kept.turns, kept.newer.turns) == (3, 3)
        for each in fields(plain.matches):
            name = each.name
            np.testing.assert_array_equal(getattr(kept.matches, name), getattr(plain.matches, name), err_msg=name)
        monkeypatch.setattr(Matcher, "match", None)  # the second time nothing is computed
