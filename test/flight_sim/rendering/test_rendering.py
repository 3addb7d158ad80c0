"""The renderer against ray casting and plane homographies."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flight_sim.buildings.panels import BuildingTextures, building_panels
from flight_sim.camera import camera_pose, camera_with_fov, lens_of
from flight_sim.city_map.elements import Building
from flight_sim.rendering.buffers import BUILDING
from flight_sim.rendering.buildings import back_to_front
from flight_sim.rendering.renderer import render_scene
from flight_sim.scene import Scene, SceneOptions, build_scene
from flight_sim.textures.pyramid import build_pyramid
from flight_sim.truth import frame_truth

CAMERA = camera_with_fov(320, 240, 65.0)


@pytest.fixture(scope="module")
def open_ground() -> Scene:
    """A scene with ground only."""
    scene = build_scene(1, SceneOptions(side=128.0, metres_per_pixel=0.125, built=False))
    return replace(scene, city=replace(scene.city, trees=()))


def with_buildings(scene: Scene, *buildings: Building) -> Scene:
    texture = scene.ground.colour
    textures = BuildingTextures((texture,) * 10, (texture,) * 6, (texture,) * 6)
    rng = np.random.default_rng(0)
    panels = tuple(building_panels(rng, b, textures) for b in buildings)
    return replace(scene, city=replace(scene.city, buildings=buildings), panels=panels)


def box(x: float, y: float, size: float = 10.0, height: float = 12.0, yaw: float = 0.3) -> Building:
    return Building(x, y, yaw, size, size, 0.0, height, "flat", 0.0, 0, 0)


def rays_of(pose: np.ndarray) -> np.ndarray:
    """World directions (H, W, 3) whose component along the optical axis is 1."""
    u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    rays = np.dstack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(u.shape)])
    return rays @ pose[:3, :3].T


def first_hit(pose: np.ndarray, buildings: list[Building]) -> tuple[np.ndarray, np.ndarray]:
    """Depth (H, W) of ground and boxes by the slab method, and whether a box was hit."""
    rays, eye = rays_of(pose), pose[:3, 3]
    depth = -eye[2] / rays[..., 2]
    hit = np.zeros(depth.shape, bool)
    for b in buildings:
        turn = np.array([[np.cos(b.yaw), np.sin(b.yaw), 0], [-np.sin(b.yaw), np.cos(b.yaw), 0], [0, 0, 1]])
        origin, direction = turn @ (eye - [b.x, b.y, 0.0]), rays @ turn.T
        low, high = np.array([-b.length / 2, -b.width / 2, b.base]), np.array([b.length / 2, b.width / 2, b.top])
        with np.errstate(divide="ignore"):
            near, far = (low - origin) / direction, (high - origin) / direction
        enter, leave = np.minimum(near, far).max(axis=-1), np.maximum(near, far).min(axis=-1)
        inside = (enter < leave) & (enter > 0) & (enter < depth)
        depth, hit = np.where(inside, enter, depth), hit | inside
    return depth, hit


@pytest.mark.parametrize("pitch", [-90.0, -70.0, -40.0])
def test_depth_of_buildings_and_ground_equals_ray_casting(open_ground: Scene, pitch: float) -> None:
    buildings = [box(60, 60), box(75, 62, 8.0, 20.0, 0.0), box(64, 78, 14.0, 6.0, 1.0)]
    scene = with_buildings(open_ground, *buildings)
    pose = camera_pose(np.array([45.0, 50.0, 45.0]), 0.7, np.radians(pitch))
    truth = frame_truth(scene, lens_of(CAMERA), pose, render_scene(scene, CAMERA, pose, 0.0))
    expected, hit = first_hit(pose, buildings)
    edges = cv2.morphologyEx(hit.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    jumps = cv2.morphologyEx(expected.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 2.5
    clear = ~(edges | jumps)
    assert hit[clear].sum() > 1000
    np.testing.assert_array_equal((truth.instances == BUILDING)[clear], hit[clear])
    error = np.abs(truth.depth[clear] / expected[clear] - 1.0)
    assert error.max() < 0.01  # at creases, where a pixel shows one of two faces
    assert np.percentile(error, 99.5) < 1e-5


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31))
def test_painting_order_is_back_to_front(seed: int) -> None:
    """A ray from the eye meets the footprints in the reverse of the painting order."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(25)[:8]
    footprints = np.array(
        [
            box(
                *(20.0 * np.array(divmod(c, 5)) + rng.uniform(-2, 2, 2)), rng.uniform(5, 11), 5.0, rng.uniform(0, 3)
            ).footprint()
            for c in cells
        ]
    )
    eye = rng.uniform(-40, 120, 2)
    rank = {k: place for place, k in enumerate(back_to_front(footprints, eye))}
    for angle in np.linspace(0, 2 * np.pi, 180, endpoint=False):
        ray = np.array([np.cos(angle), np.sin(angle)])
        met = []
        for k, footprint in enumerate(footprints):
            edges = np.roll(footprint, -1, axis=0) - footprint
            normals = np.column_stack([edges[:, 1], -edges[:, 0]])
            distance, slope = np.einsum("kd,kd->k", normals, footprint - eye), normals @ ray
            enter = max((d / s for d, s in zip(distance, slope, strict=True) if s < 0), default=0.0)
            leave = min((d / s for d, s in zip(distance, slope, strict=True) if s > 0), default=np.inf)
            if 0 < enter < leave:
                met.append((enter, rank[k]))
        ranks = [place for _, place in sorted(met)]
        assert ranks == sorted(ranks, reverse=True)


