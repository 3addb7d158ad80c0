"""TUM files: written and read back without loss, and read the same by evo."""

import numpy as np
import pytest
from evo.tools import file_interface
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from perception_common.errors import InputError
from perception_common.tum import Trajectory, read_tum, write_tum

coordinates = st.floats(-1e6, 1e6, allow_nan=False)
rotations = st.tuples(*[st.floats(-3, 3)] * 3).map(lambda v: Rotation.from_rotvec(v).as_quat())
stamps = st.lists(st.integers(-(10**18), 4 * 10**18), min_size=1, max_size=8, unique=True).map(sorted)


@st.composite
def trajectories(draw):
    times = draw(stamps)
    positions = [draw(st.tuples(*[coordinates] * 3)) for _ in times]
    return Trajectory(np.array(times), np.array(positions), np.array([draw(rotations) for _ in times]))


@settings(deadline=None, max_examples=50)
@given(trajectories())
def test_a_written_trajectory_is_read_back_exactly(tmp_path_factory, trajectory):
    path = tmp_path_factory.mktemp("tum") / "trajectory.tum"
    write_tum(path, trajectory)
    again = read_tum(path)
    np.testing.assert_array_equal(again.stamps_ns, trajectory.stamps_ns)
    np.testing.assert_array_equal(again.positions, trajectory.positions)
    np.testing.assert_allclose(again.orientations, trajectory.orientations, atol=1e-15)


@settings(deadline=None, max_examples=20)
@given(trajectories())
def test_evo_reads_the_same_poses(tmp_path_factory, trajectory):
    path = tmp_path_factory.mktemp("tum") / "trajectory.tum"
    write_tum(path, trajectory)
    theirs = file_interface.read_tum_trajectory_file(path)
    np.testing.assert_allclose(theirs.timestamps, trajectory.stamps_ns / 1e9, rtol=1e-15)
    np.testing.assert_array_equal(theirs.positions_xyz, trajectory.positions)
    np.testing.assert_allclose(theirs.poses_se3, trajectory.matrices(), atol=1e-12)


def test_a_file_of_the_benchmark_is_read_as_by_evo(shared_data):
    path = shared_data / "tum_fr2_desk" / "groundtruth.tum"
    ours, theirs = read_tum(path), file_interface.read_tum_trajectory_file(path)
    assert len(ours) == theirs.num_poses
    np.testing.assert_allclose(ours.stamps_ns / 1e9, theirs.timestamps, rtol=1e-15)
    np.testing.assert_array_equal(ours.positions, theirs.positions_xyz)


@given(st.lists(rotations, max_size=4))
@settings(deadline=None, max_examples=20)
def test_matrices_and_quaternions_are_equivalent(orientations):
    expected = [Rotation.from_quat(q).as_matrix() for q in orientations]
    poses = np.tile(np.eye(4), (len(orientations), 1, 1))
    for pose, rotation in zip(poses, expected, strict=True):
        pose[:3, :3], pose[:3, 3] = rotation, [1.0, 2.0, 3.0]
    trajectory = Trajectory.from_matrices(range(len(poses)), poses)
    np.testing.assert_allclose(trajectory.matrices(), poses, atol=1e-12)
    assert trajectory.positions.shape == (len(poses), 3)
    assert trajectory.orientations.shape == (len(poses), 4)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone/t\.tum cannot be written"):
        write_tum(tmp_path / "gone" / "t.tum", Trajectory.from_matrices([0], [np.eye(4)]))
