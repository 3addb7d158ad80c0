"""Sizes and geometry of the solids."""

import numpy as np
import pytest

from flight_sim.shapes import CLASS_NAMES, object_shapes, tree_shapes

# Length, width and height in metres between which real ones lie.
NATURAL = {
    "pedestrian": ((0.2, 0.3, 1.5), (0.8, 0.9, 1.95)),
    "bicycle": ((1.5, 0.4, 0.9), (1.95, 0.7, 1.2)),
    "motor": ((1.7, 0.5, 0.9), (2.3, 0.9, 1.3)),
    "car": ((3.3, 1.6, 1.35), (5.4, 2.3, 1.9)),
    "van": ((4.5, 1.8, 1.8), (6.6, 2.3, 2.9)),
    "truck": ((5.5, 2.2, 2.5), (17.0, 2.6, 4.0)),
    "tricycle": ((2.2, 0.9, 0.9), (3.2, 1.4, 1.5)),
    "awning-tricycle": ((2.2, 0.9, 1.5), (3.2, 1.5, 2.1)),
    "bus": ((8.0, 2.3, 2.8), (14.0, 2.7, 3.7)),
    "sitting": ((0.3, 0.4, 0.7), (1.1, 0.9, 1.5)),
}


@pytest.mark.parametrize("name", NATURAL)
def test_sizes_are_natural(name: str) -> None:
    low, high = NATURAL[name]
    for shape in object_shapes()[name]:
        assert ((shape.size >= low) & (shape.size <= high)).all(), shape.size


def test_every_class_has_a_shape() -> None:
    shapes = object_shapes()
    assert set(CLASS_NAMES) - {"people"} <= set(shapes)
    assert {"sitting", "lying", "rider-motor", "rider-bicycle", "rider-tricycle"} <= set(shapes)


@pytest.mark.parametrize("shape", [s for group in object_shapes().values() for s in group] + list(tree_shapes(3, 20)))
def test_faces_are_planar_and_stand_on_the_ground(shape: object) -> None:
    distance = np.einsum("fcd,fd->fc", shape.corners - shape.corners[:, :1], shape.normals)
    assert np.abs(distance).max() < 0.02
    np.testing.assert_allclose(np.linalg.norm(shape.normals, axis=1), 1.0)
    assert shape.corners[..., 2].min() > -1e-9
    assert len(shape.paint) == len(shape.stage) == len(shape.tone) == len(shape.detail) == len(shape.corners)


def test_normals_look_away_from_the_middle_of_a_bus() -> None:
    bus = object_shapes()["bus"][0]
    body = bus.corners[:9]  # eight sides and the roof
    outwards = body.mean(axis=1) - body.reshape(-1, 3).mean(axis=0)
    assert (np.einsum("fd,fd->f", outwards, bus.normals[:9]) > 0).all()
