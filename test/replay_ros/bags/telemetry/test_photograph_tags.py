"""EXIF and XMP of photographs: what makers write, what is left out with a word, and hostile input."""

import contextlib
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perception_common.errors import InputError
from replay_ros.bags.telemetry.exif_tags import ExifTags, read_exif
from replay_ros.bags.telemetry.photographs import read_photograph, telemetry_of
from replay_ros.bags.telemetry.xmp_tags import MAX_BYTES, MOST_DEPTH, read_xmp


def test_a_dji_photograph_states_everything(photographs):
    found = telemetry_of(photographs.dji(latitude=-46.84, longitude=91.99, yaw=-140.0, pitch=-89.9, height=39.8))
    assert (found.make, found.model, found.problems) == ("DJI", "FC300S", ())
    assert found.time_ns == 1466699519 * 10**9  # `date -u -d "2016-06-23 16:31:59" +%s`
    assert not found.has_fraction
    assert (found.position.latitude, found.position.longitude) == pytest.approx((-46.84, 91.99), abs=1e-7)
    assert found.position.altitude == pytest.approx(198.6)
    assert found.relative_altitude == 39.8
    assert (found.angles.yaw, found.angles.pitch, found.angles.roll) == (-140.0, -89.9, 0.0)


def test_elements_are_read_as_attributes_are(photographs):
    tags = {"drone-dji:RelativeAltitude": "+12.50", "drone-dji:GimbalYawDegree": "+1.0"}
    for as_elements in (False, True):
        assert dict(read_xmp(photographs.xmp_of(tags, as_elements=as_elements))) == tags


def test_fraction_and_zone_of_the_time_are_read(photographs):
    exif = photographs.exif_of(camera={36867: "2016:06:23 16:31:59", 37521: "25", 36881: "-05:00"})
    found = telemetry_of(photographs.jpeg_with(exif=exif))
    assert (found.time_ns, found.has_fraction) == ((1466699519 + 5 * 3600) * 10**9 + 250_000_000, True)


ANGLES = [  # maker, tags, and the direction of the optical axis and of the image's top in east, north, up
    ("DJI", "drone-dji:Gimbal{}Degree", (90, -90, 0), (0, 0, -1), (1, 0, 0)),
    ("DJI", "drone-dji:Gimbal{}Degree", (0, -30, 0), (0, math.cos(math.pi / 6), -0.5), (0, 0.5, math.cos(math.pi / 6))),
    ("Parrot", "drone-parrot:Camera{}Degree", (-90, -90, 0), (0, 0, -1), (-1, 0, 0)),
    ("Autel Robotics", "drone:Gimbal{}Degree", (0, -90, 0), (0, 0, -1), (0, 1, 0)),
    ("Autel Robotics", "Camera:{}", (0, -90, 0), (0, 0, -1), (0, 1, 0)),
    ("senseFly", "Camera:{}", (90, 0, 0), (0, 0, -1), (1, 0, 0)),
    ("Parrot", "Camera:{}", (90, 0, 0), (0, 0, -1), (1, 0, 0)),
    # A nose that is raised by 30 degrees lets a camera below it look ahead by as much.
    ("Parrot", "Camera:{}", (0, 30, 0), (0, 0.5, -math.cos(math.pi / 6)), (0, math.cos(math.pi / 6), 0.5)),
]


@pytest.mark.parametrize(("make", "pattern", "angles", "axis", "top"), ANGLES)
def test_each_maker_has_its_convention(photographs, make, pattern, angles, axis, top):
    tags = {pattern.format(name): value for name, value in zip(("Yaw", "Pitch", "Roll"), angles, strict=True)}
    data = photographs.jpeg_with(exif=photographs.exif_of(image={271: make}), xmp=photographs.xmp_of(tags))
    R = telemetry_of(data).angles.rotation()
    np.testing.assert_allclose(R[:, 2], axis, atol=1e-12)
    np.testing.assert_allclose(-R[:, 1], top, atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ({"Camera:Yaw": 1, "Camera:Pitch": 2, "Camera:Roll": 3}, "maker Acme"),
        ({"drone-dji:FlightYawDegree": 1}, "only the attitude of the drone"),
        ({"drone-dji:GimbalYawDegree": 1, "drone-dji:GimbalPitchDegree": "nan"}, "are not three angles"),
    ],
)
def test_an_attitude_that_is_not_understood_is_left_out_with_a_word(photographs, tags, word):
    data = photographs.jpeg_with(exif=photographs.exif_of(image={271: "Acme"}), xmp=photographs.xmp_of(tags))
    found = telemetry_of(data)
    assert found.angles is None
    assert any(word in problem for problem in found.problems)


