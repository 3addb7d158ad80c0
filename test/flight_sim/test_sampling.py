"""Training samples: overlap of pairs, and ground truth that maps one view onto the other."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flight_sim.camera import PinholeCamera, camera_pose, camera_with_fov
from flight_sim.sampling import PairOptions, ViewOptions, ViewPair, ground_overlap, is_free, sample_pair, sample_view
from flight_sim.scene import Scene, SceneOptions, build_scene

SIZE = (320, 240)
CLEAN = PairOptions(view=ViewOptions(altitude_m=(25.0, 60.0), degradation_strength=0.0), pause_s=(0.0, 0.0))


@pytest.fixture(scope="module")
def town() -> Scene:
    return build_scene(2, SceneOptions(side=160.0, metres_per_pixel=0.125, urbanity=0.5, height_limit=15.0))


def ground_homography(camera: PinholeCamera, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The homography (3, 3) that the plane z = 0 induces from the first image to the second: K (R - t n' / d) K^-1."""
    R = second[:3, :3].T @ first[:3, :3]
    t = second[:3, :3].T @ (first[:3, 3] - second[:3, 3])
    normal = first[:3, :3].T @ np.array([0.0, 0.0, 1.0])
    distance = -first[2, 3]
    return camera.matrix @ (R + np.outer(t, normal) / distance) @ np.linalg.inv(camera.matrix)


def test_depth_and_pose_map_the_ground_onto_the_other_view(town: Scene) -> None:
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


@pytest.mark.parametrize("surface", [0, -1], ids=["ground", "buildings"])
def test_images_agree_after_mapping_by_depth_and_pose(town: Scene, surface: int) -> None:
    """One view mapped onto the other differs little, and less than when it is mapped a pixel too far."""
    options = replace(CLEAN, altitude_ratio=1.15, pitch_deg=4.0, yaw_deg=40.0, overlap=(0.5, 0.95))
    checked = 0
    for seed in range(12):
        pair = sample_pair(seed, SIZE, options, town)
        place, mask = mapped(pair, surface)
        if mask.sum() < 1500:
            continue
        checked += 1
        here, left, right = (mean_difference(pair, place + np.array([shift, 0.0]), mask) for shift in (0.0, -1.0, 1.0))
        assert here < 7.0
        assert here < min(left, right)
    assert checked >= 3


def mean_difference(pair: ViewPair, place: np.ndarray, mask: np.ndarray) -> float:
    """Mean difference of the first image and the second one at `place` (H, W, 2), within a mask (H, W)."""
    seen = cv2.remap(pair.second.image, place.astype(np.float32), None, cv2.INTER_LINEAR)
    return float(np.abs(seen.astype(int) - pair.first.image)[mask].mean())


def mapped(pair: ViewPair, surface: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixel (H, W, 2) of the second view for each of the first, and the pixels (H, W) of a surface in both."""
    a, b = pair.first.truth, pair.second.truth
    u, v = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    points = np.minimum(a.depth, 1e4)[..., None] * (
        np.dstack([u, v, np.ones_like(u)]) @ np.linalg.inv(a.camera.matrix).T
    )
    world = points @ a.T_world_camera[:3, :3].T + a.T_world_camera[:3, 3]
    seen = (world - b.T_world_camera[:3, 3]) @ b.T_world_camera[:3, :3]
    place = b.camera.project(seen)
    depth = cv2.remap(b.depth, place.astype(np.float32), None, cv2.INTER_NEAREST, borderValue=-1.0)
    both = (np.abs(depth / seen[..., 2] - 1.0) < 0.01) & (a.instances == surface)
    return place, cv2.erode(both.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0


def test_overlap_is_in_the_range(town: Scene) -> None:
    for overlap in ((0.3, 0.5), (0.7, 0.95)):
        for seed in range(3):
            pair = sample_pair(seed, SIZE, replace(CLEAN, overlap=overlap), town)
            assert overlap[0] <= pair.overlap <= overlap[1]


def test_an_impossible_overlap_is_rejected(town: Scene) -> None:
    with pytest.raises(ValueError, match="widen the ranges"):
        sample_pair(0, SIZE, replace(CLEAN, overlap=(0.999, 1.0), yaw_deg=180.0), town)


@settings(deadline=None, max_examples=20)
@given(st.floats(-3.0, 3.0), st.floats(-1.5, -0.7), st.floats(10.0, 90.0))
def test_overlap_of_a_view_with_itself_and_with_a_far_one(yaw: float, pitch: float, altitude: float) -> None:
    camera = camera_with_fov(*SIZE, 60.0)
    pose = camera_pose(np.array([0.0, 0.0, altitude]), yaw, pitch)
    far = camera_pose(np.array([30.0 * altitude, 0.0, altitude]), yaw, pitch)
    assert ground_overlap(camera, pose, pose) == 1.0
    assert ground_overlap(camera, pose, far) == 0.0


def test_samples_depend_on_the_seed_only(town: Scene) -> None:
    one, same, other = (sample_view(seed, SIZE, scene=town) for seed in (8, 8, 9))
    np.testing.assert_array_equal(one.image, same.image)
    assert not np.array_equal(one.truth.T_world_camera, other.truth.T_world_camera)


def test_views_mostly_show_objects_and_are_outside_of_buildings(town: Scene) -> None:
    counts = []
    for seed in range(8):
        frame = sample_view(seed, SIZE, ViewOptions(altitude_m=(6.0, 40.0)), town)
        counts.append(len(frame.truth.boxes.clearly_visible()))
        assert is_free(town, frame.truth.T_world_camera[:3, 3])
    assert sum(count > 0 for count in counts) >= 5
