"""Mixtures: sampling by weight, broken samples, and rendering of simulated views in advance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from perception_common.config import from_mapping
from perception_common.errors import InputError
from yolc_ros.datasets.mixture import Mixture, Part, SourcesConfig, open_sources
from yolc_ros.datasets.samples import ImageLabels, Sample
from yolc_ros.training import render_views

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
