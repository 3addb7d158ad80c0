"""Trajectory errors: closed forms for known errors, and evo's own commands on the same files."""

import numpy as np
import pytest

from perception_common.geometry import so3_exp, transform
from perception_common.tum import Trajectory, write_tum
from replay_ros.evaluation.motion.trajectory_accuracy import compare_trajectory

SIMILARITY = transform(so3_exp(np.array([0.3, -0.2, 1.0])), np.array([4.0, -5.0, 6.0]))


def spiral(count=60):
    """Poses (N, 4, 4) along a spiral, metres, facing forward."""
    angles = np.linspace(0, 3 * np.pi, count)
    return np.array(
        [transform(so3_exp(np.array([0, 0, a])), np.array([3 * np.cos(a), 3 * np.sin(a), 0.2 * a])) for a in angles]
    )


def stamps(poses):
    return np.arange(len(poses)) * 100_000_000


def stretched(poses, factor):
    poses = poses.copy()
    poses[:, :3, 3] *= factor
    return poses


@pytest.mark.parametrize(("factor", "is_metric", "alignment"), [(1.0, True, "SE3"), (0.25, False, "Sim3")])
def test_a_correct_trajectory_in_another_frame_has_no_error(factor, is_metric, alignment):
    true = spiral()
    found = compare_trajectory(stamps(true), SIMILARITY @ stretched(true, factor), true, is_metric)
    assert (found.alignment, found.scale) == (alignment, pytest.approx(1 / factor))
    assert found.ate_m.largest == pytest.approx(0, abs=1e-6)
    assert found.rpe_m.largest == pytest.approx(0, abs=1e-6)
    assert found.rpe_deg.largest == pytest.approx(0, abs=1e-3)
    assert found.drift == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(found.estimated, true[:, :3, 3], atol=1e-6)
    assert found.length_m == pytest.approx(np.linalg.norm(np.diff(true[:, :3, 3], axis=0), axis=1).sum())


def test_a_wrong_metric_scale_is_an_error_and_an_unknown_scale_is_not():
    true = spiral()
    wrong = stretched(true, 1.1)
    assert compare_trajectory(stamps(true), wrong, true, True).ate_m.rmse > 0.2
    assert compare_trajectory(stamps(true), wrong, true, False).ate_m.rmse == pytest.approx(0, abs=1e-6)


def test_drift_is_the_end_point_error_over_the_length_with_the_starts_aligned():
    """A straight flight of 100 m, estimated 2 % too long and with a rotation error of one degree at its end."""
    true = np.array([transform(np.eye(3), np.array([x, 0.0, 0.0])) for x in np.linspace(0, 100, 11)])
    estimated = stretched(true, 1.02)
    estimated[-1, :3, :3] = so3_exp(np.array([0, 0, np.radians(1)]))
    found = compare_trajectory(stamps(true), estimated, true, True)
    assert found.alignment == "SE3, first pose"  # the rotation about a line is undetermined
    assert found.drift == pytest.approx(0.02)
    assert found.drift_deg_per_m == pytest.approx(0.01)
    assert found.rpe_m.mean == pytest.approx(0.2)
    found = compare_trajectory(stamps(true), stretched(true, 0.5), true, False)
    assert (found.scale, found.drift) == (pytest.approx(2), pytest.approx(0, abs=1e-9))


def test_no_motion_and_too_few_poses():
    still = np.tile(np.eye(4), (5, 1, 1))
    found = compare_trajectory(stamps(still), still, still, False)
    assert (found.length_m, found.drift, found.ate_m.largest) == (0, None, 0)
    assert compare_trajectory(stamps(still[:2]), still[:2], still[:2], True) is None


@pytest.mark.parametrize("is_metric", [True, False])
def test_evos_own_commands_agree(tmp_path, is_metric, monkeypatch):
    """Compare with what `evo_ape tum` and `evo_rpe tum` compute from files that we write."""
    monkeypatch.setenv("HOME", str(tmp_path))  # evo writes its settings there on import
    from evo.core.metrics import PoseRelation, Unit
    from evo.main_ape import ape
    from evo.main_rpe import rpe
    from evo.tools.file_interface import read_tum_trajectory_file

    rng = np.random.default_rng(0)
    true = spiral()
    estimated = SIMILARITY @ stretched(true, 1.0 if is_metric else 0.3)
    estimated[:, :3, 3] += 0.03 * rng.normal(size=(len(true), 3))
    for name, poses in (("true", true), ("estimated", estimated)):
        write_tum(tmp_path / f"{name}.tum", Trajectory.from_matrices(stamps(poses), poses))
    found = compare_trajectory(stamps(true), estimated, true, is_metric)

    options = {"align": True, "correct_scale": not is_metric}

    def files():
        return [read_tum_trajectory_file(tmp_path / f"{name}.tum") for name in ("true", "estimated")]

    absolute = ape(*files(), PoseRelation.translation_part, **options)
    relative = rpe(*files(), PoseRelation.translation_part, 1, Unit.frames, **options)
    assert found.ate_m.rmse == pytest.approx(absolute.stats["rmse"], rel=1e-6)
    assert found.rpe_m.rmse == pytest.approx(relative.stats["rmse"], rel=1e-6)
