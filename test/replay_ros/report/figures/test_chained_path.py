"""The chained path and its covariance, compared with samples."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.geometry import quaternion_from_matrix, so3_exp, transform
from replay_ros.report.figures.chained_path import chain_keyframes


def edge(step, covariance, geometry=1, scale=1):
    """A RelativePose message with what the chain reads of it."""
    position = SimpleNamespace(**dict(zip("xyz", step[:3, 3], strict=True)))
    orientation = SimpleNamespace(**dict(zip("xyzw", quaternion_from_matrix(step[:3, :3]), strict=True)))
    pose = SimpleNamespace(position=position, orientation=orientation)
    return SimpleNamespace(
        pose=SimpleNamespace(pose=pose, covariance=covariance.ravel()), geometry=geometry, scale_status=scale
    )


def random_step(rng):
    return transform(so3_exp(rng.normal(0, 0.4, 3)), rng.normal(0, 2.0, 3))


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_covariance_of_the_chain_is_that_of_samples(seed):
    rng = np.random.default_rng(seed)
    steps = [random_step(rng) for _ in range(3)]
    roots = [rng.normal(0, 0.004, (6, 6)) for _ in steps]
    poses = {(k, k + 1): edge(step, root @ root.T) for k, (step, root) in enumerate(zip(steps, roots, strict=True))}
    path = chain_keyframes(dict(enumerate(range(4))), poses)
    np.testing.assert_allclose(path.poses[-1], np.linalg.multi_dot(steps), atol=1e-9)

    ends = []
    for _ in range(4000):
        T = np.eye(4)
        for step, root in zip(steps, roots, strict=True):
            error = root @ rng.normal(size=6)  # translation additive, rotation on the left
            T = T @ transform(so3_exp(error[3:]) @ step[:3, :3], step[:3, 3] + error[:3])
        ends.append(T[:3, 3])
    sampled = np.cov(np.array(ends).T)
    np.testing.assert_allclose(path.covariances[-1][:3, :3], sampled, atol=0.15 * np.trace(sampled))


def test_an_unknown_length_has_no_part_in_the_covariance():
    step = transform(np.eye(3), np.array([0.0, 1.0, 0.0]))
    covariance = np.diag([1e-4, 1e4, 1e-4, 1e-6, 1e-6, 1e-6])
    path = chain_keyframes({0: 0, 1: 1}, {(0, 1): edge(step, covariance, scale=0)})
    assert not path.is_metric
    np.testing.assert_allclose(np.diag(path.covariances[1])[:3], [1e-4, 0.0, 1e-4], atol=1e-12)


@pytest.mark.parametrize("missing", [True, False])
def test_where_nothing_leads_a_new_piece_begins(missing):
    step, covariance = transform(np.eye(3), np.array([1.0, 0, 0])), np.eye(6)
    poses = {(0, 1): edge(step, covariance), (2, 3): edge(step, covariance)}
    if not missing:
        poses[1, 2] = edge(np.eye(4), covariance, geometry=0)
    path = chain_keyframes(dict(enumerate(range(4))), poses)
    assert path.starts.tolist() == [True, False, True, False]
    np.testing.assert_allclose(path.poses[:, 0, 3], [0, 1, 1, 2])


def test_a_track_that_was_found_again_is_drawn_as_the_node_connected_it():
    step, covariance = transform(np.eye(3), np.array([1.0, 0, 0])), np.eye(6)
    poses = {(0, 1): edge(step, covariance), (1, 2): edge(np.eye(4), covariance, geometry=0)}
    poses[0, 3] = edge(transform(np.eye(3), np.array([0, 2.0, 0])), covariance)  # lost, then found from keyframe 0
    path = chain_keyframes(dict(enumerate(range(4))), poses)
    assert path.starts.tolist() == [True, False, True, False]
    np.testing.assert_allclose(path.poses[:, :3, 3], [[0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 2, 0]])


def test_no_keyframes_make_an_empty_chain():
    assert chain_keyframes({}, {}).poses.shape == (0, 4, 4)
