"""Flights."""

import hashlib

import numpy as np
import pytest

from flight_sim.flight import CameraOptions, Flight, FlightOptions, SimulatedFrame, start_flight
from flight_sim.flight_path import FlightPathOptions
from flight_sim.scene import SceneOptions

OPTIONS = FlightOptions(
    scene=SceneOptions(side=160.0, metres_per_pixel=0.125, urbanity=0.7, height_limit=20.0),
    path=FlightPathOptions(duration_s=8.0, altitude_m=35.0, pitch_deg=-70.0),
    camera=CameraOptions(320, 240),
)


def digest(frame: SimulatedFrame) -> str:
    truth = frame.truth
    arrays = (frame.image, truth.depth, truth.instances, truth.moving, truth.boxes.xyxy, truth.T_world_camera)
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


@pytest.fixture(scope="module")
def flight() -> Flight:
    return start_flight(5, OPTIONS)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_in_any_order(flight: Flight) -> None:
    again = start_flight(5, OPTIONS)
    assert [digest(again.frame(k)) for k in (7, 2)] == [digest(flight.frame(k)) for k in (7, 2)]
    assert digest(flight.frame(7)) != digest(flight.frame(2))
    assert digest(start_flight(6, OPTIONS).frame(2)) != digest(flight.frame(2))


def test_frames_have_stamps_sizes_and_full_truth(flight: Flight) -> None:
    assert len(flight) == 41
    frames = [frame for frame, _ in zip(flight, range(3), strict=False)]
    assert [frame.stamp_s for frame in frames] == pytest.approx([0.0, 0.2, 0.4])
    for frame in frames:
        assert frame.image.shape == (240, 320, 3)
        assert frame.image.dtype == np.uint8
        assert frame.truth.depth.shape == frame.truth.instances.shape == frame.truth.moving.shape == (240, 320)
        assert frame.truth.camera == flight.camera
    with pytest.raises(IndexError, match="41 frames"):
        flight.frame(41)


def test_an_object_keeps_its_id_from_frame_to_frame(flight: Flight) -> None:
    first, second = flight.frame(10).truth.boxes, flight.frame(11).truth.boxes
    common = np.intersect1d(first.ids, second.ids)
    assert len(common) > 0.6 * min(len(first), len(second))
    for key in common:
        a, b = np.flatnonzero(first.ids == key)[0], np.flatnonzero(second.ids == key)[0]
        assert first.class_ids[a] == second.class_ids[b]
        moved = second.position[b] - first.position[a]
        np.testing.assert_allclose(moved, 0.2 * first.velocity[a], atol=0.12)
