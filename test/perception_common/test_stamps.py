from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from perception_common.stamps import stamp_ns


@given(st.integers(0, 2**31 - 1), st.integers(0, 10**9 - 1))
def test_stamps_count_nanoseconds_exactly(sec, nanosec):
    assert divmod(stamp_ns(SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))), 10**9) == (sec, nanosec)
