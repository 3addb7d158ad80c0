"""From messages and boxes to objects on the ground."""

import math
from types import SimpleNamespace as Message

import numpy as np
import pytest

from flight_sim.camera import camera_pose, world_to_camera
from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.geometry import quaternion_from_matrix, so3_exp, transform
from yolc_ros.georeference.errors import ATTITUDE, POSITION, VERTICAL, ErrorModel
from yolc_ros.georeference.geodesy import LocalFrame
from yolc_ros.georeference.georeferencer import Georeferencer, check_georeferencing
from yolc_ros.georeference.projection import Status
from yolc_ros.georeference.sensors import GeoreferenceSettings, PlaceSensors, UnlocatedError, place_topics
from yolc_ros.ground_sensors import GroundSettings
from yolc_ros.parameters import YolcParameters

pytest.importorskip("pymap3d")
CAMERA = Camera.from_matrix(np.array([[1000.0, 0, 959.5], [0, 1000.0, 539.5], [0, 0, 1]]), 1920, 1080)
FRAME = LocalFrame(56.2, 10.2, 80.0)
SECOND = 10**9
PLACE = np.array([12.0, 40.0, -50.0])  # of an object on the ground, metres from the first position


def header(seconds, frame_id="camera"):
    whole = math.floor(seconds)
    return Message(stamp=Message(sec=whole, nanosec=round((seconds - whole) * 1e9)), frame_id=frame_id)


def altitude(value, seconds=1.0):
    return Message(header=header(seconds), range=value, min_range=0.1, max_range=500.0)


def imu(rotation, seconds=1.0, frame_id="camera", covariance=None):
    x, y, z, w = quaternion_from_matrix(rotation)
    return Message(
        header=header(seconds, frame_id),
        orientation=Message(x=x, y=y, z=z, w=w),
        orientation_covariance=[0.0] * 9 if covariance is None else np.ravel(covariance).tolist(),
    )


def tf(parent, child, T, seconds=0.0):
    x, y, z, w = quaternion_from_matrix(T[:3, :3])
    translation = Message(x=T[0, 3], y=T[1, 3], z=T[2, 3])
    stamped = Message(
        header=header(seconds, parent),
        child_frame_id=child,
        transform=Message(translation=translation, rotation=Message(x=x, y=y, z=z, w=w)),
    )
    return Message(transforms=[stamped])


def fix(place, seconds=1.0, deviation=0.0):
    latitude, longitude, height = FRAME.to_geodetic(np.array([place]))[0]
    return Message(
        header=header(seconds),
        status=Message(status=0),
        latitude=latitude,
        longitude=longitude,
        altitude=height,
        position_covariance=(deviation**2 * np.eye(3)).ravel().tolist(),
        position_covariance_type=2 if deviation else 0,
    )


def looking(tilt=60.0, heading=math.pi / 2):
    return camera_pose(np.zeros(3), heading, math.radians(-tilt))[:3, :3]


def sensors_with(settings=None, places=None, seconds=(1.0,), speed=0.0):
    sensors = PlaceSensors(settings or GroundSettings("range", use_imu=True), places)
    for each in seconds:
        sensors.add_range(altitude(50.0, each))
        sensors.add_imu(imu(looking(), each))
        sensors.add_position(fix([speed * (each - seconds[0]), 0.0, 0.0], each))
    return sensors


def box_at(place, position, rotation=None):
    """A box of 40 x 30 pixels whose centre shows a place."""
    seen = world_to_camera(np.asarray(place), transform(looking() if rotation is None else rotation, position))
    x, y = seen[:2] / seen[2] * 1000.0 + [959.5, 539.5]
    return np.array([[x - 20, y - 15, x + 20, y + 15]]) + 0.5


def located(sensors, box, second=1.0, ids=None, frame_id="camera"):
    return Georeferencer(sensors).locate(round(second * SECOND), frame_id, lambda: CAMERA, box, ["other"], ids)


def test_an_object_is_where_its_box_shows_it():
    found = located(sensors_with(), box_at(PLACE, np.zeros(3)))
    assert found.status.tolist() == [Status.LOCATED]
    off = found.places[0] - PLACE
    assert abs(off[2]) < 1e-6
    assert np.linalg.norm(off) < 1.0  # below the centre of the box, by the rule of contact
    np.testing.assert_allclose(FRAME.to_enu(*found.geodetic[0]), found.places[0], atol=1e-5)
    assert found.frame is not None
    assert found.frame.latitude == pytest.approx(56.2)


