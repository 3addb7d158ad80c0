import pytest

from perception_common.timing.stage_timer import StageTimer


def test_the_blocks_of_a_stage_are_added_up_and_recorded_also_when_one_raises():
    recorded = []
    timer = StageTimer(lambda name, seconds: recorded.append((name, seconds)))
    with timer.stage("network"):
        pass
    with pytest.raises(RuntimeError, match="boom"), timer.stage("network"):
        raise RuntimeError("boom")
    assert [name for name, _ in recorded] == ["network", "network"]
    assert timer.seconds == {"network": sum(seconds for _, seconds in recorded)}
