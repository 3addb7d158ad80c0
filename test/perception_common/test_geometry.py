import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from perception_common.geometry import (
    adjoint,
    angle_between,
    compose,
    inverse,
    matrix_from_quaternion,
    pose_error,
    quaternion_from_matrix,
    rotation_angle,
    skew,
    so3_exp,
    so3_exp_each,
    so3_log,
    transform,
)

unit_vectors = (
    st.integers(0, 10_000)
    .map(lambda seed: np.random.default_rng(seed).normal(size=3))
    .map(lambda v: v / np.linalg.norm(v))
)
angles = st.floats(0, np.pi) | st.sampled_from([0.0, 1e-12, 1e-7, 1e-4, np.pi - 1e-4, np.pi - 1e-9, np.pi])
rotation_vectors = st.builds(lambda axis, angle: axis * angle, unit_vectors, angles)
transforms = st.builds(
    lambda w, axis, length: transform(so3_exp(w), axis * length), rotation_vectors, unit_vectors, angles
)
properties = settings(deadline=None, max_examples=100)


@properties
@given(rotation_vectors)
def test_so3_exp_equals_scipy(w):
    np.testing.assert_allclose(so3_exp(w), Rotation.from_rotvec(w).as_matrix(), atol=1e-12)


@properties
@given(st.lists(rotation_vectors, min_size=1, max_size=4))
def test_so3_exp_each_equals_so3_exp(vectors):
    np.testing.assert_allclose(so3_exp_each(np.stack(vectors)), [so3_exp(w) for w in vectors], atol=1e-12)


@properties
@given(rotation_vectors)
def test_so3_log_is_the_inverse_of_exp_up_to_half_a_turn(w):
    back = so3_log(so3_exp(w))
    np.testing.assert_allclose(Rotation.from_rotvec(back).as_matrix(), Rotation.from_rotvec(w).as_matrix(), atol=1e-9)
    assert np.linalg.norm(back) == pytest.approx(np.linalg.norm(w), abs=1e-7)
    if np.linalg.norm(w) < 3:
        np.testing.assert_allclose(back, w, atol=1e-9)


@properties
@given(rotation_vectors)
def test_quaternions_equal_scipy(w):
    rotation = Rotation.from_rotvec(w)
    q = quaternion_from_matrix(rotation.as_matrix())
    assert q[3] >= 0
    assert np.linalg.norm(q) == pytest.approx(1)
    assert min(np.abs(q - rotation.as_quat()).max(), np.abs(q + rotation.as_quat()).max()) < 1e-7
    np.testing.assert_allclose(matrix_from_quaternion(3 * rotation.as_quat()), rotation.as_matrix(), atol=1e-12)


def test_a_quaternion_of_length_zero_is_refused():
    with pytest.raises(ValueError, match="length zero"):
        matrix_from_quaternion(np.zeros(4))


@properties
@given(transforms, transforms)
def test_inverse_and_composition_equal_matrix_operations(T, U):
    np.testing.assert_allclose(inverse(T), np.linalg.inv(T), atol=1e-9)
    np.testing.assert_allclose(compose(T, U), T @ U, atol=1e-12)
    np.testing.assert_allclose(compose(T, U, inverse(U), inverse(T)), np.eye(4), atol=1e-9)


def test_composing_nothing_gives_the_identity():
    np.testing.assert_array_equal(compose(), np.eye(4))


@properties
@given(transforms, rotation_vectors, rotation_vectors)
def test_the_adjoint_maps_twists_between_frames(T, translation, rotation):
    def exp(twist: np.ndarray) -> np.ndarray:
        generator = np.zeros((4, 4))
        generator[:3, :3], generator[:3, 3] = skew(twist[3:]), twist[:3]
        return scipy.linalg.expm(generator)

    twist = 0.5 * np.concatenate([translation, rotation])
    np.testing.assert_allclose(exp(adjoint(T) @ twist), T @ exp(twist) @ np.linalg.inv(T), atol=1e-8)


@properties
@given(unit_vectors, unit_vectors, angles)
def test_the_angle_between_vectors_is_accurate_near_0_and_pi(axis, other, angle):
    u = np.cross(axis, other)
    if np.linalg.norm(u) < 1e-3:
        return
    v = Rotation.from_rotvec(axis * angle).apply(u)
    assert angle_between(u, 5 * v) == pytest.approx(angle, abs=1e-12 if angle < 1 else 1e-9)


def test_the_angle_to_a_zero_vector_is_nan():
    assert np.isnan(angle_between(np.zeros(3), np.array([1.0, 0, 0])))


@properties
@given(rotation_vectors, unit_vectors, unit_vectors, angles, angles)
def test_pose_errors_equal_the_applied_angles(w, axis, direction, turn, tilt):
    sideways = np.cross(axis, direction)
    if np.linalg.norm(sideways) < 1e-3:
        return
    R = Rotation.from_rotvec(w).as_matrix()
    true = transform(R, 3 * sideways)
    estimated = transform(
        R @ Rotation.from_rotvec(axis * turn).as_matrix(), Rotation.from_rotvec(axis * tilt).apply(sideways)
    )
    rotation, translation = pose_error(estimated, true)
    assert rotation == pytest.approx(np.degrees(turn), abs=1e-5)
    assert translation == pytest.approx(np.degrees(tilt), abs=1e-5)
    assert rotation_angle(so3_exp(axis * turn)) == pytest.approx(turn, abs=1e-7)


def test_the_direction_error_without_translation_is_nan():
    rotation, translation = pose_error(np.eye(4), transform(so3_exp([0, 0, 0.1]), np.array([1.0, 0, 0])))
    assert rotation == pytest.approx(np.degrees(0.1))
    assert np.isnan(translation)
