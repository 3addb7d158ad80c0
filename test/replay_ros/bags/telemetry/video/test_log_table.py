"""Tables of flight logs with the columns and units of their exporters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.errors import InputError
from replay_ros.bags.telemetry.video.log_table import read_log_table


def table(folder, text):
    path = folder / "DJI_0001.csv"
    path.write_text(text)
    return path


def test_an_airdata_table_begins_with_the_video_and_has_feet(tmp_path):
    text = (
        "time(millisecond),datetime(utc),latitude,longitude,height_above_takeoff(feet),isVideo,gimbal_heading(degrees),"
        "gimbal_pitch(degrees)\n"
        "100,x,46.0,10.0,100,0,10,-90\n"
        "300,x,46.1,10.1,131.2336,1,350.5,-90\n"
        "800,x,46.2,10.2,131.2336,1,351.5,-80\n"
        "900,x,46.3,10.3,100,0,10,-90\n"
    )
    found = read_log_table(table(tmp_path, text))
    assert [each.time_ns for each in found] == [0, 500_000_000]
    assert [each.position.latitude for each in found] == [46.1, 46.2]
    assert found[0].relative_altitude == pytest.approx(40.0)
    assert (found[1].angles.yaw, found[1].angles.pitch, found[1].angles.roll) == (351.5, -80.0, 0.0)


def test_plain_names_and_missing_cells(tmp_path):
    found = read_log_table(table(tmp_path, "Time [s], lat, lon, rel_alt\n2,46,10,\n2.5,,,30\n3,,,\nend\n"))
    assert [(each.time_ns, each.position is None, each.relative_altitude) for each in found] == [
        (0, False, None),
        (500_000_000, True, 30.0),
    ]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no column of time"),
        ("latitude,longitude\n1,2\n", "no column of time"),
        ("time,price\n1,2\n", "states a position"),
        ("time,rel_alt,isvideo\n0,1,1\n1,1,0\n2,1,1\n", "holds 2 videos"),
        ("time,rel_alt,isvideo\n0,1,0\n", "holds 0 videos"),
    ],
)
def test_other_tables_are_an_input_error(tmp_path, text, word):
    with pytest.raises(InputError, match=word):
        read_log_table(table(tmp_path, text))


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.lists(st.text('0123456789.-e,"nai', max_size=6), max_size=5), max_size=5))
def test_any_cells_give_values_that_can_be_or_an_input_error(tmp_path_factory, rows):
    text = "time,lat,lon,rel_alt,isvideo\n" + "\n".join(",".join(row) for row in rows)
    try:
        found = read_log_table(table(tmp_path_factory.mktemp("table"), text))
    except InputError:
        return
    assert all(each.position is None or abs(each.position.latitude) <= 90.0 for each in found)
