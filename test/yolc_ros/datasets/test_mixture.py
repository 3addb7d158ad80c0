"""Mixtures: sampling by weight, broken samples, and rendering of simulated views in advance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception_common.config import from_mapping
from perception_common.errors import InputError
from yolc_ros.datasets.decoded import DecodedImages, ImageMemory
from yolc_ros.datasets.mixture import Mixture, Part, open_sources
from yolc_ros.datasets.samples import ImageLabels, Sample
from yolc_ros.datasets.sources import SourcesConfig
from yolc_ros.training import render_views
from yolc_ros.training.augmentation.compose import AugmentationConfig
from yolc_ros.training.augmentation.views import KeepRule
from yolc_ros.training.batches import BatchMaker

EMPTY = ImageLabels(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.ones(1, bool))


@dataclass(frozen=True)
class Numbered:
    """Samples of which those with odd numbers are broken."""

    label: str

    def __len__(self) -> int:
        return 6

    def name(self, index: int) -> str:
        return f"{self.label}{index}"

    def load(self, index: int) -> Sample:
        if index % 2:
            raise InputError(f"{self.name(index)}: broken")
        return Sample(self.name(index), np.zeros((8, 8, 3), np.uint8), EMPTY)


def test_sources_are_sampled_by_weight() -> None:
    mixture = Mixture((Part(Numbered("a"), False, 3.0), Part(Numbered("b"), True, 1.0)))
    rng = np.random.default_rng(0)
    drawn = [mixture.choose(rng).nadir for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(0.25, abs=0.03)


def test_broken_samples_are_skipped_and_counted_once() -> None:
    mixture = Mixture((Part(Numbered("a"), False, 1.0),))
    rng = np.random.default_rng(0)
    names = {mixture.draw(mixture.parts[0], rng).name for _ in range(60)}
    assert names == {"a0", "a2", "a4"}
    assert set(mixture.broken.reasons) == {"a1", "a3", "a5"}


def test_first_samples_of_each_source_come_in_order() -> None:
    mixture = Mixture((Part(Numbered("a"), False, 1.0), Part(Numbered("b"), False, 1.0)))
    assert [sample.name for sample in mixture.first(4)] == ["a0", "a2", "b0", "b2"]
    assert mixture.broken.count == 4


def test_missing_sources_weights_and_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one source"):
        from_mapping(SourcesConfig, {})
    with pytest.raises(InputError, match="weights must be positive"):
        from_mapping(SourcesConfig, {"simulation": [{"first_seed": 0, "views": 1, "weight": 0}]})
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": [], "categories": []}')
    config = from_mapping(
        SourcesConfig, {"coco": [{"annotations": str(tmp_path / "coco.json"), "images": str(tmp_path)}]}
    )
    with pytest.raises(InputError, match="no usable images"):
        open_sources(config, ("car",), tmp_path)


CLASSES = ("pedestrian", "people", "car", "van")


def folder_of_people(folder: Path) -> dict[str, object]:
    """Write an image with a person, a car and a truck; returns its source."""
    cv2.imwrite(str(folder / "a.png"), np.full((20, 30, 3), 90, np.uint8))
    names = ("Person", "car", "truck")
    boxes = [[1, 1, 4, 8], [10, 2, 9, 5], [20, 10, 8, 8]]
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names)],
        "annotations": [{"id": n, "image_id": 1, "category_id": n, "bbox": box} for n, box in enumerate(boxes)],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    return {"annotations": str(folder / "coco.json"), "images": str(folder)}


def test_a_name_that_may_stand_for_several_classes_masks_all_but_the_first(tmp_path: Path) -> None:
    source = folder_of_people(tmp_path) | {"aliases": [["Person", "pedestrian", "people"]]}
    truth = load_first({"coco": [source]}, tmp_path).truth
    assert truth.known.tolist() == [True, False, True, False]  # the data set does not name vans
    assert truth.labels.tolist() == [0, 2]
    assert truth.ignored.tolist() == [[20, 10, 28, 18]]  # the truck


def test_masked_classes_become_ignored_regions(tmp_path: Path) -> None:
    source = folder_of_people(tmp_path) | {"aliases": [["Person", "people"]], "masked": ["car"]}
    truth = load_first({"coco": [source]}, tmp_path).truth
    assert truth.known.tolist() == [False, True, False, False]
    assert truth.labels.tolist() == [1]
    assert truth.ignored.tolist() == [[10, 2, 19, 7], [20, 10, 28, 18]]


def test_photographs_are_negatives_of_all_classes_but_the_masked(tmp_path: Path) -> None:
    folder_of_people(tmp_path)
    sample = load_first({"photographs": [{"folder": str(tmp_path), "masked": ["van"]}]}, tmp_path)
    assert sample.truth.boxes.shape == sample.truth.ignored.shape == (0, 4)
    assert sample.truth.known.tolist() == [True, True, True, False]
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="has no photographs"):
        load_first({"photographs": [{"folder": str(tmp_path / "none")}]}, tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("masked", ["bicycle"], "masked: 'bicycle' is not a class of the network"),
        ("aliases", [["Person", "pedestrian", "rider"]], "'rider' is not a class of the network"),
        ("aliases", [["Person"]], "at least one class"),
        ("mask", ["car"], "did you mean 'masked'"),
        ("scale", [1.0, 0.5], "scale must be a range"),
    ],
)
def test_impossible_sources_are_refused(tmp_path: Path, key: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_first({"coco": [folder_of_people(tmp_path) | {key: value}]}, tmp_path)


def load_first(sources: dict[str, object], folder: Path) -> Sample:
    mixture = open_sources(from_mapping(SourcesConfig, sources), CLASSES, folder)
    return next(mixture.first(1))


def test_images_are_decoded_once_until_the_memory_is_full() -> None:
    loads: list[int] = []

    class Counted(Numbered):
        def load(self, index: int) -> Sample:
            loads.append(index)
            return super().load(index)

    kept = DecodedImages(Counted("a"), ImageMemory(2 * 8 * 8 * 3))
    first = kept.load(0)
    assert kept.load(0) is first
    assert not first.image.flags.writeable
    for index in (2, 4, 4, 2):
        assert kept.load(index).name == f"a{index}"
    assert loads == [0, 2, 4, 4]
    with pytest.raises(InputError, match="broken"):
        kept.load(1)


def test_each_source_has_its_scale(tmp_path: Path) -> None:
    source = folder_of_people(tmp_path) | {"scale": [0.5, 0.5]}
    mixture = open_sources(from_mapping(SourcesConfig, {"coco": [source], "decoded_mb": 1}), CLASSES, tmp_path)
    config = AugmentationConfig(
        cluster_share=0, mosaic_share=0, turn_share=0, scale=(2.0, 2.0), keep=KeepRule(smallest_side=1)
    )
    image = BatchMaker(mixture, (32, 32), 1, config, 0, range(1)).sample(0, 0)
    boxes = image.truth.boxes
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], [[4.5, 2.5]], atol=1e-4)  # the car, of 9 x 5 pixels


def test_views_are_rendered_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "training.yaml"
    config.write_text(
        "model: yolc_lite\ndata: {simulation: [{first_seed: 3, views: 2, size: [96, 64], cache: views}]}\n"
    )
    for _ in range(2):
        render_views.main([str(config), "--run-dir", str(tmp_path / "run")])
    assert len(list((tmp_path / "run" / "views").rglob("*.npz"))) == 2
    assert capsys.readouterr().out.count("2/2 views") == 1
    config.write_text("model: yolc_lite\ndata: {simulation: [{first_seed: 3, views: 2}]}\n")
    with pytest.raises(InputError, match="nothing to render"):
        render_views.main([str(config)])
