"""Training samples: overlap as asked for, and truth that carries one view onto the other."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flight_sim.camera import Camera, camera_pose, camera_with_fov
from flight_sim.sampling import PairOptions, ViewOptions, ground_overlap, is_free, sample_pair, sample_view
from flight_sim.scene import Scene, SceneOptions, build_scene

SIZE = (320, 240)
CLEAN = PairOptions(view=ViewOptions(altitude_m=(25.0, 60.0), look_strength=0.0), pause_s=(0.0, 0.0))


@pytest.fixture(scope="module")
def town() -> Scene:
    return build_scene(2, SceneOptions(side=160.0, metres_per_pixel=0.125, urbanity=0.5, height_limit=15.0))


def ground_homography(camera: Camera, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The homography (3, 3) that the plane z = 0 induces from the first image to the second: K (R - t n' / d) K^-1."""
    R = second[:3, :3].T @ first[:3, :3]
    t = second[:3, :3].T @ (first[:3, 3] - second[:3, 3])
    normal = first[:3, :3].T @ np.array([0.0, 0.0, 1.0])
    distance = -first[2, 3]
    return camera.matrix @ (R + np.outer(t, normal) / distance) @ np.linalg.inv(camera.matrix)


def test_depth_and_pose_carry_the_ground_onto_the_other_view(town: Scene) -> None:
    for seed in range(5):
        pair = sample_pair(seed, SIZE, CLEAN, town)
        a, b = pair.first.truth, pair.second.truth
        rows, columns = np.nonzero(a.instances == 0)
        pixels = np.column_stack([columns, rows, np.ones(len(rows))])
        points = a.depth[rows, columns, None] * (pixels @ np.linalg.inv(a.camera.matrix).T)
        world = points @ a.T_world_camera[:3, :3].T + a.T_world_camera[:3, 3]
        seen = (world - b.T_world_camera[:3, 3]) @ b.T_world_camera[:3, :3]
        moved = b.camera.project(seen)
        expected = cv2.perspectiveTransform(
            pixels[None, :, :2], ground_homography(a.camera, a.T_world_camera, b.T_world_camera)
        )[0]
        near = (np.abs(expected) < 1000).all(axis=1)
        assert near.sum() > 1000
        assert np.abs(moved - expected)[near].max() < 0.1


def test_pictures_agree_on_the_ground(town: Scene) -> None:
    """One view warped onto the other differs little on the ground, and less than when it is shifted by a pixel."""
    options = replace(CLEAN, altitude_ratio=1.15, pitch_deg=4.0, yaw_deg=40.0, overlap=(0.5, 0.95))
    checked = 0
    for seed in range(6):
        pair = sample_pair(seed, SIZE, options, town)
        a, b = pair.first.truth, pair.second.truth
        H = ground_homography(a.camera, a.T_world_camera, b.T_world_camera)

        def difference(shift: float, pair: object = pair, H: np.ndarray = H) -> float:
            move = np.array([[1.0, 0.0, shift], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            warped = cv2.warpPerspective(pair.second.image, H @ move, SIZE, flags=flags)
            other = cv2.warpPerspective((pair.second.truth.instances == 0).astype(np.uint8), H, SIZE, flags=flags)
            both = cv2.erode(other & (pair.first.truth.instances == 0).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
            return float(np.abs(warped.astype(int) - pair.first.image)[both].mean()) if both.sum() > 2000 else np.nan

        exact = difference(0.0)
        if math.isnan(exact):
            continue
        checked += 1
        assert exact < 7.0
        assert exact < min(difference(1.0), difference(-1.0))
    assert checked >= 3


def test_overlap_lies_in_the_range_and_can_be_steered(town: Scene) -> None:
    for overlap in ((0.3, 0.5), (0.7, 0.95)):
        for seed in range(3):
            pair = sample_pair(seed, SIZE, replace(CLEAN, overlap=overlap), town)
            assert overlap[0] <= pair.overlap <= overlap[1]


def test_an_overlap_that_cannot_be_is_refused(town: Scene) -> None:
    with pytest.raises(ValueError, match="widen the ranges"):
        sample_pair(0, SIZE, replace(CLEAN, overlap=(0.999, 1.0), yaw_deg=180.0), town)


@settings(deadline=None, max_examples=20)
@given(st.floats(-3.0, 3.0), st.floats(-1.5, -0.7), st.floats(10.0, 90.0))
def test_a_view_overlaps_with_itself_fully_and_with_a_far_one_not_at_all(
    yaw: float, pitch: float, altitude: float
) -> None:
    camera = camera_with_fov(*SIZE, 60.0)
    pose = camera_pose(np.array([0.0, 0.0, altitude]), yaw, pitch)
    far = camera_pose(np.array([30.0 * altitude, 0.0, altitude]), yaw, pitch)
    assert ground_overlap(camera, pose, pose) == 1.0
    assert ground_overlap(camera, pose, far) == 0.0


def test_samples_depend_on_the_seed_only(town: Scene) -> None:
    one, same, other = (sample_view(seed, SIZE, scene=town) for seed in (8, 8, 9))
    np.testing.assert_array_equal(one.image, same.image)
    assert not np.array_equal(one.truth.T_world_camera, other.truth.T_world_camera)


def test_views_mostly_show_objects_and_never_from_inside_a_building(town: Scene) -> None:
    counts = []
    for seed in range(8):
        frame = sample_view(seed, SIZE, ViewOptions(altitude_m=(6.0, 40.0)), town)
        counts.append(len(frame.truth.boxes.clear()))
        assert is_free(town, frame.truth.T_world_camera[:3, 3])
    assert sum(count > 0 for count in counts) >= 5
