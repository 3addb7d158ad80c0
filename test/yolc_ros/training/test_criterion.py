"""The training loss, and results by class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from yolc_ros.datasets.samples import ImageLabels, Sample
from yolc_ros.detector import Detections
from yolc_ros.network.yolc import YolcOutput
from yolc_ros.training.batches import Batch, collate
from yolc_ros.training.criterion import LossConfig, compute_losses
from yolc_ros.training.targets import make_targets
from yolc_ros.training.validation import class_results


def sample(boxes: list[list[float]], known: bool = True) -> Sample:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    truth = ImageLabels(rows, np.zeros(len(rows), np.int64), np.zeros((0, 4), np.float32), np.array([True, known]))
    return Sample("drawn", np.zeros((32, 64, 3), np.uint8), truth)


def batch_of(*samples: Sample) -> Batch:
    return collate(list(samples), [make_targets(s.truth, 64, 32) for s in samples])


def blank(batch: Batch, refined: bool = True, logit: float = -2.0) -> YolcOutput:
    boxes = torch.zeros(len(batch.images), 4, 8, 16)
    return YolcOutput(torch.full_like(batch.heatmap, logit), boxes, boxes.clone() if refined else None)


def test_box_losses_are_of_their_cells_and_divided_by_the_number_of_objects() -> None:
    batch = batch_of(sample([[8, 8, 24, 16]]), sample([[0, 0, 8, 8], [40, 16, 56, 24]]))
    assert batch.cells.tolist() == [[0, 3, 4], [1, 1, 1], [1, 5, 12]]
    output = blank(batch)
    output.coarse[0, :, 3, 4] = torch.tensor([0.0, 0.0, 2.0, 1.0])  # correct
    output.coarse[1, :, 1, 1] = torch.tensor([0.0, 1.0, 1.0, 1.0])  # one cell too low
    output.coarse[1, :, 5, 12] = torch.tensor([0.0, 0.0, 2.0, 1.0])  # correct
    losses = compute_losses(output, batch, batch.objects, LossConfig(box="l1"))
    assert losses["coarse"].item() == pytest.approx(1 / 3)
    assert losses["refined"].item() == pytest.approx(0.2 * (3 + 2 + 3) / 3)


def test_weights_and_missing_refinement() -> None:
    batch = batch_of(sample([[8, 8, 24, 16]]))
    losses = compute_losses(blank(batch), batch, 1, LossConfig(heatmap_weight=0.5, coarse_weight=2, refined_weight=3))
    total = 0.5 * losses["heatmap"] + 2 * losses["coarse"] + 3 * losses["refined"]
    assert losses["loss"].item() == pytest.approx(total.item())
    assert "refined" not in compute_losses(blank(batch, refined=False), batch, 1, LossConfig())


def test_classes_without_annotations_have_no_loss() -> None:
    everything, half = batch_of(sample([])), batch_of(sample([], known=False))
    all_classes, one_class = (
        compute_losses(blank(b), b, 1, LossConfig())["heatmap"].item() for b in (everything, half)
    )
    assert one_class == pytest.approx(all_classes / 2)


def test_objects_of_a_masked_class_give_no_gradient_of_heatmap_or_boxes() -> None:
    both = sample([[8, 8, 24, 16], [40, 16, 56, 24]], known=False)
    both = replace(both, truth=replace(both.truth, labels=np.array([0, 1])))
    batch = batch_of(both)
    assert batch.objects == 1
    output = blank(batch)
    for tensor in (output.heatmap, output.coarse, output.refined):
        tensor.requires_grad_()
    compute_losses(output, batch, batch.objects, LossConfig())["loss"].backward()
    assert torch.count_nonzero(output.heatmap.grad[:, 1]) == 0
    assert output.heatmap.grad[0, 0, 20, 48] == 0  # the masked object is no background of the other class either
    for maps in (output.coarse, output.refined):
        assert maps.grad.abs().sum(dim=(0, 1)).nonzero().tolist() == [[3, 4]]  # the cell of the first object alone


def test_class_weights_are_in_the_order_of_the_classes() -> None:
    batch = batch_of(sample([]))
    whole, first, second = (
        compute_losses(blank(batch), batch, 1, LossConfig(class_weights=weights))["heatmap"].item()
        for weights in ((), (3.0, 0.0), (0.0, 1.0))
    )
    assert (first, second) == pytest.approx((1.5 * whole, 0.5 * whole))
    with pytest.raises(ValueError, match="negative"):
        LossConfig(class_weights=(1.0, -1.0))


def test_batch_without_objects_has_a_gradient() -> None:
    batch = batch_of(sample([]), sample([]))
    output = blank(batch)
    for tensor in (output.heatmap, output.coarse, output.refined):
        tensor.requires_grad_()
    losses = compute_losses(output, batch, 0, LossConfig())
    losses["loss"].backward()
    assert losses["coarse"].item() == losses["refined"].item() == 0
    assert torch.isfinite(output.heatmap.grad).all()
    assert output.coarse.grad is not None


def test_results_by_class_are_none_for_classes_without_annotations() -> None:
    found = Detections(
        np.array([[0, 0, 8, 8], [1, 1, 5, 5]], np.float32),
        np.array([0.9, 0.8], np.float32),
        np.array([0, 1]),
        np.array([-1, -1]),
        (),
        ("car", "bus"),
    )
    car, bus = class_results(sample([[0, 0, 8, 8]], known=False), found)
    assert car is not None
    assert (car.boxes.tolist(), car.true_boxes.tolist()) == ([[0, 0, 8, 8]], [[0, 0, 8, 8]])
    assert bus is None
