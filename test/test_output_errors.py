"""Files that cannot be written: every writer says why in one line and leaves nothing behind."""

import resource
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from loftr_ros.training.attention import _write_picture
from perception_common.checkpoints.torch_file import write_torch_file
from perception_common.errors import InputError
from perception_common.text.json_files import write_json
from perception_common.training.progress import draw_curves
from perception_common.tum import Trajectory, write_tum
from perception_common.weights import save_weights
from replay_ros.commands import benchmark, reliability, replay
from replay_ros.commands.evaluate import detection, motion, pairs, protocol
from replay_ros.evaluation.detection.cache import Prediction, Section, write_predictions
from replay_ros.evaluation.results_file import write_results
from replay_ros.report import to_html

ROWS = 5000
NOISE = np.random.default_rng(0).random((ROWS, 4))


def write_poses(path):
    unit = np.tile([0.0, 0.0, 0.0, 1.0], (ROWS, 1))
    write_tum(path, Trajectory(np.arange(ROWS), NOISE[:, :3], unit))


def write_cache(path):
    prediction = Prediction(NOISE.astype(np.float32), NOISE[:, 0].astype(np.float32), np.arange(ROWS), 0, 1.0)
    write_predictions(path, {"LSM on": Section({}, {"a": prediction})})


def write_curves(path):
    pytest.importorskip("matplotlib")
    draw_curves([{"step": n, "kind": "training", "loss": float(NOISE[n, 0])} for n in range(500)], path)


def write_report(path):
    pytest.importorskip("plotly")
    to_html.write_html(None, path)


WRITERS = {
    "weights.safetensors": lambda path: save_weights({"a": torch.zeros(ROWS)}, path, {}),
    "checkpoint.pt": lambda path: write_torch_file({"a": torch.zeros(ROWS)}, path),
    "result.json": lambda path: write_json(path, {"values": NOISE[:, 0].tolist()}),
    "results.json": lambda path: write_results(path, path, [{"values": NOISE[:, 0].tolist()}]),
    "poses.tum": write_poses,
    "seen.npz": write_cache,
    "curves.png": write_curves,
    "attention.png": lambda path: _write_picture(path, (NOISE.reshape(100, -1) * 255).astype(np.uint8)),
    "report.html": write_report,
}


@contextmanager
def small_files():
    """Let no file of this process grow beyond 4 KiB in the block: a write fails in its midst, as on a full disk.

    Not a fixture: pytest's own output may be a file, and it writes before fixtures end.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(autouse=True)
def long_report(monkeypatch):
    monkeypatch.setattr(to_html, "render_html", lambda content: "x" * 100_000)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_and_the_earlier_file_stays(tmp_path, name):
    (tmp_path / name).write_bytes(b"earlier")
    with small_files(), pytest.raises(InputError, match=rf"{name} cannot be written \(File too large\)") as error:
        WRITERS[name](tmp_path / name)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"earlier"


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_does_not_exist_or_is_a_file_is_named(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\); choose another path"):
        WRITERS[name](tmp_path / "file" / name)


def test_a_match_file_that_cannot_be_written_leaves_nothing(tmp_path):
    h5py = pytest.importorskip("h5py")
    from perception_common.atomic_file import output_file

    def write():
        with output_file(tmp_path / "matches.h5") as unfinished, h5py.File(unfinished, "w") as file:
            file["points"] = NOISE

    with small_files(), pytest.raises(InputError, match=r"matches\.h5 cannot be written \(File too large\)"):
        write()
    assert not list(tmp_path.iterdir())


COMMANDS = {
    benchmark: ["--only", "lite"],
    reliability: ["fuzz", "--amount", "1"],
    replay: ["no_bag", "answers"],
    detection: ["no_labels.json"],
    motion: ["no_bag"],
    pairs: ["no_pairs.json"],
    protocol: ["hpatches", "."],
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda module: module.NAME)
def test_json_is_checked_first(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/x.json cannot be written \(Not a directory\)"):
        command.main([*COMMANDS[command], "--json", "file/x.json"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
