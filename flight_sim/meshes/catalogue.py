"""The mesh variants of every object class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from flight_sim.meshes.cars import car, estate_with_roof_box, pickup, taxi, van
from flight_sim.meshes.heavy_vehicles import articulated_truck, bus, truck
from flight_sim.meshes.light_vehicles import awning_tricycle, bicycle, cabin_tricycle, cargo_tricycle, motorcycle
from flight_sim.meshes.mesh import Face, Mesh, Paint, build_mesh
from flight_sim.meshes.people import lying, sitting, standing, with_umbrella
from flight_sim.meshes.primitives import moved


@cache  # the same for every scene
def object_meshes() -> Mapping[str, tuple[Mesh, ...]]:
    """The variants by name.

    Names are the classes; "umbrella", a variant of a pedestrian; and "rider-bicycle", "rider-motor", "rider-tricycle",
    "sitting" and "lying", which are of class "people".
    """
    variants: dict[str, list[list[Face]]] = {
        "pedestrian": [standing(0.0), standing(0.16), standing(0.25), standing(0.12, skirt=True)],
        "umbrella": [with_umbrella()],
        "bicycle": [bicycle()],
        "motor": [motorcycle()],
        "car": _cars(),
        "van": [van(5.4, 2.0, 2.45, 0), van(4.8, 1.9, 1.95, 4), van(6.2, 2.1, 2.7, 0), van(5.2, 1.95, 2.1, 5)],
        "truck": [
            truck(7.5, 3.3, "box"),
            truck(9.5, 3.6, "box"),
            truck(8.0, 3.0, "sand"),
            truck(8.5, 3.0, "cargo"),
            truck(6.2, 2.8, "cargo"),
            articulated_truck(),
        ],
        "bus": [bus(11.8), bus(10.2, 3.2), bus(8.6, 2.9), bus(13.6, 3.3)],
        "tricycle": [cargo_tricycle()],
        "awning-tricycle": [awning_tricycle(), cabin_tricycle()],
        "rider-bicycle": [sitting(0.9, 0.3)],
        "rider-motor": [sitting(0.75, 0.38)],
        "rider-tricycle": [moved(sitting(0.62, 0.4), 0.4)],
        "sitting": [sitting(0.45, 0.42), sitting(0.1, 0.6)],
        "lying": [lying()],
    }
    return {
        name: tuple(build_mesh(faces, seed) for seed, faces in enumerate(several)) for name, several in variants.items()
    }


def _cars() -> list[list[Face]]:
    return [
        car(4.6, 1.82, 1.46, bonnet=0.26, boot=0.14),
        car(4.0, 1.74, 1.5, bonnet=0.22, boot=0.0),
        car(4.7, 1.9, 1.72, bonnet=0.24, boot=0.0),
        car(4.9, 1.86, 1.42, bonnet=0.28, boot=0.17),
        car(4.6, 1.85, 1.45, bonnet=0.25, boot=0.0, roof_paint=Paint.DARK),
        car(3.5, 1.62, 1.52, bonnet=0.16, boot=0.0),
        taxi(),
        estate_with_roof_box(),
        pickup(),
    ]