def test_what_is_missing_is_told_in_words():
    sensors = PlaceSensors(GroundSettings("range", use_imu=True))
    box = box_at(PLACE, np.zeros(3))
    found = located(sensors, box)
    assert (found.status[0], found.reasons[0][:14]) == (Status.ATTITUDE_UNKNOWN, "no orientation")
    assert np.isnan(found.places).all()
    sensors.add_imu(imu(looking()))
    found = located(sensors, box)
    assert (found.status[0], found.reasons[0][:11]) == (Status.GROUND_UNKNOWN, "no altitude")
    sensors.add_range(altitude(50.0))
    found = located(sensors, box)
    assert (found.status[0], found.observations[0]) == (Status.POSITION_UNKNOWN, 1)
    assert np.linalg.norm(found.places[0] - (PLACE + np.array([0, 0, 50]))) < 1.0
    assert np.isnan(found.geodetic).all()
    assert located(sensors_with(), box, second=9.0).status[0] == Status.ATTITUDE_UNKNOWN


def test_an_unknown_calibration_is_a_problem_and_no_exception():
    def missing():
        raise InputError("no camera_info on /camera_info")

    georeferencer = Georeferencer(sensors_with())
    found = georeferencer.locate(SECOND, "camera", missing, box_at(PLACE, np.zeros(3)), ["car"])
    assert found.status.tolist() == [Status.GROUND_UNKNOWN]
    assert georeferencer.problem == "no camera_info on /camera_info"
    assert located(sensors_with(), np.zeros((0, 4))).places.shape == (0, 3)


def test_the_orientation_of_a_vehicle_needs_the_mount():
    level = np.eye(3)  # x to the east, z up
    mount = transform(looking(60.0, 0.0), np.zeros(3))  # ahead, which is east
    sensors = PlaceSensors(GroundSettings("range", use_imu=True, mount=mount))
    sensors.add_range(altitude(50.0))
    sensors.add_position(fix(np.zeros(3)))
    sensors.add_imu(imu(level, frame_id="base_link"))
    np.testing.assert_allclose(sensors.state(SECOND, "camera").rotation, mount[:3, :3], atol=1e-9)
    sensors.settings = GroundSettings("range", use_imu=True)
    with pytest.raises(UnlocatedError, match="base_from_optical"):
        sensors.state(SECOND, "camera")


def test_transforms_give_the_orientation_the_rates_and_no_covariance():
    """The vehicle is level, turns by 0.4 rad/s about z, and carries the camera as a static transform."""
    mount = transform(looking(60.0, 0.0), np.zeros(3))
    sensors = PlaceSensors(GroundSettings("range", attitude_frame="map"))
    sensors.add_range(altitude(50.0))
    sensors.add_position(fix(np.zeros(3)))
    with pytest.raises(UnlocatedError, match="/tf has no way from 'camera' to 'map': no attitude of the camera"):
        sensors.state(SECOND, "camera")
    sensors.transforms.add_all(tf("base_link", "camera", mount), is_static=True)
    for seconds in (0.5, 0.75, 1.25):
        turned = transform(so3_exp(np.array([0.0, 0.0, 0.4 * seconds])), np.array([9.0, 9.0, 9.0]))
        sensors.transforms.add_all(tf("map", "base_link", turned, seconds), is_static=False)
    state = sensors.state(SECOND, "camera")
    expected = so3_exp(np.array([0.0, 0.0, 0.4])) @ mount[:3, :3]
    np.testing.assert_allclose(state.rotation, expected, atol=1e-9)
    np.testing.assert_allclose(state.rates, [0.0, 0.0, 0.4], atol=1e-9)
    assert state.covariance[ATTITUDE, ATTITUDE][0, 0] == pytest.approx(math.radians(1.0) ** 2)
    with pytest.raises(UnlocatedError, match="has not arrived: no attitude of the camera"):
        sensors.state(2 * SECOND, "camera")
    assert [topic.name for topic in place_topics(sensors.settings)] == ["altitude", "fix"]


