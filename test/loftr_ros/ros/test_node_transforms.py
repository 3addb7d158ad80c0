"""loftr_node whose transforms come late. Its mount is filled directly, as tf2_msgs may be missing."""

import threading
import time


def test_a_static_transform_after_the_last_image_brings_all_base_edges(bench):
    for k in range(3):
        bench.fly(k)
    assert bench.edges == []
    assert bench.node.describe()["base edges waiting"] == "3"
    bench.add_transform(is_static=True)
    bench.until(lambda: len(bench.edges) == 3)  # no further image is needed
    assert bench.ids() == [(0, 1), (1, 2), (0, 2)]
    assert bench.node.describe()["base edges waiting"] == "0"


def test_a_static_transform_that_comes_while_the_node_is_inactive_brings_the_base_edges_of_before(bench):
    for k in range(2):
        bench.fly(k)
    assert bench.node.describe()["base edges waiting"] == "1"
    bench.node.trigger_deactivate()
    bench.add_transform(is_static=True)
    bench.node.trigger_activate()
    bench.until(bench.images.get_subscription_count)
    bench.until(lambda: bench.edges)
    assert bench.ids() == [(0, 1)]
    assert not any("given up" in name for name in bench.node.describe())


def test_a_keyframe_waits_for_a_transform_that_is_a_little_late_while_the_executor_goes_on(bench):
    first, second = bench.flight.stamps_ns[:2]
    bench.add_transform(first, is_static=False)
    bench.fly(0)
    late = threading.Timer(0.3, lambda: bench.add_transform(second, is_static=False))
    late.start()
    bench.fly(1)  # spins the executor meanwhile
    assert bench.node.describe()["base edges waiting"] == "0"
    late.join()
    bench.until(lambda: bench.edges)
    assert bench.ids() == [(0, 1)]
    assert bench.statuses[-1].keyframe_id == 1
    start = time.monotonic()
    bench.fly(2)  # its transform never comes: it is answered after tf_timeout
    assert 1.0 <= time.monotonic() - start < 20.0
    assert bench.ids() == [(0, 1)]
    assert bench.node.describe()["base edges waiting"] == "2"
