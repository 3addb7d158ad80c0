"""Every message of a bridge is passed on, refused with a reason, or waiting."""

from hypothesis import given
from hypothesis import strategies as st

from perception_common.node.bridges.traffic import Traffic


def test_the_counts_and_reasons_are_listed():
    lines = []
    traffic = Traffic("loops", lines.append)
    for _ in range(5):
        traffic.receive()
    traffic.pass_on()
    traffic.refuse("no scale")
    traffic.refuse("no scale")
    traffic.refuse("fewer than 30 inliers")
    assert lines == ["loops refused: no scale", "loops refused: fewer than 30 inliers"]
    assert traffic.values() == {
        "loops received": "5",
        "loops passed on": "1",
        "loops waiting": "1",
        "loops refused": "3",
        "loops refused: no scale": "2",
        "loops refused: fewer than 30 inliers": "1",
    }


def test_nothing_passed_on_is_a_blockage_that_ends_with_the_first_message():
    traffic = Traffic("loops", lambda _: None)
    assert traffic.blockage is None
    traffic.receive()
    traffic.refuse("no scale")
    assert traffic.blockage == "none of 1 loops was passed on, the last one: no scale"
    traffic.receive()
    traffic.pass_on()
    assert traffic.blockage is None


@given(st.lists(st.integers(0, 1000), max_size=200))
def test_texts_that_differ_without_end_are_counted_together(numbers):
    lines = []
    traffic = Traffic("requests", lines.append)
    for number in numbers:
        traffic.receive()
        traffic.refuse(f"keyframe {number} is gone")
    assert traffic.waiting == 0
    assert traffic.refused.total() == len(numbers)
    assert len(traffic.refused) <= 21
    assert len(lines) == len(traffic.refused)
