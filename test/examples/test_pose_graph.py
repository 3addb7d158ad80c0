"""The example back end improves the chained trajectory of a simulated loop, as evo measures it."""

from dataclasses import replace

import numpy as np
import pytest
from evo.core import metrics
from evo.core.trajectory import PosePath3D
from evo.tools import file_interface

from loftr_ros.geometry.scale.result import ScaleSource
from loftr_ros.geometry.two_view.relative_pose import Geometry
from perception_common.errors import InputError
from perception_common.geometry import transform
from perception_common.tum import write_tum
from replay_ros.evaluation.motion.edges import PoseEdge, chain

pytestmark = pytest.mark.slow

pytest.importorskip("gtsam")


@pytest.fixture(scope="module")
def loop(example, tmp_path_factory):
    """A loop: (edges read from its bag, true trajectory, folder)."""
    folder = tmp_path_factory.mktemp("loop")
    truth = example("simulated_loop").write_loop(folder / "bag")
    write_tum(folder / "truth.tum", truth)
    return example("pose_graph").read_edges(folder / "bag"), truth, folder


def ate(path, truth):
    """Root mean square of the absolute position error after the best rigid alignment, metres."""
    estimate, reference = (PosePath3D(poses_se3=list(each.matrices())) for each in (path, truth))
    estimate.align(reference)
    error = metrics.APE(metrics.PoseRelation.translation_part)
    error.process_data((reference, estimate))
    return error.get_statistic(metrics.StatisticsType.rmse)


def test_the_graph_reduces_the_error_of_the_chain_by_at_least_a_quarter(example, loop):
    edges, truth, _ = loop
    found = example("pose_graph").optimise(edges)
    assert found.closures == 2
    assert ate(found.trajectory, truth) < 0.75 * ate(chain(edges), truth)


def test_the_covariances_are_consistent_in_the_optimiser(example, loop):
    """Twice the error of the graph is chi-squared with 6 (edges - poses + 1) degrees of freedom."""
    edges, truth, _ = loop
    found = example("pose_graph").optimise(edges)
    degrees = 6 * found.edges - 6 * (len(truth) - 1)
    assert 0.7 < 2 * found.error_after / degrees < 1.4


def test_a_wrong_loop_closure_is_refused(example, loop):
    edges, truth, _ = loop
    stamps = truth.stamps_ns
    T_older_newer = np.linalg.inv(truth.matrices()[3]) @ truth.matrices()[15]
    wrong = transform(T_older_newer[:3, :3], T_older_newer[:3, 3] + [25.0, 0, 0])
    outlier = PoseEdge(stamps[3], stamps[15], wrong, 1e-3 * np.eye(6), Geometry.GENERAL, ScaleSource.ALTITUDE)
    found = example("pose_graph").optimise([*edges, outlier])
    assert (found.closures, found.refused) == (3, 1)
    assert ate(found.trajectory, truth) < 0.75 * ate(chain(edges), truth)


def test_closures_of_one_keyframe_count_as_correlated_measurements(example):
    graph = example("pose_graph")
    ends = [(1, 9), (2, 9), (3, 9), (4, 10)]  # stamps
    factors = graph.dependence(
        [PoseEdge(*pair, np.eye(4), np.eye(6), Geometry.GENERAL, ScaleSource.ALTITUDE, is_loop=True) for pair in ends]
    )
    rho = graph.CLOSURE_CORRELATION
    correlated = np.linalg.inv(rho + (1 - rho) * np.eye(3))
    assert np.sum(1 / np.array(factors[:3])) == pytest.approx(correlated.sum())  # information on one quantity
    assert factors[3] == 1


def test_a_repeated_closure_adds_nothing_where_its_copies_depend_fully(example, loop, monkeypatch):
    edges, _, _ = loop
    graph = example("pose_graph")
    monkeypatch.setattr(graph, "CLOSURE_CORRELATION", 1.0)
    closures = [edge for edge in edges if edge.is_loop]
    once, thrice = (graph.optimise([*edges, *copies]) for copies in ([], 2 * closures))
    assert thrice.closures == 3 * once.closures == 6
    np.testing.assert_allclose(thrice.trajectory.positions, once.trajectory.positions, atol=1e-3)


def test_edges_without_scale_do_not_change_lengths(example, loop):
    """Loop closures without scale still correct the orientation, and do not pull edges to a length of 1."""
    edges, truth, _ = loop
    spacing = np.diff(truth.stamps_ns)[0]

    def unscaled(edge):
        matrix = edge.matrix.copy()
        matrix[:3, 3] /= np.linalg.norm(matrix[:3, 3])
        return replace(edge, matrix=matrix, scale=ScaleSource.UNKNOWN)

    mixed = [unscaled(edge) if edge.newer_ns - edge.older_ns > 5 * spacing else edge for edge in edges]
    found = example("pose_graph").optimise(mixed)
    assert ate(found.trajectory, truth) < 1.05 * ate(chain(edges), truth)


def test_the_command_writes_files_that_evo_reads(example, loop, capsys):
    _, truth, folder = loop
    example("pose_graph").main([str(folder / "bag"), str(folder / "graph.tum"), "--chain", str(folder / "chain.tum")])
    assert "33 keyframes, 65 edges, 2 of them loop closures (0 refused)" in capsys.readouterr().out
    for name in ("graph.tum", "chain.tum"):
        np.testing.assert_allclose(
            file_interface.read_tum_trajectory_file(folder / name).timestamps, truth.stamps_ns / 1e9
        )


def test_a_bag_without_poses_is_named(example, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        example("pose_graph").read_edges(tmp_path / "gone")
