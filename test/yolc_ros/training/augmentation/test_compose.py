"""Training images: objects lie in their boxes, and clusters are enlarged."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from yolc_ros.clusters import LsmConfig
from yolc_ros.datasets.samples import ImageLabels, Sample
from yolc_ros.training.augmentation.compose import (
    AugmentationConfig,
    augment,
    cluster_view,
    draw_object,
    random_view,
    true_clusters,
)
from yolc_ros.training.augmentation.photometry import PhotometryConfig, add_haze, distort

SIZE = (256, 192)
PLAIN = PhotometryConfig(0, 0, 0, 0, 0, 0, 0, 0, 0)
CONFIG = AugmentationConfig(photometry=PLAIN, turn_share=0.0)


def town(clusters: int = 1) -> Sample:
    """Grey ground with blocks of nine white cars, 20 x 10 pixels, and one car far away."""
    image = np.full((480, 640, 3), 80, np.uint8)
    boxes = [(600, 440, 620, 450)]
    for corner in ((60, 60), (400, 300))[:clusters]:
        boxes += [(corner[0] + 30 * i, corner[1] + 30 * j, 0, 0) for i in range(3) for j in range(3)]
    rows = np.array([(x, y, x + 20, y + 10) for x, y, _, _ in boxes], np.float32)
    for x, y, x1, y1 in rows.astype(int):
        image[y:y1, x:x1] = 255
    truth = ImageLabels(rows, np.full(len(rows), 3), np.zeros((0, 4), np.float32), np.ones(10, dtype=bool))
    return Sample("town", image, truth)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("nadir", [False, True])
def test_every_object_has_a_box_or_an_ignored_region(seed: int, nadir: bool) -> None:
    sample = augment(town, nadir, SIZE, CONFIG, np.random.default_rng(seed))
    assert sample.image.shape == (SIZE[1], SIZE[0], 3)
    is_white, is_labelled = sample.image[..., 0] > 167, np.zeros(SIZE[::-1], dtype=bool)
    for x0, y0, x1, y1 in np.concatenate([sample.truth.boxes, sample.truth.ignored]):
        is_labelled[max(0, int(y0) - 1) : int(y1) + 2, max(0, int(x0) - 1) : int(x1) + 2] = True
    assert not (is_white & ~is_labelled).any()
    for x0, y0, x1, y1 in sample.truth.boxes.round().astype(int):
        assert is_white[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].all()


def test_the_random_generator_determines_the_image() -> None:
    first, again, other = (augment(town, True, SIZE, CONFIG, np.random.default_rng(s)) for s in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.truth.boxes, again.truth.boxes)
    assert not np.array_equal(first.image, other.image)


def test_clusters_of_the_truth_contain_the_crowds() -> None:
    regions = true_clusters(town(2), LsmConfig(densest=18, smallest_area=0))
    assert len(regions) == 2
    for corner in ((60, 60), (400, 300)):
        crowd = np.array([*corner, corner[0] + 80, corner[1] + 70])
        assert any((r[:2] <= crowd[:2]).all() and (r[2:] >= crowd[2:]).all() for r in regions)


def test_clusters_are_enlarged_by_the_zoom_of_the_crop_pass() -> None:
    config = replace(CONFIG, scale=(1.0, 1.0), quarter_turn_share=0.0, lsm=LsmConfig(zoom=1.5, smallest_area=0))
    boxes = cluster_view(town(), False, SIZE, config, np.random.default_rng(1)).truth.boxes
    whole = boxes[(boxes > 0).all(1) & (boxes < [SIZE[0], SIZE[1]] * 2).all(1)]
    assert len(whole) > 3
    assert np.allclose(whole[:, 2:] - whole[:, :2], [30, 15], atol=1e-3)


def test_view_of_an_image_without_objects() -> None:
    empty = Sample(
        "empty",
        np.full((100, 80, 3), 9, np.uint8),
        replace(town().truth, boxes=np.zeros((0, 4), np.float32), labels=np.zeros(0, np.int64)),
    )
    rng = np.random.default_rng(0)
    assert draw_object(lambda: empty, replace(CONFIG, at_object=1.0), rng) == (empty, None)
    assert random_view(empty, None, True, SIZE, CONFIG, rng).truth.boxes.shape == (0, 4)
    assert cluster_view(empty, True, SIZE, CONFIG, rng).truth.boxes.shape == (0, 4)


def test_objects_of_rare_classes_are_shown_as_often_as_common_ones() -> None:
    rare = replace(town(), name="rare", truth=replace(town().truth, labels=np.array([8] + [3] * 9)))
    images = [town()] * 4 + [rare]
    known = np.isin(np.arange(10), (3, 8))
    images = [replace(image, truth=replace(image.truth, known=known)) for image in images]
    rng = np.random.default_rng(0)
    config = replace(CONFIG, at_object=1.0, draws=30)
    drawn = [draw_object(lambda: images[rng.integers(5)], config, rng) for _ in range(400)]
    buses = sum(np.array_equal(box, rare.truth.boxes[0]) for _, box in drawn)
    # Half of the objects should be buses, although only one image in five has a bus; four standard deviations.
    assert abs(buses - 200) < 40
    assert all(box is not None for _, box in drawn)


def test_if_no_image_has_the_class_any_object_is_shown() -> None:
    sample, box = draw_object(town, replace(CONFIG, at_object=1.0, draws=2), np.random.default_rng(0))
    assert box is not None
    assert (sample.truth.boxes == box).all(1).any()


def test_the_chosen_object_is_in_the_view() -> None:
    lonely = town().truth.boxes[0]
    for seed in range(10):
        view = random_view(town(), lonely, False, (128, 96), CONFIG, np.random.default_rng(seed))
        assert len(view.truth.boxes) + len(view.truth.ignored) > 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"at_object": 1.85}, r"lie in \[0, 1\]"),
        ({"mirror_share": -0.1}, r"lie in \[0, 1\]"),
        ({"cluster_share": 0.7, "mosaic_share": 0.4}, "together are more than 1"),
        ({"scale": (1.5, 0.7)}, "scale must be a range"),
        ({"draws": 0}, "draws must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AugmentationConfig(**values)  # type: ignore[arg-type]


def test_distortion_changes_the_image_but_not_black_padding() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 20:] = (200, 90, 40)
    changed = distort(image, PhotometryConfig(noise_share=1.0, blur_share=0.0), np.random.default_rng(0))
    assert (changed[:, :20] == 0).all()
    assert np.abs(changed[:, 20:].astype(int) - image[:, 20:]).mean() > 5
    assert (image[:, 20:] == (200, 90, 40)).all()  # the input is not changed


def test_a_negative_swaps_bright_and_dark() -> None:
    image = np.random.default_rng(0).integers(1, 255, (32, 32, 3), dtype=np.uint8)
    negative = distort(image, replace(PLAIN, invert_share=1.0), np.random.default_rng(0))
    assert np.abs(negative.astype(int) - (255 - image)).max() <= 6  # conversion to 8-bit HSV rounds


def test_haze_grows_across_the_image_towards_grey() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[::2] = 255
    hazy = add_haze(image, 0.8, np.random.default_rng(1)).astype(int)
    contrast = (hazy[::2] - hazy[1::2])[..., 0]
    corners = sorted(contrast[[0, 0, -1, -1], [0, -1, 0, -1]])
    assert corners[-1] == pytest.approx(255, abs=6)
    assert corners[0] == pytest.approx(0.2 * 255, abs=6)
    assert np.ptp(hazy - image, axis=2).max() == 0  # without colour


def test_white_balance_multiplies_each_channel() -> None:
    image = np.full((8, 8, 3), 100, np.uint8)
    changed = distort(image, replace(PLAIN, white_balance=0.2), np.random.default_rng(0))
    colour = changed[0, 0].astype(int)
    assert (changed == colour).all()
    assert len(set(colour)) == 3
    assert (np.abs(colour - 100) <= 20).all()


def test_compression_leaves_traces_but_keeps_the_image() -> None:
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(1, 255, (64, 64, 3), dtype=np.uint8), (0, 0), 3)
    changed = distort(image, replace(PLAIN, jpeg_share=1.0, jpeg_quality=1), np.random.default_rng(0))
    difference = np.abs(changed.astype(int) - distort(image, PLAIN, np.random.default_rng(0)))
    assert 0.5 < difference.mean() < 12


@pytest.mark.parametrize("values", [{"haze": 1.5}, {"jpeg_quality": 0}, {"white_balance": 1.0}, {"invert_share": -0.1}])
def test_impossible_distortions_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must|cannot"):
        PhotometryConfig(**values)


def test_zero_distortion_is_nearly_the_identity() -> None:
    image = np.random.default_rng(0).integers(1, 255, (32, 32, 3), dtype=np.uint8)
    kept = distort(image, PLAIN, np.random.default_rng(0))
    assert np.abs(kept.astype(int) - image).max() <= 6  # conversion to 8-bit HSV rounds
