"""Losses compared with closed forms, numerical gradients, and boxes painted pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolc_ros.training.losses import (
    box_loss,
    ciou_loss,
    diou_loss,
    gaussian_focal_loss,
    giou_loss,
    gwd_loss,
    l1_loss,
    point_giou_loss,
)

NAMES = ["l1", "giou", "diou", "ciou", "ciou_gated", "point_giou", "gwd", "gwd_l1"]


def boxes(*rows: tuple[float, float, float, float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def focal_by_hand(p: np.ndarray, t: np.ndarray, trust: np.ndarray, known: np.ndarray | float = 1.0) -> float:
    at_object = -np.log(p) * (1 - p) ** 2
    elsewhere = -np.log(1 - p) * p**2 * (1 - t) ** 4 * trust
    return float((np.where(t == 1, at_object, elsewhere) * known).sum())


def test_the_focal_loss_equals_the_published_formula() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (2, 3, 4, 5))
    target = rng.uniform(0, 0.9, logits.shape)
    target[0, 1, 2, 3] = target[1, 0, 0, 0] = 1
    trust, known = rng.random((2, 4, 5)) < 0.7, rng.random((2, 3)) < 0.7
    inputs = torch.from_numpy(logits.astype(np.float32)).requires_grad_()
    got = gaussian_focal_loss(
        inputs, torch.from_numpy(target.astype(np.float32)), torch.from_numpy(trust), torch.from_numpy(known)
    )
    assert not known.all()

    def by_hand(x: np.ndarray) -> float:
        return focal_by_hand(1 / (1 + np.exp(-x)), target, trust[:, None].astype(float), known[:, :, None, None])

    assert got.item() == pytest.approx(by_hand(logits), rel=1e-5)
    (3 * got).backward()
    for place in np.ndindex(logits.shape):
        step = np.zeros(logits.shape)
        step[place] = 1e-5
        slope = (by_hand(logits + step) - by_hand(logits - step)) / 2e-5
        assert inputs.grad[place].item() == pytest.approx(3 * slope, rel=1e-4, abs=1e-5)


def test_class_weights_scale_the_loss_and_its_gradient() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 5, 6, generator=generator)
    target = torch.rand(2, 3, 5, 6, generator=generator) * 0.9
    target[0, 0, 1, 1] = target[1, 2, 3, 4] = 1
    everywhere = torch.ones(2, 5, 6, dtype=torch.bool), torch.ones(2, 3, dtype=torch.bool)
    weights = torch.tensor([0.5, 0.0, 3.0])
    weighted, plain = (logits.clone().requires_grad_() for _ in range(2))
    loss = gaussian_focal_loss(weighted, target, *everywhere, weights)
    loss.backward()
    gaussian_focal_loss(plain, target, *everywhere).backward()
    p = 1 / (1 + np.exp(-logits.double().numpy()))
    by_hand = [focal_by_hand(p[:, k], target[:, k].numpy(), np.ones((2, 5, 6))) for k in range(3)]
    assert loss.item() == pytest.approx(0.5 * by_hand[0] + 3 * by_hand[2], rel=1e-5)
    torch.testing.assert_close(weighted.grad, plain.grad * weights[:, None, None])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_focal_loss_of_a_large_map_in_half_precision(layout: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 70, 33, generator=generator).to(torch.bfloat16).to(memory_format=layout).requires_grad_()
    target = torch.rand(2, 4, 70, 33, generator=generator) ** 3
    target[:, :, ::9, ::7] = 1
    trust = torch.rand(2, 70, 33, generator=generator) < 0.8
    known = torch.tensor([[True, True, False, True], [True, False, True, True]])
    loss = gaussian_focal_loss(logits, target, trust, known)
    loss.backward()
    masks = trust[:, None].numpy().astype(float), known[:, :, None, None].numpy()
    p = 1 / (1 + np.exp(-logits.detach().double().numpy()))
    assert loss.item() == pytest.approx(focal_by_hand(p, target.numpy(), *masks), rel=1e-4)
    assert logits.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_masked_class_has_no_gradient_and_the_others_keep_theirs_bit_for_bit(layout: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 10, 40, 24, generator=generator).to(memory_format=layout)
    target = (torch.rand(2, 10, 40, 24, generator=generator) ** 3).to(memory_format=layout)
    target[:, :, ::7, ::5] = 1  # objects of every class
    trust = torch.rand(2, 40, 24, generator=generator) < 0.8
    all_known, known = torch.ones(2, 10, dtype=torch.bool), torch.ones(2, 10, dtype=torch.bool)
    known[0, [1, 4, 9]] = False
    known[1] = False
    weights = torch.rand(10, generator=generator)
    plain, masked = (logits.clone(memory_format=torch.preserve_format).requires_grad_() for _ in range(2))
    gaussian_focal_loss(plain, target, trust, all_known, weights).backward()
    loss = gaussian_focal_loss(masked, target, trust, known, weights)
    loss.backward()
    assert torch.count_nonzero(plain.grad) > 0.7 * plain.grad.numel()
    assert torch.equal(masked.grad, torch.where(known[:, :, None, None], plain.grad, 0.0))
    target[~known] = 0.5  # what a masked class is labelled with does not matter
    assert gaussian_focal_loss(logits, target, trust, known, weights).item() == loss.item()


def test_focal_loss_is_finite_for_extreme_logits() -> None:
    logits = torch.tensor([[[[-300.0, 300.0, -300.0, 300.0]]]], requires_grad=True)
    everywhere = torch.ones(1, 1, 4, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool)
    loss = gaussian_focal_loss(logits, torch.tensor([[[[1.0, 1.0, 0.0, 0.0]]]]), *everywhere)
    loss.backward()
    assert loss.item() == pytest.approx(600)  # a missed object and a false alarm, each 300 nats
    assert torch.isfinite(logits.grad).all()


def test_untrusted_background_has_no_gradient_but_objects_have() -> None:
    logits = torch.zeros(1, 1, 1, 3, requires_grad=True)
    nowhere = torch.zeros(1, 1, 3, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool)
    gaussian_focal_loss(logits, torch.tensor([[[[0.5, 1.0, 0.0]]]]), *nowhere).backward()
    assert logits.grad[0, 0, 0, 0] == 0
    assert logits.grad[0, 0, 0, 1] < 0
    assert logits.grad[0, 0, 0, 2] == 0


def test_gwd_of_a_pythagorean_difference() -> None:
    loss = gwd_loss(boxes((3, 4, 2, 2)), boxes((0, 0, 2, 2)))
    assert loss.item() == pytest.approx(1 - 1 / (1 + math.log(1 + 5)))


def test_gwd_is_the_wasserstein_distance_of_gaussians() -> None:
    # For N(m, S): W2^2 = |m1 - m2|^2 + trace(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2)
    (x0, y0, w0, h0), (x1, y1, w1, h1) = (1.0, 2.0, 3.0, 1.5), (0.5, 2.5, 2.0, 2.5)
    s0, s1 = np.diag([w0**2, h0**2]), np.diag([w1**2, h1**2])
    cross = np.sqrt(np.sqrt(s0) @ s1 @ np.sqrt(s0))
    distance = math.sqrt((x0 - x1) ** 2 + (y0 - y1) ** 2 + np.trace(s0 + s1 - 2 * cross))
    loss = gwd_loss(boxes((x0, y0, w0, h0)), boxes((x1, y1, w1, h1)))
    assert loss.item() == pytest.approx(1 - 1 / (1 + math.log(1 + distance)))


def test_the_published_loss_weights_sizes_by_a_fifth() -> None:
    predicted, true = boxes((1, 0, 3, 2)), boxes((0, 0, 1, 2))
    assert l1_loss(predicted, true).item() == pytest.approx(1 + 0.2 * 2)
    gwd = 1 - 1 / (1 + math.log(1 + math.sqrt(5)))
    assert box_loss("gwd_l1")(predicted, true).item() == pytest.approx(2 * gwd + 0.5 * 1.4)


def test_disjoint_boxes_by_hand() -> None:
    predicted, true = boxes((1, 1, 1, 1)), boxes((5, 1, 1, 1))  # 2 x 2 each in a hull of 6 x 2
    assert giou_loss(predicted, true).item() == pytest.approx(1 + (12 - 8) / 12)
    assert diou_loss(predicted, true).item() == pytest.approx(1 + 16 / (36 + 4))
    assert ciou_loss(predicted, true).item() == pytest.approx(1 + 16 / 40)  # same aspect ratio


def test_the_gate_of_mmdetection_counts_the_aspect_ratio_from_an_iou_of_one_half() -> None:
    rng = np.random.default_rng(0)
    true = np.tile([0.0, 0.0, 3.0, 2.0], (200, 1))
    predicted = true + rng.normal(0, 0.8, (200, 4)) * (1, 1, 0.5, 0.5)
    predicted[:, 2:] = np.maximum(predicted[:, 2:], 1.0)
    expected, above = [], 0
    for (px, py, pw, ph), (tx, ty, tw, th) in zip(predicted, true, strict=True):
        width = max(0, min(px + pw, tx + tw) - max(px - pw, tx - tw))
        height = max(0, min(py + ph, ty + th) - max(py - ph, ty - th))
        iou = width * height / (4 * pw * ph + 4 * tw * th - width * height)
        around = max(px + pw, tx + tw) - min(px - pw, tx - tw), max(py + ph, ty + th) - min(py - ph, ty - th)
        v = 4 / math.pi**2 * (math.atan(tw / th) - math.atan(pw / ph)) ** 2
        alpha = v / (1 - iou + v) if iou > 0.5 else 0
        above += iou > 0.5
        expected.append(1 - iou + ((px - tx) ** 2 + (py - ty) ** 2) / (around[0] ** 2 + around[1] ** 2) + alpha * v)
    assert 50 < above < 190
    found = box_loss("ciou_gated")(torch.from_numpy(predicted), torch.from_numpy(true))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_ciou_adds_the_aspect_ratio() -> None:
    predicted, true = boxes((0, 0, 2, 1)), boxes((0, 0, 1, 2))
    iou = 4 / 12
    v = 4 / math.pi**2 * (math.atan(0.5) - math.atan(2)) ** 2
    assert ciou_loss(predicted, true).item() == pytest.approx(1 - iou + v * v / (1 - iou + v), rel=1e-6)


def test_point_giou_of_a_shifted_and_of_a_smaller_box() -> None:
    true = boxes((0, 0, 3, 2))
    assert point_giou_loss(boxes((0.5, 0, 3, 2)), true).item() == pytest.approx(1 - 5.5 / 6.5)
    # Narrower by 1 at each side: three points are equal, six differ by 1 of the width of 6.
    assert point_giou_loss(boxes((0, 0, 2, 2)), true).item() == pytest.approx(6 / 9 * (1 - 5 / 7))


whole = st.integers(1, 12)


@settings(deadline=None, max_examples=50)
@given(st.tuples(whole, whole, whole, whole), st.tuples(whole, whole, whole, whole))
def test_iou_losses_equal_those_of_painted_boxes(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    painted, corners = [], []
    for x, y, w, h in (first, second):
        mask = np.zeros((30, 30), dtype=bool)
        mask[y : y + h, x : x + w] = True
        painted.append(mask)
        corners.append((x + w / 2, y + h / 2, w / 2, h / 2))
    iou = (painted[0] & painted[1]).sum() / (painted[0] | painted[1]).sum()
    ys, xs = np.nonzero(painted[0] | painted[1])
    width, height = np.ptp(xs) + 1, np.ptp(ys) + 1
    giou = iou - (width * height - (painted[0] | painted[1]).sum()) / (width * height)
    apart = (corners[0][0] - corners[1][0]) ** 2 + (corners[0][1] - corners[1][1]) ** 2
    predicted, true = boxes(corners[0]), boxes(corners[1])
    assert giou_loss(predicted, true).item() == pytest.approx(1 - giou, abs=1e-5)
    assert diou_loss(predicted, true).item() == pytest.approx(1 - iou + apart / (width**2 + height**2), abs=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("ciou")])
def test_gradients_equal_numerical_ones(name: str) -> None:
    generator = torch.Generator().manual_seed(3)
    predicted = torch.rand(6, 4, generator=generator, dtype=torch.float64) * 3 + 0.5
    true = torch.rand(6, 4, generator=generator, dtype=torch.float64) * 3 + 0.5
    assert torch.autograd.gradcheck(lambda x: box_loss(name)(x, true), predicted.requires_grad_())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "row", [(0.0, 0.0, 2.0, 1.0), (0.0, 0.0, 0.0, 0.0), (0.3, -0.2, -1.0, -0.5), (90.0, 0.0, 1.0, 1.0)]
)
def test_gradients_are_finite_at_equal_empty_inverted_and_distant_boxes(name: str, row: tuple[float, ...]) -> None:
    predicted = torch.tensor([row], requires_grad=True)
    loss = box_loss(name)(predicted, torch.tensor([[0.0, 0.0, 2.0, 1.0]]))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(predicted.grad).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_box_has_no_loss_and_no_boxes_are_no_error(name: str) -> None:
    box = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert box_loss(name)(box, box).item() == pytest.approx(0, abs=1e-5)
    assert box_loss(name)(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_descent_moves_an_overlapping_box_to_the_object(name: str) -> None:
    predicted = torch.tensor([[2.0, -1.0, 1.0, 1.0]], requires_grad=True)
    true = torch.tensor([[0.5, 0.5, 3.0, 2.0]])
    optimizer = torch.optim.Adam([predicted], lr=0.1)
    for _ in range(400):
        optimizer.zero_grad()
        box_loss(name)(predicted, true).sum().backward()
        optimizer.step()
    assert torch.allclose(predicted.detach(), true, atol=0.2)
