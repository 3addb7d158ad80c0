"""Refines matches on the pixels themselves: aligns a patch around each point of image 0 with image 1.

The inverse compositional algorithm (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 56, 2004, section 3.2) with a
translation per patch. Patches are normalised to mean 0 and variance 1, so that brightness and contrast may differ, and
warped by the local affine map of the matches, so that rotation and scale may. The position of the network is a prior:
a match stays there where its patch shows no structure, and moves across an edge only where it shows nothing else.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

NEIGHBOURS = 16  # matches from which the affine map around a point is estimated
CANDIDATES = 4096  # matches among which they are sought, to bound the time for large images
AFFINE_STEPS = 4  # of reweighting; few neighbours are wrong
AFFINE_SCALE = 1.0  # pixels; a neighbour this far from the affine map weighs a quarter
RADIUS = 6.5  # pixels, of a patch, which is a disc
WINDOW_SIGMA = 0.6  # of the Gaussian weights of the pixels of a patch, relative to RADIUS
STEPS = 5  # of Gauss-Newton; the median change of the sixth is below 0.01 pixels
PRIOR_SIGMA = 1.0  # pixels, error of a match before the alignment, per axis
NOISE = 0.35  # smallest standard deviation of a normalised gray value; noise of near pixels is correlated
LEAST_CONTRAST = 2.0  # gray levels, smallest standard deviation by which a patch is divided
LEAST_CORRELATION = 0.7  # of the patches after the alignment; below it they are thought to show different things
LARGEST_SHIFT = 3.0  # pixels; an alignment that goes further is thought to be wrong
AT_ONCE = 1024  # matches that are aligned at a time, to bound the memory


def align_pixels(
    gray0: torch.Tensor, gray1: torch.Tensor, points0: torch.Tensor, points1: torch.Tensor, spread: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Align the patches around the matches of two images.

    gray0, gray1: (H, W), gray values 0 to 255, any dtype. points0, points1: (N, 2) float32, pixels (x, y), pixel
    centres at integers. spread: (N,) float32, pixels. Returns points1 and spread after the alignment: the standard
    deviation per axis from the curvature of the squared error. Matches whose patches cannot be aligned keep both.
    """
    if not len(points0):
        return points1, spread
    images = _with_gradient(gray0.float()), gray1.float()[None]
    affine = local_affine(points0, points1)
    slices = [slice(start, start + AT_ONCE) for start in range(0, len(points0), AT_ONCE)]
    parts = [_align(*images, points0[s], points1[s], affine[s], spread[s]) for s in slices]
    points, spreads = zip(*parts, strict=True)
    return torch.cat(points), torch.cat(spreads)


