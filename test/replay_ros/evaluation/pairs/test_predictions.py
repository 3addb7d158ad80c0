"""Cached matches: read back exactly, and computed again when anything that they depend on changes."""

import numpy as np
import pytest

from perception_common.errors import InputError
from replay_ros.evaluation.pairs.matchers import PointPairs
from replay_ros.evaluation.pairs.predictions import Predictor

RNG = np.random.default_rng(0)
A, B = RNG.integers(0, 255, (2, 20, 30), np.uint8)


class Counting:
    """Matches pixels by comparison, and counts its encodings."""

    def __init__(self, name="counting", weights="", **settings):
        self.name, self.weights_sha256, self.settings = name, weights, settings
        self.encoded = 0

    def encode(self, gray):
        self.encoded += 1
        return gray

    def match(self, a, b):
        points = np.argwhere(a < b)[:, ::-1].astype(np.float64)
        return points, points + 0.1, np.linspace(0, 1, len(points))


def test_cached_matches_are_read_back_exactly(tmp_path):
    first, second = Predictor(Counting(), tmp_path / "new"), Predictor(Counting(), tmp_path / "new")
    expected, found = first.match(A, B), second.match(A.copy(), B.copy())
    for name in ("points_a", "points_b", "confidence", "seconds"):
        np.testing.assert_array_equal(getattr(expected, name), getattr(found, name))
    assert (first.computed, first.read, second.computed, second.read) == (1, 0, 0, 1)
    assert second.matcher.encoded == 0


@pytest.mark.parametrize(
    "other",
    [
        Predictor(Counting(name="another")),
        Predictor(Counting(weights="1234")),
        Predictor(Counting(threshold=0.1)),
    ],
)
def test_other_matchers_have_their_own_cache_entries(tmp_path, other):
    Predictor(Counting(), tmp_path).match(A, B)
    other = Predictor(other.matcher, tmp_path)
    other.match(A, B)
    assert (other.computed, other.read) == (1, 0)


def test_other_pixels_shapes_and_orders_are_other_pairs(tmp_path):
    predictor = Predictor(Counting(), tmp_path)
    predictor.match(A, B)
    changed = A.copy()
    changed[3, 4] ^= 1
    for pair in ((changed, B), (B, A), (A.reshape(30, 20), B.reshape(30, 20))):
        predictor.match(*pair)
    assert (predictor.computed, predictor.read) == (4, 0)


def test_a_broken_file_is_written_again(tmp_path):
    Predictor(Counting(), tmp_path).match(A, B)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    for computed, read in ((1, 0), (0, 1)):
        predictor = Predictor(Counting(), tmp_path)
        predictor.match(A, B)
        assert (predictor.computed, predictor.read) == (computed, read)


def test_an_image_of_several_pairs_is_encoded_once():
    predictor = Predictor(Counting())
    for b in (B, A, B.copy()):
        predictor.match(A, b)
    assert (predictor.matcher.encoded, predictor.computed) == (2, 3)


def test_the_best_matches_are_sorted_and_all_of_them_keep_their_order():
    points = np.arange(10.0).reshape(5, 2)
    pairs = PointPairs(points, points, np.array([0.1, 0.9, 0.5, 0.9, 0.3]))
    np.testing.assert_array_equal(pairs.best(3).points_a, points[[1, 3, 2]])
    assert pairs.best(5) is pairs


def test_a_folder_that_cannot_be_created(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another path"):
        Predictor(Counting(), tmp_path / "file" / "matches")
