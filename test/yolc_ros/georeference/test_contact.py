"""Where objects stand in their boxes, against the projection of cuboids."""

import math

import numpy as np
import pytest

from flight_sim.camera import camera_pose, world_to_camera
from perception_common.cameras.camera import Camera
from yolc_ros.georeference.contact import ASPECTS, FOOTING, contact_points

CAMERA = Camera.from_matrix(np.array([[1000.0, 0, 959.5], [0, 1000.0, 539.5], [0, 0, 1]]), 1920, 1080)
BOX = np.array([900.0, 500.0, 1000.0, 580.0])


def rotation(tilt, roll=0.0):
    return camera_pose(np.zeros(3), 0.4, math.radians(-tilt), roll)[:3, :3]


def cuboid_box(pose, place, length, height):
    """The box of an upright cuboid on the ground, by the pixels of its corners, and the pixel of its footprint."""
    steps = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0, 1)]) * [length, length, height]
    turned = steps @ np.array([[math.cos(0.4), math.sin(0.4), 0], [-math.sin(0.4), math.cos(0.4), 0], [0, 0, 1]])
    seen = world_to_camera(np.concatenate([place + turned, [place]]), pose)
    pixels = seen[:, :2] / seen[:, 2:] * 1000.0 + [959.5, 539.5]
    return np.concatenate([pixels[:-1].min(axis=0), pixels[:-1].max(axis=0)]), pixels[-1]


def test_nadir_views_take_the_centre():
    points, _ = contact_points(CAMERA, rotation(90.0), [959.5 - 50, 539.5 - 40, 959.5 + 50, 539.5 + 40], ["car"])
    np.testing.assert_allclose(points, [[959.5, 539.5]], atol=1e-6)


def test_views_at_the_horizon_take_the_bottom():
    points, _ = contact_points(CAMERA, rotation(0.5), BOX, ["car"])
    np.testing.assert_allclose(points, [[950.0, 580.0]], atol=2.5)


def test_a_rolled_image_takes_the_side_to_which_gravity_points():
    points, _ = contact_points(CAMERA, rotation(10.0, math.pi / 2), BOX, ["pedestrian"])
    assert abs(points[0, 1] - 540) < 2
    assert abs(abs(points[0, 0] - 950) - 50) < 10


@pytest.mark.parametrize("tilt", [80.0, 60.0, 45.0, 30.0, 15.0])
@pytest.mark.parametrize("name", ["car", "pedestrian", "bus"])
def test_the_footprint_of_a_cuboid_is_found(tilt, name):
    length, height = 3.0, 3.0 * ASPECTS[name]
    pose = camera_pose(np.array([0.0, 0.0, 60.0]), 0.4, math.radians(-tilt))
    ahead = 60 / math.tan(math.radians(tilt))
    box, foot = cuboid_box(pose, np.array([ahead * math.cos(0.4), ahead * math.sin(0.4), 0.0]), length, height)
    points, deviations = contact_points(CAMERA, pose[:3, :3], box, [name])
    extent = box[3] - box[1]
    assert np.linalg.norm(points[0] - foot) < 0.1 * extent
    assert np.linalg.norm((box[:2] + box[2:]) / 2 - foot) > np.linalg.norm(points[0] - foot) or tilt == 80.0
    assert deviations[0] == pytest.approx(FOOTING * np.linalg.norm(box[2:] - box[:2]))


def test_tall_objects_at_the_margin_of_a_nadir_view_stand_towards_its_centre():
    pose = camera_pose(np.array([0.0, 0.0, 30.0]), 0.4, -math.pi / 2)
    box, foot = cuboid_box(pose, np.array([14.0, 6.0, 0.0]), 0.65, 0.65 * ASPECTS["pedestrian"])
    points, _ = contact_points(CAMERA, pose[:3, :3], box, ["pedestrian"])
    centre = (box[:2] + box[2:]) / 2
    assert np.linalg.norm(points[0] - foot) < 0.5 * np.linalg.norm(centre - foot)


def test_no_boxes_give_no_points():
    points, deviations = contact_points(CAMERA, rotation(60.0), np.zeros((0, 4)), [])
    assert points.shape == (0, 2)
    assert deviations.shape == (0,)
