"""All sensors together: readings of an image, counts of unusable messages, and readings kept with a keyframe."""

from types import SimpleNamespace

import numpy as np
import pytest

from loftr_ros.sensors.settings import SensorSettings
from loftr_ros.sensors.suite import FrameReadings, Sensors

SECOND = 1_000_000_000


def header(seconds, frame="sensor"):
    whole = int(seconds)
    return SimpleNamespace(stamp=SimpleNamespace(sec=whole, nanosec=round((seconds - whole) * 1e9)), frame_id=frame)


def range_of(value, seconds):
    return SimpleNamespace(header=header(seconds), range=value, min_range=0.1, max_range=100.0)


def fix(altitude, seconds=0.0):
    covariance = np.array([1.0, 0, 0, 0, 1.0, 0, 0, 0, 4.0])
    status = SimpleNamespace(status=0)
    return SimpleNamespace(
        header=header(seconds),
        status=status,
        altitude=altitude,
        position_covariance=covariance,
        position_covariance_type=2,
    )


def depth_image(value, seconds):
    data = np.full((2, 3), value, "<f4").tobytes()
    return SimpleNamespace(
        header=header(seconds), height=2, width=3, encoding="32FC1", is_bigendian=False, step=12, data=data
    )


def odometry(x, yaw, seconds):
    position = SimpleNamespace(x=x, y=0.0, z=0.0)
    orientation = SimpleNamespace(x=0.0, y=0.0, z=np.sin(yaw / 2), w=np.cos(yaw / 2))
    pose = SimpleNamespace(pose=SimpleNamespace(position=position, orientation=orientation), covariance=np.zeros(36))
    return SimpleNamespace(header=header(seconds, "odom"), child_frame_id="base_link", pose=pose)


def imu(yaw, seconds, known=True):
    orientation = SimpleNamespace(x=0.0, y=0.0, z=np.sin(yaw / 2), w=np.cos(yaw / 2))
    covariance = np.zeros(9) if known else np.array([-1.0, *[0] * 8])
    return SimpleNamespace(header=header(seconds), orientation=orientation, orientation_covariance=covariance)


def detections(seconds, count=1, trained=True):
    found = [SimpleNamespace(center_x=5.0, center_y=5.0, size_x=2.0, size_y=2.0, class_name="car", score=0.9)] * count
    return SimpleNamespace(header=header(seconds), image_width=10, image_height=10, detections=found, trained=trained)


def test_altitude_and_poses_are_interpolated_and_other_readings_are_the_nearest():
    sensors = Sensors()
    for seconds in (1.0, 1.4):
        assert sensors.add_range(range_of(10 * seconds, seconds))
        assert sensors.add_odometry(odometry(5 * seconds, seconds, seconds))
        assert sensors.add_imu(imu(seconds, seconds))
        assert sensors.add_depth(depth_image(seconds, seconds))
        assert sensors.add_detections(detections(seconds, round(10 * seconds)))
    found = sensors.at(round(1.1 * SECOND))
    assert found.altitude.value.value == pytest.approx(11.0)
    assert found.odometry.value.T[0, 3] == pytest.approx(5.5)
    for rotation in (found.odometry.value.T[:3, :3], found.orientation.value.rotation):
        assert np.arctan2(rotation[1, 0], rotation[0, 0]) == pytest.approx(1.1)
    assert [found.altitude.age, found.odometry.age, found.orientation.age] == [0.0, 0.0, 0.0]
    assert (found.depth.value.depth == 1.0).all()
    assert len(found.objects.value) == 10
    assert found.depth.age == found.objects.age == pytest.approx(0.1)


def test_sensors_without_messages_give_none():
    assert vars(Sensors().at(5)) == vars(FrameReadings(5))


def test_altitudes_of_ground_and_roof_are_not_interpolated():
    sensors = Sensors()
    sensors.add_range(range_of(50.0, 1.0))
    sensors.add_range(range_of(30.0, 1.2))
    found = sensors.at(round(1.05 * SECOND)).altitude
    assert (found.value.value, found.age) == (50.0, pytest.approx(0.05))


def test_altitudes_without_a_stamp_are_stamped_with_their_arrival():
    sensors = Sensors()
    assert sensors.add_float_altitude(SimpleNamespace(data=20.0), 7 * SECOND)
    assert sensors.at(7 * SECOND).altitude.value.value == 20.0


def test_fixes_are_relative_to_the_first_one_or_to_the_configured_ground_height():
    sensors = Sensors()
    assert not sensors.add_fix(fix(100.0))
    assert sensors.add_fix(fix(130.0, 1.0))
    assert sensors.at(SECOND).altitude.value.value == 30.0
    assert sensors.at(SECOND).altitude.value.deviation == 2.0
    sensors.clear()
    assert sensors.at(SECOND).altitude is None
    sensors.add_fix(fix(150.0, 2.0))
    assert sensors.at(2 * SECOND).altitude.value.value == 50.0
    known = Sensors(SensorSettings(ground_height=90.0))
    assert known.add_fix(fix(100.0))
    assert known.at(0).altitude.value.value == 10.0


def test_unusable_messages_are_counted_by_reason():
    sensors = Sensors()
    for value in (float("inf"), float("inf"), float("nan")):
        assert not sensors.add_range(range_of(value, 0.0))
    assert not sensors.add_imu(imu(0.0, 0.0, known=False))
    assert not sensors.add_detections(detections(0.0, trained=False))
    counts = sensors.ignored()
    assert sorted(counts.values()) == [1, 1, 1, 2]
    assert any("beyond max_range" in reason and count == 2 for reason, count in counts.items())
    assert sensors.at(0).altitude is None


def test_a_keyframe_keeps_readings_that_the_buffers_drop_and_takes_later_ones():
    sensors = Sensors()
    sensors.add_range(range_of(10.0, 1.0))
    kept = sensors.at(SECOND)
    assert kept.objects is None
    sensors.add_detections(detections(1.0))
    for k in range(2000):
        sensors.add_range(range_of(20.0, 2.0 + k))
    again = sensors.at(SECOND, known=kept)
    assert (again.altitude.value.value, again.altitude.age) == (10.0, 0.0)
    assert again.objects.age == 0.0
    assert sensors.at(SECOND).altitude.age > 1


def test_the_depth_image_of_an_image_is_the_one_it_was_paired_with():
    """Whichever of them arrives first; its age counts from the image. An equal stamp goes before a near one."""
    sensors = Sensors(SensorSettings(sync_slop=0.05))
    sensors.add_image(1 * SECOND)
    sensors.add_depth(depth_image(5.0, 1.03))
    sensors.add_depth(depth_image(6.0, 2.0))
    sensors.add_image(2 * SECOND)
    first, second = (sensors.at(seconds * SECOND).depth for seconds in (1, 2))
    assert (first.value.depth[0, 0], first.age) == (5.0, pytest.approx(0.03))
    assert (second.value.depth[0, 0], second.age) == (6.0, 0.0)
    assert sensors.at(3 * SECOND).depth.age == pytest.approx(1.0)  # none belongs to it; the scale refuses it
