"""Lookups in a transform tree against products of its transforms, and against SciPy's Slerp."""

import threading
import time

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from perception_common.geometry import inverse, so3_exp, transform
from perception_common.sensors.transform_tree import CONTESTED_IMAGES, MAX_GAP_NS, Missing, TransformTree

SECOND = 10**9
poses = st.tuples(*[st.floats(-1.7, 1.7)] * 3, *[st.floats(-2, 2)] * 3).map(
    lambda v: transform(so3_exp(np.array(v[:3])), np.array(v[3:]))
)


def message(parent, child, T, stamp_ns=0):
    result = TransformStamped(child_frame_id=child)
    result.header.frame_id = parent
    result.header.stamp.sec, result.header.stamp.nanosec = divmod(stamp_ns, SECOND)
    translation, rotation = result.transform.translation, result.transform.rotation
    translation.x, translation.y, translation.z = T[:3, 3].tolist()
    rotation.x, rotation.y, rotation.z, rotation.w = Rotation.from_matrix(T[:3, :3]).as_quat().tolist()
    return result


def moving_tree(*stamps_ns, parent="base_link", child="camera"):
    tree = TransformTree()
    for stamp in stamps_ns:
        tree.add(message(parent, child, np.eye(4), stamp), is_static=False)
    return tree


def missing(tree, stamp_ns):
    return tree.find("base_link", "camera", stamp_ns).missing


@given(poses, poses, poses)
@settings(deadline=None, max_examples=20)
def test_transforms_are_composed_up_and_down_the_tree(base_gimbal, gimbal_camera, base_lidar):
    tree = TransformTree()
    tree.add(message("base_link", "gimbal", base_gimbal, 5 * SECOND), is_static=False)
    tree.add(message("gimbal", "camera", gimbal_camera), is_static=True)
    tree.add(message("/base_link", "lidar", base_lidar), is_static=True)
    expected = base_gimbal @ gimbal_camera
    np.testing.assert_allclose(tree.lookup("base_link", "camera", 5 * SECOND), expected, atol=1e-9)
    np.testing.assert_allclose(tree.lookup("camera", "base_link", 5 * SECOND), inverse(expected), atol=1e-9)
    np.testing.assert_allclose(tree.lookup("lidar", "/camera", 5 * SECOND), inverse(base_lidar) @ expected, atol=1e-9)
    np.testing.assert_allclose(tree.lookup("camera", "camera", 0), np.eye(4))


