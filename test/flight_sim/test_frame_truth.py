"""Boxes, occlusion and depth against independent projections."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from flight_sim.buildings.panels import BuildingTextures, building_panels
from flight_sim.camera import PinholeCamera, camera_pose, camera_with_fov, lens_of
from flight_sim.city_map.elements import Building
from flight_sim.rendering.renderer import render_scene
from flight_sim.scene import Scene, SceneOptions, build_scene
from flight_sim.traffic.population import Population
from flight_sim.truth import FrameTruth, frame_truth

UNDISTORTED = camera_with_fov(480, 360, 65.0)
DISTORTED = camera_with_fov(480, 360, 75.0, (-0.1, 0.02, 0.001, -0.001, 0.0))


@pytest.fixture(scope="module")
def town() -> Scene:
    return build_scene(3, SceneOptions(side=160.0, metres_per_pixel=0.125, urbanity=0.6, height_limit=15.0))


def truth_at(scene: Scene, camera: PinholeCamera, pose: np.ndarray, stamp: float = 2.0) -> FrameTruth:
    lens = lens_of(camera)
    return frame_truth(scene, lens, pose, render_scene(scene, lens.undistorted, pose, stamp))


def project(points: np.ndarray, camera: PinholeCamera, pose: np.ndarray) -> np.ndarray:
    R = pose[:3, :3].T
    D = np.array(camera.distortion)
    return cv2.projectPoints(points, cv2.Rodrigues(R)[0], -R @ pose[:3, 3], camera.matrix, D)[0][:, 0]


@pytest.mark.parametrize("camera", [UNDISTORTED, DISTORTED])
@pytest.mark.parametrize("pitch", [-88.0, -50.0])
def test_boxes_equal_the_projected_geometry(town: Scene, camera: PinholeCamera, pitch: float) -> None:
    pose = camera_pose(np.array([70.0, 75.0, 40.0]), 1.0, np.radians(pitch))
    boxes = truth_at(town, camera, pose).boxes
    population = town.population
    position, yaw = population.at(2.0)
    checked = 0
    for box, key, place in zip(boxes.xyxy, boxes.ids, boxes.position, strict=True):
        k = (int(key) - 1) % len(population)
        np.testing.assert_allclose((place - position[k] + 1e-9) % town.side, 1e-9, atol=1e-6)
        corners = population.meshes[population.mesh_index[k]].corners.reshape(-1, 3) * population.scale[k]
        cos, sin = np.cos(yaw[k]), np.sin(yaw[k])
        world = corners @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) + [*place, 0.0]
        pixels = project(world, camera, pose)
        low = np.clip(pixels.min(axis=0), -0.5, [camera.width - 0.5, camera.height - 0.5])
        high = np.clip(pixels.max(axis=0), -0.5, [camera.width - 0.5, camera.height - 0.5])
        np.testing.assert_allclose(box, [*low, *high], atol=1e-2)
        checked += 1
    assert checked > 10


@pytest.mark.parametrize("camera", [UNDISTORTED, DISTORTED])
def test_visible_pixels_lie_in_the_box(town: Scene, camera: PinholeCamera) -> None:
    truth = truth_at(town, camera, camera_pose(np.array([70.0, 75.0, 30.0]), 1.0, -1.0))
    boxes = truth.boxes.clearly_visible()
    assert len(boxes) > 5
    for box, key in zip(boxes.xyxy, boxes.ids, strict=True):
        rows, columns = np.nonzero(truth.instances == key)
        assert box[0] - 1 <= columns.min()
        assert columns.max() <= box[2] + 1
        assert box[1] - 1 <= rows.min()
        assert rows.max() <= box[3] + 1


def test_depth_of_the_ground_in_a_distorted_image(town: Scene) -> None:
    pose = camera_pose(np.array([70.0, 75.0, 40.0]), 1.0, -1.1)
    truth = truth_at(town, DISTORTED, pose)
    rows, columns = (index[::50] for index in np.nonzero(truth.instances == 0))
    pixels = np.column_stack([columns, rows]).astype(np.float64)
    rays = cv2.undistortPointsIter(
        pixels[:, None], DISTORTED.matrix, np.array(DISTORTED.distortion), None, None, (cv2.TERM_CRITERIA_COUNT, 60, 0)
    )[:, 0]
    points = truth.depth[rows, columns, None] * np.column_stack([rays, np.ones(len(rays))])
    heights = (points @ pose[:3, :3].T + pose[:3, 3])[:, 2]
    assert np.abs(heights).max() < 0.01


def lone_car(scene: Scene, x: float, y: float) -> Population:
    population = scene.population
    k = int(np.flatnonzero(population.class_ids == 3)[0])
    one = {
        name: getattr(population, name)[k : k + 1]
        for name in ("class_ids", "mesh_index", "scale", "colours", "start", "speed")
    }
    return replace(population, **one, position=np.array([[x, y]]), yaw=np.zeros(1), route_index=np.array([-1]))


def test_occlusion_grows_behind_a_building(town: Scene) -> None:
    wall = Building(60.0, 60.0, 0.0, 8.0, 40.0, 0.0, 8.0, "flat", 0.0, 0, 0)
    texture = town.ground.colour
    textures = BuildingTextures((texture,) * 10, (texture,) * 6, (texture,) * 6)
    panels = (building_panels(np.random.default_rng(0), wall, textures),)
    pose = camera_pose(np.array([25.0, 60.0, 25.0]), 0.0, np.radians(-35.0))
    occlusion = []
    for x in (52.0, 90.0, 83.0, 82.0, 81.0, 80.0, 76.0):  # in front of the wall, then closer and closer behind it
        city = replace(town.city, buildings=(wall,), trees=())
        scene = replace(town, city=city, panels=panels, population=lone_car(town, x, 60.0))
        boxes = truth_at(scene, UNDISTORTED, pose).boxes
        assert len(boxes) == 1
        occlusion.append(float(boxes.occlusion[0]))
    assert occlusion[0] == 0.0
    assert (np.diff(occlusion[1:]) >= 0.0).all()
    assert occlusion[-1] == 1.0
    assert sum(0.05 < share < 0.95 for share in occlusion) >= 2


def test_truncation_is_the_share_of_the_box_outside(town: Scene) -> None:
    scene = replace(
        town, city=replace(town.city, buildings=(), trees=()), panels=(), population=lone_car(town, 60.0, 60.0)
    )
    nadir = camera_pose(
        np.array([60.0, 60.0, 20.0]), 0.0, -np.pi / 2
    )  # the image's top is east: the car stands upright in it
    half_height = 0.5 * UNDISTORTED.height * 20.0 / UNDISTORTED.fy
    assert truth_at(scene, UNDISTORTED, nadir).boxes.truncation[0] == 0.0
    nadir[0, 3] += half_height
    assert truth_at(scene, UNDISTORTED, nadir).boxes.truncation[0] == pytest.approx(0.5, abs=0.1)


def test_moving_pixels_belong_to_moving_objects(town: Scene) -> None:
    truth = truth_at(town, UNDISTORTED, camera_pose(np.array([70.0, 75.0, 60.0]), 1.0, -1.4))
    speed = np.linalg.norm(truth.boxes.velocity, axis=1)
    moving = set(truth.boxes.ids[speed > 0.05].tolist())
    assert set(np.unique(truth.instances[truth.moving])) <= moving
    assert truth.moving.sum() == sum((truth.instances == key).sum() for key in moving) > 0


def test_an_empty_scene_has_empty_boxes(town: Scene) -> None:
    scene = build_scene(0, SceneOptions(side=64.0, metres_per_pixel=0.25, built=False))
    boxes = truth_at(scene, UNDISTORTED, camera_pose(np.array([10.0, 10.0, 30.0]), 0.0, -1.4)).boxes
    assert len(boxes) == len(boxes.clearly_visible()) == 0
    assert boxes.xyxy.shape == (0, 4)
    assert boxes.velocity.shape == (0, 2)