def test_told_covariances_are_used_and_turned_to_the_optical_frame():
    sensors = PlaceSensors(GroundSettings("range", use_imu=True))
    world = np.diag([1e-4, 2e-4, 9e-4])
    sensors.add_range(altitude(50.0))
    sensors.add_position(fix(np.zeros(3), deviation=0.7))
    sensors.add_imu(imu(looking(), covariance=world))
    state = sensors.state(SECOND, "camera")
    np.testing.assert_allclose(state.covariance[ATTITUDE, ATTITUDE], looking().T @ world @ looking(), atol=1e-12)
    np.testing.assert_allclose(state.covariance[POSITION, POSITION], 0.49 * np.eye(3), atol=1e-12)
    assert state.covariance[VERTICAL, VERTICAL] == pytest.approx(1.0)  # 2 % of 50 m


def test_old_readings_count_as_less_certain():
    sensors = sensors_with(seconds=(1.0, 1.5, 2.0), speed=10.0)
    state = sensors.state(2 * SECOND, "camera")
    np.testing.assert_allclose(state.velocity, [10.0, 0.0, 0.0], atol=1e-3)
    later = sensors.state(2 * SECOND + 3 * SECOND // 10, "camera")
    grown = later.covariance[POSITION, POSITION][0, 0] - state.covariance[POSITION, POSITION][0, 0]
    assert grown == pytest.approx((0.3 * 10.0) ** 2, rel=1e-3)


def test_a_height_above_the_ellipsoid_gives_altitude_and_position():
    sensors = PlaceSensors(GroundSettings("fix", ground_height=30.0, use_imu=True))
    (topic, _) = place_topics(sensors.settings)
    assert topic.add(sensors, fix(np.zeros(3)), 0)
    sensors.add_imu(imu(looking()))
    state = sensors.state(SECOND, "camera")
    assert not state.follows
    assert state.ground.height == pytest.approx(-50.0, abs=1e-6)


def test_tracks_are_filtered_and_forgotten():
    georeferencer = Georeferencer(sensors_with(seconds=tuple(np.arange(1.0, 6.0, 0.5))))
    box, rng = box_at(PLACE, np.zeros(3)), np.random.default_rng(0)
    single = georeferencer.locate(SECOND, "camera", lambda: CAMERA, box, ["car"])
    for second in np.arange(1.0, 5.0, 0.5):
        noisy = box + rng.normal(size=4)
        found = georeferencer.locate(round(second * SECOND), "camera", lambda: CAMERA, noisy, ["car"], [4])
    assert (found.ids[0], found.observations[0], bool(found.moving[0])) == (4, 8, False)
    assert np.trace(found.covariances[0]) < 0.8 * np.trace(single.covariances[0])
    georeferencer.forget()
    found = georeferencer.locate(5 * SECOND, "camera", lambda: CAMERA, box, ["car"], [4])
    assert found.observations[0] == 1


def test_cut_off_boxes_are_uncertain():
    whole, cut = np.array([[940.0, 900, 1000, 960]]), np.array([[940.0, 1020, 1000, 1080]])
    first, second = (located(sensors_with(), box).covariances[0] for box in (whole, cut))
    assert np.trace(second) > 1.3 * np.trace(first)


def test_parameters_say_what_is_missing():
    with pytest.raises(InputError, match="set use_imu"):
        YolcParameters(georeference=True)
    with pytest.raises(InputError, match="height_grid"):
        YolcParameters(georeference=True, use_imu=True)
    parameters = YolcParameters(georeference=True, use_imu=True, altitude="range", constant_share=0.2)
    assert [topic.name for topic in parameters.topics] == ["altitude", "fix", "imu"]
    assert parameters.places.errors == ErrorModel(constant_share=0.2)
    assert GeoreferenceSettings().max_range == YolcParameters().max_range
    with pytest.raises(InputError, match="base_from_optical"):
        YolcParameters(base_from_optical="1 2 3")
    with pytest.raises(InputError, match="leave use_imu"):
        YolcParameters(attitude_frame="map", use_imu=True)
    assert YolcParameters(georeference=True, attitude_frame="map", altitude="range").ground.attitude_frame == "map"


def test_what_georeferencing_cannot_use_is_refused_before_the_first_image(tmp_path):
    check_georeferencing(GeoreferenceSettings())
    with pytest.raises(InputError, match="no such height grid"):
        check_georeferencing(GeoreferenceSettings(height_grid=tmp_path / "heights.tif"))
