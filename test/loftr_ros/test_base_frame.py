"""Edges of the base against the chain of frames itself, and their covariance against sampled errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from loftr_ros.base_frame import edge_between_bases, parse_mount
from perception_common.errors import InputError
from perception_common.geometry import inverse, so3_exp, so3_log, transform

vectors = st.tuples(*[st.floats(-2, 2)] * 3).map(np.array)
poses = st.tuples(vectors, vectors).map(lambda pair: transform(so3_exp(pair[0]), pair[1]))
seeds = st.integers(0, 10_000)


@given(poses, poses, poses, poses)
@settings(deadline=None, max_examples=30)
def test_the_motion_of_the_base_follows_from_the_chain_of_frames(T_world_base0, T_world_base1, mount0, mount1):
    """With a gimbal, the mount differs between the images."""
    T = inverse(T_world_base0 @ mount0) @ (T_world_base1 @ mount1)
    edge, _ = edge_between_bases(T, np.eye(6), mount0, mount1, is_metric=True)
    np.testing.assert_allclose(edge, inverse(T_world_base0) @ T_world_base1, atol=1e-9)


@pytest.mark.slow
@given(poses, poses, poses, seeds)
@settings(deadline=None, max_examples=8)
def test_the_covariance_matches_sampled_errors(T, mount0, mount1, seed):
    rng = np.random.default_rng(seed)
    root = 1e-3 * rng.normal(size=(6, 6))
    moved, covariance = edge_between_bases(T, root @ root.T, mount0, mount1, is_metric=True)
    errors = []
    for error in rng.normal(size=(4000, 6)) @ root.T:
        true = transform(so3_exp(error[3:]) @ T[:3, :3], T[:3, 3] + error[:3])
        base = mount0 @ true @ inverse(mount1)
        errors.append(np.r_[base[:3, 3] - moved[:3, 3], so3_log(base[:3, :3] @ moved[:3, :3].T)])
    sampled = np.cov(np.array(errors).T)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(sampled / scale, covariance / scale, atol=0.12)


@given(poses, poses)
@settings(deadline=None, max_examples=20)
def test_a_pose_without_scale_is_only_rotated_to_the_axes_of_the_base(T, mount):
    direction = T[:3, 3] + np.array([3.0, 0, 0])
    unit = transform(T[:3, :3], direction / np.linalg.norm(direction))
    edge, _ = edge_between_bases(unit, np.eye(6), mount, is_metric=False)
    np.testing.assert_allclose(edge[:3, 3], mount[:3, :3] @ unit[:3, 3], atol=1e-9)
    assert np.linalg.norm(edge[:3, 3]) == pytest.approx(1)


@given(poses)
@settings(deadline=None, max_examples=20)
def test_a_mount_is_read_from_seven_numbers(mount):
    values = [*mount[:3, 3], *Rotation.from_matrix(mount[:3, :3]).as_quat()]
    np.testing.assert_allclose(parse_mount(" ".join(map(repr, map(float, values)))), mount, atol=1e-12)
    np.testing.assert_allclose(parse_mount(", ".join(map(repr, map(float, values)))), mount, atol=1e-12)


@pytest.mark.parametrize("text", ["1 2 3", "0 0 0 0 0 0 x", "0 0 0 0 0 0 2", "0 0 0 0 0 0 nan"])
def test_invalid_mounts_are_refused(text):
    with pytest.raises(InputError, match="base_from_optical is"):
        parse_mount(text)