@pytest.mark.parametrize(
    ("gps", "word"),
    [
        ({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}, "impossible"),
        ({1: "N", 2: (91.0, 0.0, 0.0), 3: "E", 4: (10.0, 0.0, 0.0)}, "impossible"),
        ({1: "N", 2: (46.0, 0.0, 0.0)}, "incomplete"),
        ({1: "N", 2: (46.0, 0.0, 0.0), 3: "E", 4: (10.0, 0.0, 0.0), 9: "V"}, "no fix"),
    ],
)
def test_a_position_that_cannot_be_is_left_out_with_a_word(photographs, gps, word):
    found = telemetry_of(photographs.jpeg_with(exif=photographs.exif_of(gps=gps)))
    assert found.position is None
    assert any(word in problem for problem in found.problems)


def test_accuracies_come_from_the_file_where_it_states_them(photographs):
    gps = {1: "N", 2: (46.0, 0.0, 0.0), 3: "E", 4: (10.0, 0.0, 0.0)}
    rtk = {"drone-dji:RtkStdLat": "0.011", "drone-dji:RtkStdLon": "0.012", "drone-dji:RtkStdHgt": "0.03"}
    for tags, expected in (
        (rtk, (0.012, 0.03)),
        ({"Camera:GPSXYAccuracy": "1.5"}, (1.5, 30.0)),
        ({"a:b": 1}, (3.0, 30.0)),
    ):
        data = photographs.jpeg_with(exif=photographs.exif_of(gps=gps), xmp=photographs.xmp_of(tags))
        at = telemetry_of(data).position
        assert (at.deviation, at.altitude_deviation) == expected


def test_a_document_type_is_refused_before_its_entities_expand():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    with pytest.raises(InputError, match="document type"):
        read_xmp(bomb)


@pytest.mark.parametrize("packet", [b"<x>", b"", b"\xff\xfe<\0x\0", b"<x>&lol;</x>", b"\0" * 100, b"<a:b/>" * 2])
def test_xmp_that_is_damaged_is_an_input_error(packet):
    with pytest.raises(InputError, match="XMP is damaged"):
        read_xmp(packet)


def test_xmp_is_bounded():
    with pytest.raises(InputError, match="more than"):
        read_xmp(b" " * (MAX_BYTES + 1))
    deep = MOST_DEPTH + 1
    with pytest.raises(InputError, match="nested"):
        read_xmp(b"<a>" * deep + b"</a>" * deep)


def test_a_damaged_structure_leaves_the_rest(photographs):
    data = photographs.jpeg_with(exif=b"MM\0\x2a\0\0", xmp=photographs.xmp_of({"drone-dji:RelativeAltitude": "7"}))
    found = telemetry_of(data)
    assert found.relative_altitude == 7.0
    assert any("EXIF" in problem for problem in found.problems)


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_photograph(tmp_path / "none.jpg")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_in_place_of_exif_end_in_an_input_error_or_in_tags(data):
    with contextlib.suppress(InputError):
        assert isinstance(read_exif(b"II*\0" + data), ExifTags)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_photograph_with_damaged_bytes_never_raises(photographs, data):
    whole = bytearray(photographs.dji())
    end = whole.index(b"\xff\xdb")  # the tables of the picture follow the metadata
    for _ in range(data.draw(st.integers(1, 20))):
        whole[data.draw(st.integers(2, end - 1))] = data.draw(st.integers(0, 255))
    found = telemetry_of(bytes(whole))
    assert found.position is None or abs(found.position.latitude) <= 90.0
    assert found.time_ns is None or 0 < found.time_ns < 2**31 * 10**9
    assert found.lens is None or 0.1 <= found.lens.focal <= 50.0


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["a:Yaw", "b:Pitch", "c:d"]), st.text("+-0123456789./einfa ", max_size=8)))
def test_any_values_of_properties_come_back_as_text(photographs, tags):
    expected = {name: value.strip() for name, value in tags.items()}
    assert dict(read_xmp(photographs.xmp_of(tags))) == expected
