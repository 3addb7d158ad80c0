"""Sizes and geometry of the meshes."""

import numpy as np
import pytest

from flight_sim.classes import CLASS_NAMES
from flight_sim.meshes.catalogue import object_meshes
from flight_sim.meshes.mesh import Mesh
from flight_sim.meshes.trees import tree_meshes

# Smallest and largest length, width and height of real objects, metres.
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
    for mesh in object_meshes()[name]:
        assert ((mesh.size >= low) & (mesh.size <= high)).all(), mesh.size


def test_every_class_has_a_mesh() -> None:
    meshes = object_meshes()
    assert set(CLASS_NAMES) - {"people"} <= set(meshes)
    assert {"sitting", "lying", "rider-motor", "rider-bicycle", "rider-tricycle"} <= set(meshes)


@pytest.mark.parametrize("mesh", [m for group in object_meshes().values() for m in group] + list(tree_meshes(3, 20)))
def test_faces_are_planar_and_above_the_ground(mesh: Mesh) -> None:
    distance = np.einsum("fcd,fd->fc", mesh.corners - mesh.corners[:, :1], mesh.normals)
    assert np.abs(distance).max() < 0.02
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1.0)
    assert mesh.corners[..., 2].min() > -1e-9
    assert len(mesh.paint) == len(mesh.stage) == len(mesh.tone) == len(mesh.detail) == len(mesh.corners)


def test_normals_of_a_bus_point_outwards() -> None:
    bus = object_meshes()["bus"][0]
    body = bus.corners[:9]  # eight sides and the roof
    outwards = body.mean(axis=1) - body.reshape(-1, 3).mean(axis=0)
    assert (np.einsum("fd,fd->f", outwards, bus.normals[:9]) > 0).all()
