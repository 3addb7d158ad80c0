"""Known places: where the matches around them say they went, on maps that are known exactly."""

import numpy as np
import pytest
import torch

from loftr_ros.network.fine.onward import FEWEST, Grid, first_of_each_cell, fit_linear, predict, repeats

STRIDE, FINE = 8, 2
TURN = torch.tensor([[0.9, -0.35], [0.3, 1.05]])
OFFSET = torch.tensor([40.0, -25.0])
GRID = Grid(shape=(30, 40), columns=40, stride=STRIDE, fine_stride=FINE)


def flow(points):
    """An affine map, and a slow parallax on top of it that is at most 6 pixels."""
    parallax = 6 * torch.stack([torch.sin(points[:, 1] / 60), torch.cos(points[:, 0] / 80)], dim=1)
    return points @ TURN.T + OFFSET + parallax


def matches(wrong=0.0, seed=0):
    """Cells of 40 x 30 with their flow, of which a share is wrong."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(30.0), torch.arange(40.0), indexing="ij")
    points0 = STRIDE * torch.stack([x.flatten(), y.flatten()], dim=1)
    points1 = flow(points0)
    is_wrong = torch.rand(len(points0), generator=generator) < wrong
    points1[is_wrong] = 300 * torch.rand(int(is_wrong.sum()), 2, generator=generator)
    return points0, points1, torch.rand(len(points0), generator=generator)


def random_places(count=400, seed=1):
    return 4 + torch.rand(count, 2, generator=torch.Generator().manual_seed(seed)) * torch.tensor([304.0, 224.0])


@pytest.mark.parametrize("wrong", [0.0, 0.25])
def test_places_go_where_the_matches_around_them_go(wrong):
    places = random_places()
    found = predict(places, *matches(wrong), STRIDE)
    assert len(found.points0) > (0.9 if wrong else 0.999) * len(places)
    error = (found.points1 - flow(found.points0)).norm(dim=1)
    assert error.median() < 0.6
    assert error.quantile(0.95) < 3.0  # within the window of the fine stage
    assert torch.isin(found.points0, places).all()


def test_the_remainder_turns_with_the_image():
    linear = predict(random_places(), *matches(0.25), STRIDE).linear
    torch.testing.assert_close(linear, TURN, atol=0.1, rtol=0)  # the parallax has a slope, too


def test_no_prediction_without_neighbours_or_where_they_disagree():
    points0, points1, confidence = matches()
    far = torch.tensor([[900.0, 900.0]])
    assert len(predict(far, points0, points1, confidence, STRIDE).points0) == 0
    few = slice(0, FEWEST - 1)
    assert len(predict(points0[few], points0[few], points1[few], confidence[few], STRIDE).points0) == 0
    scattered = points1 + 400 * torch.rand(points1.shape, generator=torch.Generator().manual_seed(2))
    assert len(predict(random_places(), points0, scattered, confidence, STRIDE).points0) < 20
    assert len(predict(points0[:0], points0, points1, confidence, STRIDE).points0) == 0


def test_the_confidence_is_that_of_the_matches_around():
    points0, points1, _ = matches()
    left = points0[:, 0] < 160
    found = predict(random_places(), points0, points1, torch.where(left, 0.25, 0.75), STRIDE)
    assert (found.confidence[found.points0[:, 0] < 120] == 0.25).all()
    assert (found.confidence[found.points0[:, 0] > 200] == 0.75).all()


def test_the_linear_part_needs_points_in_two_directions():
    line = torch.stack([torch.arange(50.0), torch.zeros(50)], dim=1)
    assert torch.equal(fit_linear(line, line @ TURN.T), torch.eye(2))
    points0, points1, _ = matches(wrong=0.4)
    exact = points0 @ TURN.T + OFFSET
    off = (points1 - flow(points0)).norm(dim=1) > 1
    torch.testing.assert_close(fit_linear(points0, torch.where(off[:, None], points1, exact)), TURN)


def test_the_linear_part_of_a_turned_image():
    turn = torch.tensor([[0.0, -1.1], [1.1, 0.0]])
    points0, wrong, _ = matches(wrong=1.0)
    is_wrong = torch.arange(len(points0)) % 4 == 0
    points1 = torch.where(is_wrong[:, None], wrong, points0 @ turn.T + OFFSET)
    torch.testing.assert_close(fit_linear(points0, points1), turn)


def test_the_first_place_of_each_cell_is_taken():
    places = random_places(600)
    seen, expected = set(), []
    for number, place in enumerate(places.numpy()):
        cell = tuple(np.rint(place / STRIDE).astype(int))
        if cell not in seen:
            expected.append(number)
        seen.add(cell)
    assert 100 < len(expected) < 600
    assert first_of_each_cell(places, STRIDE).tolist() == expected
    assert first_of_each_cell(places[:0], STRIDE).tolist() == []


def test_cell_window_and_remainder_make_the_point():
    points = random_places()
    cells = GRID.cells(points)
    centres = STRIDE * torch.stack([cells % 40, cells // 40], dim=1)
    windows = centres + FINE * GRID.fine_shift(points)
    torch.testing.assert_close(windows + GRID.remainder(points), points)
    assert GRID.remainder(points).abs().max() <= FINE / 2
    assert GRID.fine_shift(points).abs().max() <= STRIDE / FINE / 2


def test_points_beyond_the_cells_are_outside():
    points = torch.tensor([[-5.0, 10.0], [0.0, 0.0], [315.0, 235.0], [317.0, 10.0], [10.0, 237.0]])
    assert GRID.contains(points).tolist() == [False, True, True, False, False]


def test_a_padded_map_ends_where_its_mask_does():
    mask = torch.zeros(30, 40, dtype=torch.bool)
    mask[:20, :25] = True
    grid = Grid.of(torch.zeros(30, 40, 3), mask, STRIDE, FINE)
    assert (grid.shape, grid.columns) == ((20, 25), 40)
    assert grid.contains(torch.tensor([[191.0, 151.0], [199.0, 10.0]])).tolist() == [True, False]


def test_a_match_beside_a_place_is_a_repetition_only_if_it_goes_the_same_way():
    places0, places1 = torch.tensor([[100.0, 100.0]]), torch.tensor([[150.0, 80.0]])
    points0 = torch.tensor([[104.0, 100.0], [104.0, 100.0], [110.0, 100.0]])
    points1 = torch.tensor([[155.0, 81.0], [180.0, 80.0], [160.0, 80.0]])
    assert repeats(points0, points1, places0, places1, STRIDE).tolist() == [True, False, False]
    assert repeats(points0, points1, places0[:0], places1[:0], STRIDE).tolist() == [False] * 3
