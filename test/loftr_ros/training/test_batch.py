import numpy as np
import pytest
import torch

from loftr_ros.datasets.mixture import Mixture
from loftr_ros.datasets.supervision import TrainingPair, TrueMatches
from loftr_ros.training.batch import PairBatch, draw_batch


class Source:
    """Pairs whose images encode their number, with that number modulo 4 of matches."""

    def __init__(self, shade: int = 0) -> None:
        self.shade = shade

    def sample(self, rng: np.random.Generator, number: int, width: int, height: int) -> TrainingPair:
        count = number % 4
        cells = np.sort(rng.choice(6, count, replace=False))
        image0 = np.full((height, width), number % 256, np.uint8)
        image1 = np.full((height, width), self.shade, np.uint8)
        return TrainingPair(image0, image1, TrueMatches(cells, cells, rng.random((count, 2), np.float32)))


def batch(share: slice, step: int = 3) -> PairBatch:
    return draw_batch(Source(), ((24, 16), (16, 24)), batch=6, share=share, seed=5, step=step)


def test_the_parts_of_all_processes_form_the_batch_of_one():
    whole, first, second = batch(slice(0, 6)), batch(slice(0, 3)), batch(slice(3, 6))
    assert torch.equal(torch.cat([first.images0, second.images0]), whole.images0)
    assert torch.equal(torch.cat([first.b, second.b + 3]), whole.b)
    assert torch.equal(torch.cat([first.points1, second.points1]), whole.points1)


def test_steps_use_the_numbers_of_the_run_in_order():
    numbers = [(batch(slice(0, 6), step).images0[:, 0, 0, 0] * 255).round().int().tolist() for step in (0, 1)]
    assert numbers == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_every_match_has_the_index_of_its_pair():
    drawn = batch(slice(0, 6), step=0)
    assert torch.bincount(drawn.b, minlength=6).tolist() == [0, 1, 2, 3, 0, 1]
    assert len(drawn.i) == len(drawn.j) == len(drawn.points1) == 7


def test_all_sizes_are_sampled():
    assert {tuple(batch(slice(0, 1), step).images0.shape[2:]) for step in range(20)} == {(16, 24), (24, 16)}


def test_a_mixture_samples_by_weight():
    mixture = Mixture([Source(1), Source(2), Source(3)], [3.0, 1.0, 0.0])
    shades = [mixture.sample(np.random.default_rng(n), n, 16, 16).image1[0, 0] for n in range(400)]
    assert shades.count(1) == pytest.approx(300, abs=40)
    assert shades.count(3) == 0


def test_weights_must_fit_the_sources():
    with pytest.raises(ValueError, match="weight"):
        Mixture([Source()], [0.0])
    with pytest.raises(ValueError, match="weight"):
        Mixture([Source()], [1.0, 2.0])
