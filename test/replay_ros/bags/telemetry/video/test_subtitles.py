"""DJI's subtitles in their dialects, and text that is none of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.errors import InputError
from replay_ros.bags.telemetry.lens import lens_from_film
from replay_ros.bags.telemetry.video.subtitles import cue_telemetry, read_subtitles

HD = (1920, 1080)
DIALECTS = [  # text, (latitude, longitude, altitude), height, (yaw, pitch, roll)
    (
        "HOME(149.0251,-20.2532) 2017.08.05 14:11:51\nGPS(149.0251,-20.2533,16) BAROMETER:1.9\nISO:100 Shutter:60",
        (-20.2533, 149.0251, None),
        1.9,
        None,
    ),
    (
        "F/2.8, SS 206.14, ISO 150, EV 0, GPS (-122.3699, 37.5929, 15), D 224.64m, H 20.50m, H.S 4.97m/s, V.S 0.00m/s",
        (37.5929, -122.3699, None),
        20.5,
        None,
    ),
    (
        "F/2.8, GPS (-122.36, 37.59, 15), D 2.0m, H -3.5m, F.PRY (2.1°, -1.1°, 33.5°), G.PRY (-89.5°, 0.5°, 32.1°)",
        (37.59, -122.36, None),
        -3.5,
        (32.1, -89.5, 0.5),
    ),
    (
        '<font size="36">SrtCnt : 1, DiffTime : 33ms\n2019-09-25 01:22:35,118,697\n[iso : 100] [shutter : 1/200.0] '
        "[fnum : 280] [ev : 0] [ct : 5540] [color_md : default] [focal_len : 240] [latitude : 60.608553] "
        "[longtitude : -1.963763] [altitude: 1417.697998] </font>",
        (60.608553, -1.963763, 1417.697998),
        None,
        None,
    ),
    (
        "[iso: 100] [latitude: 59.302335] [longitude: 18.203059] [rel_alt: 1.300 abs_alt: 132.860] [ct: 5540] "
        "[gb_yaw: -118.3 gb_pitch: -90.0 gb_roll: 0.0]",
        (59.302335, 18.203059, 132.86),
        1.3,
        (-118.3, -90.0, 0.0),
    ),
]


@pytest.mark.parametrize(("text", "position", "height", "angles"), DIALECTS)
def test_each_dialect_is_read(text, position, height, angles):
    found = cue_telemetry(text, 5, HD)
    assert (found.position.latitude, found.position.longitude, found.position.altitude) == position
    assert found.relative_altitude == height
    assert angles == (None if found.angles is None else (found.angles.yaw, found.angles.pitch, found.angles.roll))


def test_focal_lengths_are_tenths_or_have_a_point():
    expected = lens_from_film(24.0, None, HD).focal
    for text in ("[focal_len : 240] [rel_alt: 1.0", "[focal_len: 24.00] [rel_alt: 1.0"):
        assert cue_telemetry(text, 0, HD).lens.focal == pytest.approx(expected)


def test_a_position_before_the_fix_is_left_out_with_a_word():
    found = cue_telemetry("[latitude: 0.000000] [longitude: 0.000000] [rel_alt: 1.000 abs_alt: 2.0]", 0, HD)
    assert (found.position, found.relative_altitude) == (None, 1.0)
    assert "zero or impossible" in found.problems[0]


def test_cues_keep_their_times(tmp_path):
    cue = "{n}\n00:00:{s:02},{ms:03} --> 00:00:{s:02},999\n[rel_alt: {h:.3f} abs_alt: 2.0]\n\n"
    path = tmp_path / "DJI_0001.SRT"
    path.write_text("".join(cue.format(n=n, s=n // 2, ms=500 * (n % 2), h=n / 4) for n in range(6)))
    found = read_subtitles(path, HD)
    assert [(each.time_ns, each.relative_altitude) for each in found] == [(n * 500_000_000, n / 4) for n in range(6)]


@pytest.mark.parametrize("text", ["", "1\n00:00:00,000 --> 00:00:01,000\nHello: there.\n", "no subtitles at all"])
def test_other_subtitles_are_an_input_error(tmp_path, text):
    path = tmp_path / "film.srt"
    path.write_text(text)
    with pytest.raises(InputError, match="states a position"):
        read_subtitles(path, HD)


PIECES = [
    "GPS(",
    "GPS (1.5, 2.5, 3)",
    "[latitude: ",
    "[longtitude : 5]",
    "H ",
    "9999999999",
    "m",
    "rel_alt: ",
    "G.PRY (1, 2, 3)",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=30).map("".join))
def test_any_text_gives_values_that_can_be(text):
    found = cue_telemetry(text, 0, HD)
    assert found.position is None or abs(found.position.latitude) <= 90.0
    assert found.relative_altitude is None or abs(found.relative_altitude) <= 10_000.0
    assert found.angles is None or abs(found.angles.pitch) <= 360.0
