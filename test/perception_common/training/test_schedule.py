import pytest

from perception_common.training.schedule import ScheduleConfig, learning_rate


def test_the_rate_rises_during_warm_up_and_then_stays_constant():
    config = ScheduleConfig(learning_rate=1e-3, warmup_steps=10)
    assert [learning_rate(config, step, 100) for step in (0, 4, 9, 10, 99)] == pytest.approx(
        [1e-4, 5e-4, 1e-3, 1e-3, 1e-3]
    )


def test_extending_a_run_keeps_its_earlier_rates():
    config = ScheduleConfig(warmup_steps=5)
    assert [learning_rate(config, step, 50) for step in range(50)] == [
        learning_rate(config, step, 5000) for step in range(50)
    ]


def test_the_decay_ends_with_the_last_step():
    config = ScheduleConfig(learning_rate=1.0, warmup_steps=0, decay_start=50, final_rate=0.1)
    assert learning_rate(config, 50, 100) == pytest.approx(1.0)
    assert learning_rate(config, 75, 100) == pytest.approx(0.55)
    assert learning_rate(config, 100, 100) == pytest.approx(0.1)


def test_a_rate_of_zero_is_refused():
    with pytest.raises(ValueError, match="learning_rate"):
        ScheduleConfig(learning_rate=0)
