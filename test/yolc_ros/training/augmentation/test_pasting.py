"""Copy and paste: outlines are found, boxes are those of the changed pixels, and labels stay true."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from perception_common.config import from_mapping
from perception_common.errors import InputError
from yolc_ros.datasets.mixture import Mixture, Part
from yolc_ros.datasets.samples import ImageLabels, Sample
from yolc_ros.datasets.sources import SourcesConfig
from yolc_ros.training.augmentation.compose import AugmentationConfig
from yolc_ros.training.augmentation.pasting.cut_outs import CutOut, cut_out
from yolc_ros.training.augmentation.pasting.paste import Ground, PasteConfig, paste_objects
from yolc_ros.training.augmentation.pasting.pool import Pasting, open_pasting
from yolc_ros.training.batches import BatchMaker

CAR, BUS = 0, 1
METRES = (4.0, 10.0)
GREY = 90
NADIR = Ground(True, (8.0, 8.0), METRES)
CONFIG = PasteConfig(objects=(4, 4))


def labelled(image: np.ndarray, boxes: list[tuple[float, ...]], *, known: tuple[bool, bool] = (True, True)) -> Sample:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    truth = ImageLabels(rows, np.zeros(len(rows), np.int64), np.zeros((0, 4), np.float32), np.array(known))
    return Sample("drawn", image, truth)


def ground(height: int = 300, width: int = 400, level: int = GREY) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def red_car(label: int = CAR, known: tuple[bool, bool] = (True, True)) -> CutOut:
    """Make an ellipse of 40 x 20 pixels on ground of level 90, which differs from any grey in all its pixels."""
    image, mask = ground(30, 60), np.zeros((30, 60), np.uint8)
    cv2.ellipse(mask, (30, 15), (20, 10), 0, 0, 360, 255, cv2.FILLED)
    image[mask > 0] = (250, 0, 0)
    return CutOut(image, mask, label, np.array(known), float(GREY))


def textured_car(angle: float) -> tuple[Sample, np.ndarray, tuple[float, ...]]:
    """Draw a bright car with dark windows on noisy ground -> the image, its true pixels and its box."""
    rng = np.random.default_rng(1)
    image = rng.integers(70, 110, (120, 160, 3), dtype=np.uint8)
    mask = np.zeros((120, 160), np.uint8)
    corners = cv2.boxPoints(((80.0, 60.0), (60.0, 28.0), angle)).round().astype(np.int32)
    cv2.fillPoly(mask, [corners], 255)
    image[mask > 0] = (220, 60, 40)
    cv2.circle(image, (80, 60), 6, (30, 30, 30), cv2.FILLED)
    ys, xs = np.nonzero(mask)
    box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
    return labelled(image, [box]), mask > 0, box


@pytest.mark.parametrize("angle", [0, 30, 45, 80])
def test_the_outline_of_an_object_is_found_with_its_windows(angle: float) -> None:
    sample, true_mask, box = textured_car(angle)
    (found,) = cut_out(sample, margin=0.2, smallest_side=10)
    mask = np.zeros(true_mask.shape, dtype=bool)
    x0, y0 = (int(np.floor(box[i] - 0.2 * (box[i + 2] - box[i]))) for i in (0, 1))
    mask[y0 : y0 + found.mask.shape[0], x0 : x0 + found.mask.shape[1]] = found.mask > 0
    assert (mask & true_mask).sum() / (mask | true_mask).sum() > 0.93
    assert mask[60, 80]  # a window
    assert found.ground == pytest.approx(89.5, abs=3)


def test_objects_that_may_be_hidden_or_are_small_or_cannot_be_outlined_are_left_out() -> None:
    sample, _, (_, y0, x1, y1) = textured_car(0)
    assert len(cut_out(sample, 0.2, 10)) == 1
    assert cut_out(sample, 0.2, y1 - y0 + 1) == []
    neighbour = replace(sample.truth, ignored=np.array([[x1 + 2, y0, x1 + 30, y1]], np.float32))
    assert cut_out(replace(sample, truth=neighbour), 0.2, 10) == []
    at_border = replace(sample, image=sample.image[:, : int(x1) + 2])
    assert cut_out(at_border, 0.2, 10) == []
    masked = replace(sample.truth, known=np.array([False, True]))
    assert cut_out(replace(sample, truth=masked), 0.2, 10) == []
    assert cut_out(labelled(ground(), [(100, 100, 140, 120)]), 0.2, 10) == []  # nothing is there


@pytest.mark.parametrize("nadir", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_boxes_are_those_of_the_changed_pixels(seed: int, nadir: bool) -> None:
    before = labelled(ground(), [])
    config = replace(CONFIG, overlap=0.0)
    after = paste_objects(before, replace(NADIR, nadir=nadir), [red_car()], config, np.random.default_rng(seed))
    changed = (after.image != before.image).any(axis=2)
    assert len(after.truth.boxes) >= 3
    assert after.truth.labels.tolist() == [CAR] * len(after.truth.boxes)
    for x0, y0, x1, y1 in after.truth.boxes.astype(int):
        part = changed[y0:y1, x0:x1]
        assert part[[0, -1]].any(axis=1).all()
        assert part[:, [0, -1]].any(axis=0).all()
        changed[y0:y1, x0:x1] = False
    assert not changed.any()


def test_the_border_of_an_object_is_mixed_with_the_ground_and_nothing_around_it_comes_along() -> None:
    donor = replace(red_car(), image=np.where(red_car().mask[..., None] > 0, red_car().image, np.uint8(255)))
    oblique = Ground(False, (7.0, 7.0), METRES)
    after = paste_objects(labelled(ground(), []), oblique, [donor], PasteConfig(size=(1, 1)), np.random.default_rng(0))
    greens = after.image[..., 1]
    assert greens.max() <= GREY + 40  # the white ground of the donor shows at most through the interpolation
    x0, y0, x1, y1 = after.truth.boxes[0].astype(int)
    row = after.image[(y0 + y1) // 2, x0:x1, 0].astype(int)
    assert GREY < row[0] < row[len(row) // 2] == 250


def test_objects_are_turned_only_where_the_view_is_straight_down() -> None:
    sides = {
        nadir: [
            box[2:] - box[:2]
            for seed in range(8)
            for box in paste_objects(
                labelled(ground(), []), replace(NADIR, nadir=nadir), [red_car()], CONFIG, np.random.default_rng(seed)
            ).truth.boxes
        ]
        for nadir in (False, True)
    }
    ratios = {nadir: [width / height for width, height in each] for nadir, each in sides.items()}
    assert np.allclose(ratios[False], 40 / 20, rtol=0.1)
    assert min(ratios[True]) < 0.7
    assert max(ratios[True]) > 1.4


def test_the_size_fits_the_ground_of_the_row() -> None:
    sloping = Ground(False, (0.0, 16.0), METRES)
    config = PasteConfig(objects=(5, 5), size=(1.0, 1.0), smallest_side=5.0, enlarge=3.0)
    rows = []
    for seed in range(8):
        pasted = paste_objects(labelled(ground(), []), sloping, [red_car()], config, np.random.default_rng(seed))
        for x0, y0, x1, y1 in pasted.truth.boxes:
            expected = 16 * (y0 + y1) / 2 / 300 * METRES[CAR]
            assert np.sqrt((x1 - x0) * (y1 - y0)) == pytest.approx(expected, rel=0.05, abs=1.5)
            rows.append(y0)
    assert np.ptp(rows) > 150


def test_objects_below_a_pixel_are_left_out() -> None:
    sample, far = labelled(ground(), []), Ground(False, (0.01, 0.01), METRES)
    config = replace(CONFIG, smallest_side=0.001)
    assert paste_objects(sample, far, [red_car()], config, np.random.default_rng(0)).truth.boxes.shape == (0, 4)


def test_without_a_stated_ground_labelled_objects_give_size_and_place() -> None:
    image = ground(600, 800)
    sample = labelled(image, [(400, 300, 440, 310)])  # a car of 20 px: 5 px per metre
    config = PasteConfig(objects=(3, 3), size=(1.0, 1.0), reach=6.0, overlap=0.0)
    for seed in range(6):
        pasted = paste_objects(sample, Ground(False, None, METRES), [red_car()], config, np.random.default_rng(seed))
        for x0, y0, x1, y1 in pasted.truth.boxes[1:]:
            assert np.sqrt((x1 - x0) * (y1 - y0)) == pytest.approx(20, abs=1.5)
            # Later objects may stand beside the pasted ones, but all near the rows of the first.
            assert abs((y0 + y1) / 2 - 305) < 2 * 0.25 * 6 * 20
    empty = labelled(image, [])
    assert paste_objects(empty, Ground(False, None, METRES), [red_car()], config, np.random.default_rng(0)) is empty


def test_no_object_lies_on_others_above_the_limit() -> None:
    image = ground(200, 200)
    sample = labelled(image, [(20, 20, 60, 40), (100, 120, 140, 140)])
    sample = replace(sample, truth=replace(sample.truth, ignored=np.array([[0, 60, 200, 100]], np.float32)))
    config = replace(CONFIG, objects=(12, 12), overlap=0.1)
    pasted = 0
    for seed in range(10):
        truth = paste_objects(sample, NADIR, [red_car()], config, np.random.default_rng(seed)).truth
        pasted += len(truth.boxes) - 2
        boxes = np.concatenate([truth.boxes, truth.ignored])
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        for i in range(2, len(truth.boxes)):
            for j in set(range(len(boxes))) - {i}:
                sides = np.minimum(boxes[i, 2:], boxes[j, 2:]) - np.maximum(boxes[i, :2], boxes[j, :2])
                assert sides.clip(0).prod() <= 0.1 * min(areas[i], areas[j]) + 1e-3
    assert pasted > 20


def test_masked_classes_stay_masked() -> None:
    sample = labelled(ground(), [], known=(True, False))
    pasted = paste_objects(sample, NADIR, [red_car(CAR), red_car(BUS)], CONFIG, np.random.default_rng(0))
    assert len(pasted.truth.boxes) > 0
    assert set(pasted.truth.labels.tolist()) == {CAR}
    assert pasted.truth.known.tolist() == [True, False]
    assert paste_objects(sample, NADIR, [red_car(BUS)], CONFIG, np.random.default_rng(0)) is sample


def test_classes_that_the_source_of_an_object_does_not_tell_apart_are_masked() -> None:
    sample, car = labelled(ground(), []), red_car(CAR, (True, False))
    pasted = paste_objects(sample, NADIR, [car], CONFIG, np.random.default_rng(0))
    assert set(pasted.truth.labels.tolist()) == {CAR}
    assert pasted.truth.known.tolist() == [True, False]
    street = textured_car(0)[0]
    (cut,) = cut_out(replace(street, truth=replace(street.truth, known=car.known)), 0.2, 10)
    assert cut.known.tolist() == [True, False]


@pytest.mark.parametrize(("level", "red"), [(GREY, 160), (80, 142), (20, 123), (250, 208)])
def test_brightness_follows_the_ground_within_its_limit(level: int, red: int) -> None:
    donor = red_car()
    donor = replace(donor, image=np.where(donor.mask[..., None] > 0, np.uint8([160, 10, 10]), donor.image))
    config = PasteConfig(objects=(1, 1), brightness=1.3)
    pasted = paste_objects(labelled(ground(level=level), []), NADIR, [donor], config, np.random.default_rng(0))
    x0, y0, x1, y1 = pasted.truth.boxes[0].astype(int)
    assert pasted.image[(y0 + y1) // 2, (x0 + x1) // 2, 0] == pytest.approx(red, abs=1)


def test_the_input_is_not_changed_and_the_random_generator_determines_the_result() -> None:
    image = ground()
    image.flags.writeable = False  # as images that are kept in memory
    sample = labelled(image, [])
    first, again, other = (
        paste_objects(sample, NADIR, [red_car()], CONFIG, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert (image == GREY).all()
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.truth.boxes, again.truth.boxes)
    assert not np.array_equal(first.image, other.image)


@dataclass(frozen=True)
class Repeated:
    """A source that repeats one sample."""

    sample: Sample

    def __len__(self) -> int:
        return 2

    def name(self, index: int) -> str:
        return f"{self.sample.name}{index}"

    def load(self, index: int) -> Sample:
        return self.sample


def mixture(*, nadir: bool = False, cut_outs_nadir: bool = False, paste_share: float = 1.0) -> Mixture:
    street, fields = textured_car(0)[0], labelled(ground(), [])
    return Mixture(
        (
            Part(Repeated(street), cut_outs_nadir, 1e-9, cut_out=True),
            Part(Repeated(fields), nadir, 1.0, paste_share=paste_share, px_per_m=(8.0, 8.0)),
        )
    )


def test_objects_of_one_source_are_trained_on_the_ground_of_another() -> None:
    augmentation = AugmentationConfig(cluster_share=0.0, mosaic_share=0.0, at_object=1.0)

    def objects(sources: Mixture) -> int:
        pasting = open_pasting(sources, augmentation.paste, METRES)
        make = BatchMaker(sources, (128, 128), 1, augmentation, 0, range(8), pasting)
        return make(0).objects

    assert objects(mixture()) >= 8
    assert objects(mixture(paste_share=0.0)) == 0
    assert 0 < objects(mixture(paste_share=0.4)) < objects(mixture())


def test_pasting_is_off_by_default() -> None:
    sample = labelled(ground(), [(100, 100, 140, 120)])
    part = Part(Repeated(sample), False, 1.0)
    assert Pasting().apply(sample, part, np.random.default_rng(0)) is sample


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(InputError, match=r"drawn0.*no object can be cut out.*nadir: true.*from 10 pixels"):
        open_pasting(mixture(nadir=True), PasteConfig(), METRES)
    with pytest.raises(InputError, match="nadir: false whose objects lie free and have sides from 50 pixels"):
        open_pasting(mixture(), PasteConfig(smallest_side=50), METRES)
    with pytest.raises(InputError, match="no object_sizes"):
        open_pasting(mixture(), PasteConfig(), ())
    both = open_pasting(mixture(nadir=True, cut_outs_nadir=True), PasteConfig(), METRES)
    assert {nadir: len(each) for nadir, each in both.cut_outs.items()} == {True: 2, False: 0}


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("coco", {"paste_share": 1.5}, r"paste_share must lie in \[0, 1\]"),
        ("coco", {"px_per_m": [-1.0, 3.0]}, "px_per_m cannot be negative"),
        ("photographs", {"paste_share": 0.5}, "need px_per_m"),
        ("photographs", {"cut_out": True}, "no labelled objects"),
    ],
)
def test_impossible_sources_are_refused(kind: str, values: dict[str, object], message: str) -> None:
    paths = {"folder": "photographs"} if kind == "photographs" else {"annotations": "coco.json", "images": "images"}
    with pytest.raises(InputError, match=message):
        from_mapping(SourcesConfig, {kind: [paths | values]})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objects": (0, 3)}, "objects must be a range"),
        ({"size": (1.2, 0.8)}, "size must be a range"),
        ({"margin": 0.0}, "must be positive"),
        ({"overlap": 1.0}, "overlap must lie"),
        ({"brightness": 0.5}, "brightness be at least 1"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PasteConfig(**values)  # type: ignore[arg-type]