@st.composite
def chains(draw):
    """Frames f0 (the root) to fN with transforms by stamp, static or moving; some are lost, all arrive in any order."""
    links = []
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            links.append({None: draw(poses)})
            continue
        times = draw(st.lists(st.integers(0, 950), min_size=1, max_size=6, unique=True))  # within the restart limit
        links.append({100 * SECOND + t * SECOND // 1000: draw(poses) for t in times})
    arrivals = [(child, stamp) for child, link in enumerate(links) for stamp in link]
    return links, draw(st.permutations(arrivals)), 100 * SECOND + draw(st.integers(-200, 1200)) * SECOND // 1000


def interpolated(link, stamp):
    """The pose (4, 4) of a link at a stamp by SciPy; None where its transforms do not bracket the stamp."""
    if None in link:
        return link[None]
    known = sorted(link)
    if not known[0] <= stamp <= known[-1]:
        return None
    if len(known) == 1:
        return link[known[0]]
    seconds = (np.array(known) - known[0]) / SECOND
    at = (stamp - known[0]) / SECOND
    rotation = Slerp(seconds, Rotation.from_matrix([link[s][:3, :3] for s in known]))(min(at, seconds[-1]))
    position = [np.interp(at, seconds, [link[s][k, 3] for s in known]) for k in range(3)]
    return transform(rotation.as_matrix(), np.array(position))


@given(chains())
@settings(deadline=None, max_examples=300)
def test_a_lookup_is_the_interpolation_of_scipy_or_nothing(drawn):
    """After each arrival the tree knows what the transforms that have arrived bracket, and nothing else."""
    links, arrivals, stamp = drawn
    tree, arrived = TransformTree(), [{} for _ in links]
    for child, at in arrivals:
        arrived[child][at] = links[child][at]
        sent = message(f"f{child}", f"f{child + 1}", links[child][at], at or 0)
        tree.add(sent, is_static=at is None)
        found = tree.lookup("f0", f"f{len(links)}", stamp)
        parts = [interpolated(link, stamp) if link else None for link in arrived]
        if any(part is None for part in parts):
            assert found is None
        else:
            np.testing.assert_allclose(found, np.linalg.multi_dot([np.eye(4), *parts, np.eye(4)]), atol=1e-7)


@given(st.integers(1, 9), st.floats(0, 1), st.floats(-3, 3))
@settings(deadline=None, max_examples=30)
def test_slow_transforms_are_interpolated_between_those_that_bracket_the_stamp(period, share, angle):
    tree = TransformTree()
    turned = transform(so3_exp(np.array([0, 0, angle])), np.array([2.0, 0, 0]))
    tree.add(message("base_link", "camera", np.eye(4), 10 * SECOND), is_static=False)
    tree.add(message("base_link", "camera", turned, (10 + period) * SECOND), is_static=False)
    between = tree.lookup("base_link", "camera", 10 * SECOND + round(share * period * SECOND))
    expected = transform(so3_exp(np.array([0, 0, share * angle])), np.array([2.0 * share, 0, 0]))
    np.testing.assert_allclose(between, expected, atol=1e-8)


def test_nothing_is_extrapolated_and_the_reason_tells_whether_waiting_helps():
    tree = moving_tree(10 * SECOND, 11 * SECOND, 11 * SECOND + MAX_GAP_NS + 1)
    assert missing(tree, 10 * SECOND) is None
    assert missing(tree, 10 * SECOND - 1) is Missing.NEVER
    assert missing(tree, 12 * SECOND) is Missing.NEVER  # the gap is too long
    newest = 11 * SECOND + MAX_GAP_NS + 1
    assert missing(tree, newest) is None
    assert missing(tree, newest + 1) is Missing.LATE
    assert missing(tree, newest + MAX_GAP_NS) is Missing.LATE
    assert missing(tree, newest + MAX_GAP_NS + 1) is Missing.NEVER
    assert missing(moving_tree(), 0) is Missing.UNCONNECTED
    assert "'camera'" in tree.find("base_link", "camera", newest + 1).reason


def test_a_late_transform_is_waited_for_and_no_longer_than_asked():
    tree = moving_tree(10 * SECOND)
    arriving = threading.Timer(
        0.1, lambda: tree.add(message("base_link", "camera", np.eye(4), 11 * SECOND), is_static=False)
    )
    arriving.start()
    assert tree.wait("base_link", "camera", 10 * SECOND + 1, timeout=20.0).T is not None
    arriving.join()
    start = time.monotonic()
    assert tree.wait("base_link", "camera", 12 * SECOND, timeout=0.05).missing is Missing.LATE
    assert time.monotonic() - start >= 0.05
    start = time.monotonic()
    assert tree.wait("base_link", "nowhere", 12 * SECOND, timeout=20.0).missing is Missing.UNCONNECTED
    assert tree.wait("base_link", "camera", 9 * SECOND, timeout=20.0).missing is Missing.NEVER
    assert time.monotonic() - start < 10.0  # waiting would not help


def test_transforms_from_before_a_restart_of_the_clock_are_not_used():
    """A bag that starts over: the second frame has not been sent again, so the chain is unknown."""
    tree = moving_tree(100 * SECOND, 101 * SECOND, parent="gimbal")
    for stamp in (98, 99, 100, 101):
        tree.add(message("base_link", "gimbal", np.eye(4), stamp * SECOND), is_static=False)
    assert missing(tree, 100 * SECOND) is None
    for stamp in (98, 99):
        tree.add(message("gimbal", "camera", np.eye(4), stamp * SECOND), is_static=False)
    assert missing(tree, 98 * SECOND) is not None
    for stamp in (98, 99):
        tree.add(message("base_link", "gimbal", np.eye(4), stamp * SECOND), is_static=False)
    assert missing(tree, 98 * SECOND) is None


def test_images_that_start_over_drop_transforms_of_the_old_clock():
    tree = moving_tree(100 * SECOND, 105 * SECOND)
    tree.restart(101 * SECOND)
    assert missing(tree, 102 * SECOND) is not None
    tree = moving_tree(100 * SECOND, 101 * SECOND)  # sent again already
    tree.restart(100 * SECOND)
    assert missing(tree, 100 * SECOND) is None


@pytest.mark.parametrize("ahead", [2 * MAX_GAP_NS, 3600 * SECOND])
def test_a_transform_with_a_stamp_far_ahead_of_the_images_loses_no_other_one(ahead):
    tree = moving_tree(100 * SECOND, 101 * SECOND)
    tree.begin_image(101 * SECOND + 1)
    tree.add(message("base_link", "camera", np.eye(4), 101 * SECOND + ahead), is_static=False)
    assert missing(tree, 101 * SECOND + 1) is Missing.LATE  # and not NEVER: the next one may still arrive
    tree.add(message("base_link", "camera", np.eye(4), 102 * SECOND), is_static=False)
    for stamp in (100 * SECOND, 101 * SECOND, 101 * SECOND + 1, 102 * SECOND):
        assert missing(tree, stamp) is None
    assert missing(tree, 102 * SECOND + 1) is Missing.LATE


def test_a_clock_that_restarts_while_the_images_pause_drops_all_transforms():
    tree = moving_tree(100 * SECOND, 101 * SECOND, 150 * SECOND)
    tree.begin_image(101 * SECOND)
    for stamp in (90, 91):
        tree.add(message("base_link", "camera", np.eye(4), stamp * SECOND), is_static=False)
    assert missing(tree, 90 * SECOND) is None
    assert missing(tree, 100 * SECOND) is Missing.LATE


def test_images_that_start_over_keep_the_first_transform_of_the_new_clock():
    tree = moving_tree(100 * SECOND, 105 * SECOND, 50 * SECOND)
    tree.restart(50 * SECOND)
    assert missing(tree, 50 * SECOND) is None
    assert missing(tree, 102 * SECOND) is not None


@given(chains(), st.lists(st.tuples(st.integers(0, 20), st.sampled_from([0, 0, 0, 1, 50])), max_size=4))
@settings(deadline=None, max_examples=100)
def test_single_transforms_with_a_stamp_from_long_before_change_nothing(drawn, strays):
    """As of a publisher that starts before it hears of simulated time: its stamps are 0 until then."""
    links, arrivals, stamp = drawn
    moving = [child for child, link in enumerate(links) if None not in link]
    clean, disturbed = TransformTree(), TransformTree()
    for position, (child, at) in enumerate(arrivals):
        sent = message(f"f{child}", f"f{child + 1}", links[child][at], at or 0)
        for tree in (clean, disturbed):
            tree.add(sent, is_static=at is None)
        for when, seconds in strays:
            if when == position and child in moving:
                stray = message(f"f{child}", f"f{child + 1}", np.eye(4), seconds * SECOND)
                disturbed.add(stray, is_static=False)
        found = [tree.find("f0", f"f{len(links)}", stamp) for tree in (clean, disturbed)]
        assert found[0].missing is found[1].missing
        if found[0].T is not None:
            np.testing.assert_array_equal(found[0].T, found[1].T)


def test_ignored_transforms_are_counted():
    tree = moving_tree(100 * SECOND, 0, 0, 101 * SECOND, 0, 102 * SECOND)
    assert tree.invalid == 3
    for parent, child in (("camera", "camera"), ("", "camera"), ("base_link", "")):
        tree.add(message(parent, child, np.eye(4)), is_static=True)
    assert tree.invalid == 6
    assert missing(tree, 101 * SECOND) is None


def test_a_frame_whose_stamps_are_never_set_says_so():
    tree = moving_tree(0, 0, 0)
    assert tree.find("base_link", "camera", 100 * SECOND).reason.endswith("more than 10 s old (its stamp is 0)")


@pytest.mark.parametrize("rate", [200, 1000])
@pytest.mark.parametrize("period", [5, 9])
def test_a_fast_frame_is_kept_until_a_slow_one_of_the_chain_arrives(rate, period):
    """The mount turns by one radian in a period; its second transform comes after all of the fast frame's."""
    tree = moving_tree(100 * SECOND, child="mount")
    for k in range(rate * (period + 1)):
        tree.add(message("mount", "camera", np.eye(4), 100 * SECOND + k * SECOND // rate), is_static=False)
    turned = transform(so3_exp(np.array([0, 0, 1.0])), np.zeros(3))
    tree.add(message("base_link", "mount", turned, (100 + period) * SECOND), is_static=False)
    expected = transform(so3_exp(np.array([0, 0, 0.25])), np.zeros(3))
    np.testing.assert_allclose(tree.lookup("base_link", "camera", 100 * SECOND + period * SECOND // 4), expected)


SOURCES = {
    "two parents": (("base_link", False), ("other", False)),
    "two parents, static": (("base_link", True), ("other", True)),
    "moving and static": (("base_link", False), ("base_link", True)),
}


@pytest.mark.parametrize("sources", SOURCES.values(), ids=SOURCES)
def test_a_frame_that_two_publishers_give_in_turn_is_refused_by_its_cause(sources):
    tree = TransformTree()
    tree.add(message("base_link", "other", np.eye(4)), is_static=True)
    for k in range(20):
        parent, is_static = sources[k % 2]
        tree.add(message(parent, "camera", np.eye(4), (100 * 10 + k) * SECOND // 10), is_static=is_static)
    found = tree.find("base_link", "camera", 101 * SECOND)
    assert found.missing is Missing.NEVER
    assert found.reason.startswith("'camera' is given in turn in ")
    assert all(repr(parent) in found.reason for parent, _ in sources)
    assert ("/tf_static" in found.reason) == any(is_static for _, is_static in sources)


def test_a_contested_frame_is_used_again_after_some_time_with_one_publisher():
    tree = TransformTree()
    for parent in ("base_link", "other", "base_link"):
        tree.add(message(parent, "camera", np.eye(4)), is_static=True)
    for stamp in range(CONTESTED_IMAGES + 1):
        assert missing(tree, stamp) is Missing.NEVER
        tree.begin_image(stamp)
    assert missing(tree, stamp) is None


def test_a_static_transform_that_is_sent_again_with_another_value_replaces_it():
    tree = TransformTree()
    for x in (1.0, 1.0, 2.0):
        tree.add(message("base_link", "camera", transform(np.eye(3), np.array([x, 0, 0]))), is_static=True)
    np.testing.assert_allclose(tree.lookup("base_link", "camera", 0)[:3, 3], [2, 0, 0])


def test_a_pause_of_the_images_is_no_wrong_stamp():
    tree = moving_tree(100 * SECOND, 101 * SECOND)
    tree.begin_image(101 * SECOND)
    for stamp in range(115, 120):
        tree.add(message("base_link", "camera", np.eye(4), stamp * SECOND), is_static=False)
    tree.begin_image(117 * SECOND)
    assert missing(tree, 117 * SECOND) is None
    assert missing(tree, 103 * SECOND) is Missing.NEVER  # the gap is too long


def test_a_frame_that_changes_its_parent_is_not_interpolated_between_both():
    tree = moving_tree(10 * SECOND)
    tree.add(message("gimbal", "camera", np.eye(4), 12 * SECOND), is_static=False)
    tree.add(message("base_link", "gimbal", np.eye(4)), is_static=True)
    assert missing(tree, 11 * SECOND) is Missing.NEVER
    assert missing(tree, 12 * SECOND) is None
    tree.add(message("base_link", "camera", transform(np.eye(3), np.ones(3))), is_static=True)
    np.testing.assert_allclose(tree.lookup("base_link", "camera", 0)[:3, 3], 1)


def test_unconnected_frames_and_invalid_transforms_are_unknown():
    tree = TransformTree()
    broken = message("base_link", "camera", np.eye(4))
    broken.transform.translation.x = float("nan")
    tree.add(broken, is_static=True)
    assert tree.invalid == 1
    tree.add(message("map", "odom", np.eye(4)), is_static=True)
    assert tree.lookup("base_link", "camera", 0) is None
    assert tree.lookup("odom", "camera", 0) is None


@pytest.mark.parametrize("target", ["a", "c"])
def test_a_cycle_of_frames_terminates(target):
    tree = TransformTree()
    tree.add(message("a", "b", np.eye(4)), is_static=True)
    tree.add(message("b", "a", np.eye(4)), is_static=True)
    assert (tree.lookup(target, "a", 0) is None) == (target == "c")