def test_ground_texture_is_at_the_ground_plane(open_ground: Scene) -> None:
    """The phase of a sine painted on the ground equals that at the intersections of rays and plane, to 0.01 px."""
    metres = (np.arange(1024) + 0.5) * 0.125
    smooth = build_pyramid(np.zeros((256, 256), np.uint8), 0.5)
    for axis in (0, 1):
        wave = 127.5 + 100.0 * np.sin(2.0 * np.pi * metres / 8.0)
        raster = np.broadcast_to(wave[None, :, None] if axis == 0 else wave[:, None, None], (1024, 1024, 3))
        ground = replace(open_ground.ground, colour=build_pyramid(raster.astype(np.uint8), 0.125), roughness=smooth)
        for altitude in (15.0, 40.0, 75.0):  # magnified, at the resolution of the raster, and from a coarser level
            pose = camera_pose(np.array([46.0, 52.0, altitude]), 0.4, np.radians(-75.0))
            image = render_scene(replace(open_ground, ground=ground), CAMERA, pose, 0.0).image[..., 0]
            rays = rays_of(pose)
            at = pose[axis, 3] - rays[..., axis] * altitude / rays[..., 2]
            phase = 2.0 * np.pi * at / 8.0
            # image = mean + contrast * sin(phase) + shift * slope: least squares for the three
            terms = np.column_stack([np.ones(at.size), np.sin(phase).ravel(), np.cos(phase).ravel()])
            _, contrast, quadrature = np.linalg.lstsq(terms, image.ravel().astype(float), rcond=None)[0]
            shift_px = quadrature / contrast / (2.0 * np.pi / 8.0) * CAMERA.fx / altitude
            assert 90.0 < contrast < 101.0
            assert abs(shift_px) < 0.01


def test_the_world_repeats(open_ground: Scene) -> None:
    scene = with_buildings(open_ground, box(60, 60))
    here, there = (
        render_scene(scene, CAMERA, camera_pose(np.array([50.0 + dx, 60.0 + dy, 50.0]), 0.0, -1.2), 0.0)
        for dx, dy in ((0.0, 0.0), (-3 * scene.side, 2 * scene.side))
    )
    assert np.abs(here.image.astype(int) - there.image).max() <= 2
    np.testing.assert_array_equal(here.faces > 0, there.faces > 0)


def test_a_distorted_or_underground_camera_is_rejected(open_ground: Scene) -> None:
    with pytest.raises(ValueError, match="pinhole camera above"):
        render_scene(open_ground, CAMERA, camera_pose(np.array([0.0, 0.0, -1.0]), 0.0, -1.0), 0.0)
    with pytest.raises(ValueError, match="pinhole camera above"):
        render_scene(open_ground, replace(CAMERA, distortion=(0.1, 0, 0, 0, 0)), np.eye(4), 0.0)
