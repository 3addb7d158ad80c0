"""Scenes."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from flight_sim.scene import Scene, SceneOptions, build_scene

SMALL = SceneOptions(side=128.0, metres_per_pixel=0.25)


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


@pytest.mark.slow
def test_scenes_depend_on_the_seed() -> None:
    one, same, other = (build_scene(seed, SMALL) for seed in (4, 4, 5))

    def content(scene: Scene) -> str:
        population = scene.population
        return digest(
            scene.ground.colour.levels[0], population.position, population.colours, population.start, scene.sun
        )

    assert content(one) == content(same) != content(other)


def test_photographs_are_the_ground(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((80, 120, 3), (10, 60, 200), np.uint8))  # BGR
    options = SceneOptions(side=128.0, metres_per_pixel=0.25, photographs=str(tmp_path), built=False)
    ground = build_scene(0, options).ground
    lit = ground.colour.levels[0][np.kron(ground.shade, np.ones((4, 4))) == 0]
    np.testing.assert_allclose(np.median(lit, axis=0), (200, 60, 10), atol=2)


def test_a_folder_without_photographs_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no image in"):
        build_scene(0, SceneOptions(side=128.0, metres_per_pixel=0.25, photographs=str(tmp_path)))
