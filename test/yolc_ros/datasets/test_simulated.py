"""Simulated views: reproducible, cached on disk, with ignored regions for hidden objects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from flight_sim.sampling import ViewOptions, sample_view
from flight_sim.scene import build_scene
from perception_common.errors import InputError
from yolc_ros.classes import VISDRONE_CLASSES
from yolc_ros.datasets.simulated import VIEWS_OF_A_SCENE, SimulatedViews

pytestmark = pytest.mark.slow


def same(a: object, b: object) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(vars(a).values(), vars(b).values(), strict=True))


def test_views_of_a_scene_are_rendered_together_and_read_from_the_cache(tmp_path: Path) -> None:
    views = SimulatedViews(VIEWS_OF_A_SCENE - 2, 4, (160, 96), (30.0, 60.0), VISDRONE_CLASSES, tmp_path)
    rendered = views.load(1)
    assert [views.is_kept(index) for index in range(4)] == [True, True, False, False]  # two of each scene
    kept = views.load(1)
    assert np.array_equal(rendered.image, kept.image)
    assert same(rendered.truth, kept.truth)
    assert rendered.image.shape == (96, 160, 3)
    assert rendered.truth.known.all()
    for boxes in (rendered.truth.boxes, rendered.truth.ignored):
        assert (boxes >= 0).all()
        assert (boxes <= [160, 96, 160, 96]).all()

    without_cache = SimulatedViews(VIEWS_OF_A_SCENE - 1, 1, (160, 96), (30.0, 60.0), VISDRONE_CLASSES)
    assert np.array_equal(without_cache.load(0).image, rendered.image)

    (path,) = [file for file in tmp_path.rglob("*.npz") if file.stem.endswith(str(VIEWS_OF_A_SCENE - 1))]
    path.write_bytes(path.read_bytes()[:500])  # a broken file is rendered again
    assert np.array_equal(views.load(1).image, rendered.image)


def test_classes_that_the_network_lacks_are_ignored(tmp_path: Path) -> None:
    everything = SimulatedViews(8, 1, (320, 192), (30.0, 60.0), VISDRONE_CLASSES, tmp_path).load(0).truth
    cars = SimulatedViews(8, 1, (320, 192), (30.0, 60.0), ("car",), tmp_path).load(0).truth
    assert len(everything.boxes) > len(cars.boxes)
    assert len(everything.boxes) + len(everything.ignored) == len(cars.boxes) + len(cars.ignored)
    assert np.array_equal(cars.boxes, everything.boxes[everything.labels == VISDRONE_CLASSES.index("car")])


def test_views_with_photographs_have_a_cache_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    purple = np.full((300, 400, 3), (200, 0, 200), np.uint8)
    cv2.imwrite(str(tmp_path / "photographs" / "one.png"), purple)
    painted = SimulatedViews(8, 1, (160, 96), (30.0, 60.0), VISDRONE_CLASSES, tmp_path / "cache")
    photographed = replace(painted, photographs=tmp_path / "photographs")
    before, after = painted.load(0), photographed.load(0)
    assert np.array_equal(painted.load(0).image, before.image)

    def purple_share(image: np.ndarray) -> float:
        red, green, blue = image.astype(int).transpose(2, 0, 1)
        return float(np.mean((red > green + 40) & (blue > green + 40)))

    assert purple_share(after.image) > 0.1 > purple_share(before.image)
    with pytest.raises(InputError, match="the ground of simulated views"):
        replace(painted, cache=None, photographs=tmp_path / "nothing").load(0)


def test_pitch_is_that_of_the_camera_and_has_a_cache_of_its_own(tmp_path: Path) -> None:
    usual = SimulatedViews(8, 1, (160, 96), (10.0, 20.0), VISDRONE_CLASSES, tmp_path)
    oblique = replace(usual, pitch_deg=(-20.0, -10.0))
    before, view = usual.load(0), oblique.load(0)
    assert np.array_equal(usual.load(0).image, before.image)
    options = ViewOptions(altitude_m=(10.0, 20.0), pitch_deg=(-20.0, -10.0), nadir_share=0.0)
    expected = sample_view(8, (160, 96), options, build_scene(8 // VIEWS_OF_A_SCENE)).image
    difference = np.abs(view.image.astype(int) - expected)
    assert difference.mean() < 4  # JPEG
    assert np.abs(before.image.astype(int) - expected).mean() > 10
