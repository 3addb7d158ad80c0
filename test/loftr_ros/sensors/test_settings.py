"""Settings are read strictly from mappings and refuse invalid values."""

import pytest

from loftr_ros.sensors.settings import DynamicSettings, SensorSettings
from perception_common.config import from_mapping
from perception_common.errors import InputError


def test_settings_are_read_strictly():
    settings = from_mapping(SensorSettings, {"altitude_along": "beam", "limits": {"max_age": 0.2}})
    assert (settings.altitude_along, settings.limits.max_age) == ("beam", 0.2)
    assert from_mapping(DynamicSettings, {"classes": ["car"], "weight": 0.5}).classes == ("car",)


@pytest.mark.parametrize(
    ("cls", "values", "words"),
    [
        (SensorSettings, {"altitude_deviation": 0.0}, "must be positive"),
        (SensorSettings, {"odometry_drift": -1.0}, "not be negative"),
        (SensorSettings, {"altitude_along": "up"}, "altitude_along"),
        (DynamicSettings, {"weight": 1.5}, "within 0 and 1"),
        (DynamicSettings, {"margin": -1.0}, "not be negative"),
    ],
)
def test_invalid_settings_are_refused(cls, values, words):
    with pytest.raises(InputError, match=words):
        from_mapping(cls, values)
