"""The alignment of pixels around matches, on views of a texture whose geometry is exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from loftr_ros.network.fine.pixel_alignment import align_pixels, local_affine

SIZE = 160  # pixels
Texture = Callable[[np.ndarray, np.ndarray], np.ndarray]
TURN = np.array([[1.1 * np.cos(0.4), -1.1 * np.sin(0.4)], [1.1 * np.sin(0.4), 1.1 * np.cos(0.4)]])
SHIFT = np.array([32.3, -20.6])


@pytest.fixture(scope="module")
def waves() -> Texture:
    """A sum of waves of 8 to 40 pixels, which can be evaluated anywhere without interpolation; 60 to 190."""
    rng = np.random.default_rng(0)
    length, angle, phase = rng.uniform(8, 40, 30), rng.uniform(0, np.pi, 30), rng.uniform(0, 2 * np.pi, 30)
    kx, ky = 2 * np.pi / length * np.cos(angle), 2 * np.pi / length * np.sin(angle)

    def texture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 125 + 65 * np.tanh(np.cos(kx * x[..., None] + ky * y[..., None] + phase).sum(-1) / 4)

    return texture


def view(texture: Texture, A: np.ndarray, b: np.ndarray, gain: float = 1, bias: float = 0) -> torch.Tensor:
    """The texture in an image whose pixel p shows the point inv(A) (p - b)."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    seen = np.einsum("ij,jhw->ihw", np.linalg.inv(A), np.stack([x - b[0], y - b[1]]))
    return torch.from_numpy(np.clip(np.rint(gain * texture(*seen) + bias), 0, 255).astype(np.uint8))


def grid(A: np.ndarray, b: np.ndarray, margin: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of image 0, 8 pixels apart, that both images show, and where image 1 shows them, (N, 2) each."""
    points0 = np.stack(np.meshgrid(np.arange(16, SIZE - 16, 8), np.arange(16, SIZE - 16, 8)), -1).reshape(-1, 2)
    points1 = points0 @ A.T + b
    inside = ((points1 > margin) & (points1 < SIZE - margin)).all(1)
    return torch.from_numpy(points0[inside]).float(), torch.from_numpy(points1[inside]).float()


def disturbed(points: torch.Tensor, sigma: float, seed: int = 0) -> torch.Tensor:
    return points + sigma * torch.randn(points.shape, generator=torch.Generator().manual_seed(seed))


def aligned(image0: torch.Tensor, image1: torch.Tensor, points0: torch.Tensor, points1: torch.Tensor):
    return align_pixels(image0, image1, points0, points1, torch.ones(len(points0)))


@pytest.mark.parametrize(("gain", "bias"), [(1, 0), (0.7, 40)])
def test_turned_and_scaled_views_in_another_light_are_aligned_to_a_tenth_of_a_pixel(waves, gain, bias):
    images = view(waves, np.eye(2), np.zeros(2)), view(waves, TURN, SHIFT, gain, bias)
    points0, true = grid(TURN, SHIFT)
    start = disturbed(true, 0.6)
    assert len(true) > 100
    found, spread = aligned(*images, points0, start)
    error, before = (found - true).norm(dim=1), (start - true).norm(dim=1)
    assert before.median() > 0.6
    assert error.median() < 0.06
    assert (error < 0.25).float().mean() > 0.97
    assert (spread < 0.3).float().mean() > 0.97


def test_the_spread_follows_the_error_in_noise(waves):
    generator = torch.Generator().manual_seed(1)
    points0, true = grid(np.eye(2), np.array([0.4, 0.3]))
    medians = []
    for noise in (4.0, 16.0):
        images = [
            (view(waves, np.eye(2), np.array(b)).float() + noise * torch.randn(SIZE, SIZE, generator=generator))
            for b in ((0, 0), (0.4, 0.3))
        ]
        found, spread = aligned(*images, points0, disturbed(true, 0.5))
        moved = spread < 1  # the others are too noisy to be aligned
        assert moved.float().mean() > 0.6
        rms = ((found - true)[moved].square().sum(1) / 2).mean().sqrt()
        assert 0.4 < spread[moved].median() / rms < 2.5
        medians.append(float(spread[moved].median()))
    assert medians[1] > medians[0]


def test_flat_patches_keep_the_match():
    image = torch.full((SIZE, SIZE), 90, dtype=torch.uint8)
    points0, true = grid(np.eye(2), np.zeros(2))
    start = disturbed(true, 0.6)
    found, spread = aligned(image, image, points0, start)
    torch.testing.assert_close(found, start)
    torch.testing.assert_close(spread, torch.ones(len(start)))


def test_across_an_edge_the_match_moves_and_along_it_the_network_decides():
    def edge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 120 + 80 * np.tanh((x - 80) / 2)

    images = view(edge, np.eye(2), np.zeros(2)), view(edge, np.eye(2), np.array([0.5, 0.0]))
    points0 = torch.stack([torch.full((12,), 80.0), torch.linspace(30, 130, 12)], 1)
    start = points0 + torch.tensor([1.3, 0.7])
    found, spread = aligned(*images, points0, start)
    torch.testing.assert_close(found - points0, torch.tensor([0.5, 0.7]).expand(12, 2), atol=0.05, rtol=0)
    assert spread.min() > 0.5  # one of the two axes is as uncertain as before


def test_patches_that_show_different_things_keep_the_match(waves):
    other = view(waves, np.eye(2), np.array([1000.0, 500.0]))
    points0, true = grid(np.eye(2), np.zeros(2))
    found, spread = aligned(view(waves, np.eye(2), np.zeros(2)), other, points0, true)
    assert ((found == true).all(1) & (spread == 1)).float().mean() > 0.8


def test_points_at_the_border_and_single_matches_stay_finite(waves):
    image = view(waves, np.eye(2), np.zeros(2))
    points = torch.tensor([[0.0, 0.0], [SIZE - 1.0, 3.0], [40.0, SIZE - 1.0]])
    for chosen in (points, points[:1], points[:0]):
        found, spread = aligned(image, image, chosen, chosen + 0.3)
        assert found.shape == chosen.shape
        assert spread.shape == chosen.shape[:1]
        assert found.isfinite().all()
        assert ((found - chosen).norm(dim=1) < 3.5).all()


def test_the_local_map_of_an_affine_motion_is_its_matrix_despite_wrong_matches():
    points0, points1 = grid(TURN, SHIFT)
    points1 = points1.clone()
    points1[::9] += torch.tensor([25.0, -14.0])
    expected = torch.from_numpy(TURN).float().expand(len(points0), 2, 2)
    good = torch.ones(len(points0), dtype=torch.bool)
    good[::9] = False
    torch.testing.assert_close(local_affine(points0, points1)[good], expected[good], atol=0.03, rtol=0)