def local_affine(points0: torch.Tensor, points1: torch.Tensor) -> torch.Tensor:
    """Derivative (N, 2, 2) of points1 by points0, each (N, 2), by robust least squares over near matches."""
    every = -(-len(points0) // CANDIDATES)
    some0, some1 = points0[::every], points1[::every]
    count = min(NEIGHBOURS, len(some0))
    near = torch.cat([torch.cdist(part, some0).topk(count, largest=False).indices for part in points0.split(AT_ONCE)])
    x, y = some0[near], some1[near]
    identity = torch.eye(2, device=x.device)
    weight = torch.ones_like(x[..., :1])
    affine = identity.expand(len(x), 2, 2)
    for _ in range(AFFINE_STEPS):
        total = weight.sum(1, keepdim=True)
        dx = x - (weight * x).sum(1, keepdim=True) / total
        dy = y - (weight * y).sum(1, keepdim=True) / total
        moments = (weight * dx).mT @ dx + identity  # the identity bounds it for points on a line
        affine = ((weight * dy).mT @ dx + identity) @ _inverse(moments)
        error = (dy - dx @ affine.mT).square().sum(2, keepdim=True)
        scale = (2 * error.sqrt().median(1, keepdim=True).values).clamp(min=AFFINE_SCALE)
        weight = (1 + error / scale.square()) ** -2
    return affine


def _with_gradient(gray: torch.Tensor) -> torch.Tensor:
    """Return the image (H, W) and its central differences along x and y as (3, H, W)."""
    gradient = torch.zeros(2, *gray.shape, device=gray.device)
    gradient[0, :, 1:-1] = (gray[:, 2:] - gray[:, :-2]) / 2
    gradient[1, 1:-1] = (gray[2:] - gray[:-2]) / 2
    return torch.cat([gray[None], gradient])


def _align(
    image0: torch.Tensor,
    image1: torch.Tensor,
    points0: torch.Tensor,
    points1: torch.Tensor,
    affine: torch.Tensor,
    spread: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """See `align_pixels`. image0: (3, H, W), with its gradient. image1: (1, H, W). affine: (N, 2, 2)."""
    offsets, weight = _patch(points0.device)
    template = _sample(image0, points0[:, None] + offsets)
    gray, gradient = template[..., 0], template[..., 1:]
    normalised, contrast = _normalise(gray, weight)
    # The derivative of the normalised patch has no part along the mean and along the patch itself.
    jacobian = gradient / contrast[..., None]
    jacobian = jacobian - torch.einsum("npi,p->ni", jacobian, weight)[:, None]
    along = torch.einsum("npi,np,p->ni", jacobian, normalised, weight)
    jacobian = jacobian - normalised[..., None] * along[:, None]
    pixels = 1 / weight.square().sum()  # the number of pixels that count
    weighted = jacobian * weight[:, None] * pixels
    information = jacobian.mT @ weighted
    prior = torch.eye(2, device=points0.device) / PRIOR_SIGMA**2
    around = offsets @ affine.mT

    shift = torch.zeros_like(points1)  # in image 0
    correlations, moved, precision = [], points1, prior.expand_as(affine)
    for step in range(STEPS + 1):
        moved = points1 + torch.einsum("nij,nj->ni", affine, shift)
        seen = _normalise(_sample(image1, moved[:, None] + around)[..., 0], weight)[0]
        correlations.append((seen * normalised * weight).sum(1))
        difference = seen - normalised
        variance = (difference.square() * weight).sum(1).clamp(min=NOISE**2)[:, None]
        precision = information / variance[..., None] + prior
        if step < STEPS:
            slope = torch.einsum("npi,np->ni", weighted, difference) / variance + shift / PRIOR_SIGMA**2
            shift = shift - torch.einsum("nij,nj->ni", _inverse(precision), slope)
    covariance = affine @ _inverse(precision) @ affine.mT
    sigma = (covariance.diagonal(dim1=1, dim2=2).sum(1) / 2).clamp(min=0).sqrt()
    good = (correlations[-1] >= correlations[0]) & (correlations[-1] > LEAST_CORRELATION)
    good &= shift.norm(dim=1) < LARGEST_SHIFT
    good &= moved.isfinite().all(1) & sigma.isfinite()
    return torch.where(good[:, None], moved, points1), torch.where(good, sigma, spread)


@lru_cache(maxsize=4)
def _patch(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pixels of a patch, (P, 2) from its centre, and their weights (P,), which sum to 1."""
    axis = torch.arange(-math.floor(RADIUS), math.floor(RADIUS) + 1, device=device, dtype=torch.float32)
    square = torch.cartesian_prod(axis, axis)
    offsets = square[square.norm(dim=1) <= RADIUS]
    weight = torch.exp(-offsets.square().sum(1) / (2 * (WINDOW_SIGMA * RADIUS) ** 2))
    return offsets, weight / weight.sum()


def _inverse(matrices: torch.Tensor) -> torch.Tensor:
    """Inverses of matrices (N, 2, 2); in closed form, since LAPACK takes them one by one."""
    (a, b), (c, d) = matrices[:, 0].T, matrices[:, 1].T
    adjugate = torch.stack([d, -b, -c, a], dim=1).reshape(-1, 2, 2)
    return adjugate / (a * d - b * c)[:, None, None]


def _normalise(gray: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches (N, P) with weighted mean 0 and variance 1, and the standard deviations (N, 1) that divided them."""
    centred = gray - (gray * weight).sum(1, keepdim=True)
    contrast = (centred.square() * weight).sum(1, keepdim=True).sqrt().clamp(min=LEAST_CONTRAST)
    return centred / contrast, contrast


def _sample(image: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Bilinear values (N, P, C) of an image (C, H, W) at points (N, P, 2); the border is repeated outside."""
    height, width = image.shape[1:]
    size = torch.cat([torch.full((1,), max(side - 1, 1), device=points.device) for side in (width, height)])
    grid = 2 * points / size - 1
    values = torch.nn.functional.grid_sample(image[None], grid[None], padding_mode="border", align_corners=True)
    return values[0].permute(1, 2, 0)
