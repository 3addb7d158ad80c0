"""Complete trainings of a tiny network on noise images, by the command."""

import contextlib
import json
import os
import socket
import sys

import cv2
import numpy as np
import pytest
import torch
import torch.multiprocessing as multiprocessing
import yaml

from loftr_ros.training.config import TrainingConfig
from loftr_ros.training.train import initial_state, main
from perception_common.config import from_mapping, load_yaml
from perception_common.errors import InputError
from perception_common.resources import find_share
from perception_common.training.distributed import Processes
from perception_common.training.progress import read_metrics

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_curves")]


def configuration(folder, **loop) -> dict:
    return {
        "network": {
            "backbone": {"widths": [8, 12, 16]},
            "coarse": {"heads": 2, "layers": ["self", "cross"]},
            "fine": {"transformer": {"heads": 2, "layers": ["self", "cross"]}},
        },
        "loop": {"steps": 4, "batch": 4, "log_every": 1, "evaluate_every": 100, "schedule": {"warmup_steps": 0}} | loop,
        "data": {
            "sizes": [[96, 64], [64, 96]],
            "weights": {"homographies": 1.0},
            "homographies": {"folders": [str(folder)], "holdout_every": 3},
        },
        "validation": {"pairs": 2, "size": [96, 64]},
    }


@pytest.fixture
def one_thread():
    """OpenMP's threads do not survive a fork."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(5):
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(rng.integers(0, 256, (40, 50), np.uint8), (400, 320)))
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def write(path, mapping):
    path.write_text(yaml.safe_dump(mapping))
    return str(path)


def losses(run) -> list[float]:
    return [record["loss"] for record in read_metrics(run / "metrics.jsonl") if record["kind"] == "training"]


def test_thermal_images_are_a_source_and_a_validation_of_their_own(tmp_path, photographs):
    config = configuration(photographs, steps=1, evaluate_every=1)
    (photographs / "part.json").write_text(json.dumps({"images": [{"file_name": f"{n}.png"} for n in range(4)]}))
    config["data"]["thermal"] = {"folders": [str(photographs / "part.json")], "holdout_every": 2}
    with pytest.raises(InputError, match="thermal: a source needs both"):
        main([write(tmp_path / "run.yaml", config), "--run-dir", str(tmp_path / "run")])
    config["data"]["weights"] = {"homographies": 0.5, "thermal": 0.5}
    assert main([write(tmp_path / "run.yaml", config), "--run-dir", str(tmp_path / "run")]) == 0
    (found,) = [each for each in read_metrics(tmp_path / "run" / "metrics.jsonl") if each["kind"] == "evaluation"]
    assert {"homography_fine_pixels", "thermal_fine_pixels", "thermal_coarse_first"} <= set(found)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, photographs, caplog):
    whole = write(tmp_path / "whole.yaml", configuration(photographs))
    half = write(tmp_path / "half.yaml", configuration(photographs, steps=2))
    assert main([whole, "--run-dir", str(tmp_path / "whole")]) == 0
    assert main([half, "--run-dir", str(tmp_path / "parts")]) == 0
    assert main([whole, "--run-dir", str(tmp_path / "parts"), "--resume"]) == 0
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    states = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts")]
    for kind in ("model", "average"):
        for key, expected in states[0][kind].items():
            assert torch.equal(states[1][kind][key], expected), key
    assert "broken.png is skipped" in caplog.text
    assert "1 broken files were skipped" in caplog.text


def _train_share(rank, port, arguments):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    sys.exit(main(arguments))


def test_two_processes_train_like_one(tmp_path, photographs, one_thread):
    """Forked, so that they need not import torch; test_distributed starts processes by torchrun."""
    # A low rate: rounding differs between the runs, and at a higher rate they would diverge.
    schedule = {"learning_rate": 1.0e-5, "warmup_steps": 0}
    mapping = configuration(photographs, steps=3, loader_threads=0, schedule=schedule)
    config = write(tmp_path / "config.yaml", mapping)
    command = [config, "--device", "cpu", "--run-dir"]
    assert main([*command, str(tmp_path / "one")]) == 0
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    fork, arguments = multiprocessing.get_context("fork"), [*command, str(tmp_path / "two")]
    workers = [fork.Process(target=_train_share, args=(rank, port, arguments)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    first = initial_state(from_mapping(TrainingConfig, mapping), Processes()).module.state_dict()
    one, two = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["model"] for name in ("one", "two"))
    for key in (
        "backbone.layer1.0.conv1.weight",
        "loftr_coarse.layers.1.merge.weight",
        "loftr_fine.layers.0.merge.weight",
    ):
        updates = [(weights[key] - first[key]).flatten() for weights in (one, two)]
        assert torch.nn.functional.cosine_similarity(*updates, dim=0) > 0.98, key
    torch.testing.assert_close(two["backbone.bn1.running_var"], one["backbone.bn1.running_var"], atol=0, rtol=1e-4)


def test_a_run_is_never_overwritten_by_a_new_one(tmp_path, photographs):
    config = write(tmp_path / "config.yaml", configuration(photographs, steps=1))
    main([config, "--run-dir", str(tmp_path / "run")])
    with pytest.raises(InputError, match="--resume"):
        main([config, "--run-dir", str(tmp_path / "run")])


def test_the_run_saves_its_configuration_and_exports_weights(tmp_path, photographs):
    config = write(tmp_path / "config.yaml", configuration(photographs, steps=1))
    main([config, "--run-dir", str(tmp_path / "run")])
    assert load_yaml(TrainingConfig, tmp_path / "run" / "config.yaml") == load_yaml(TrainingConfig, config)
    (record,) = [r for r in read_metrics(tmp_path / "run" / "metrics.jsonl") if r["kind"] == "evaluation"]
    assert {"homography_coarse_first", "homography_confident", "homography_fine_pixels"} <= record.keys()
    assert (tmp_path / "run" / "weights.safetensors").exists()
    json.dumps(record)


@pytest.mark.parametrize(
    "path", sorted((find_share() / "config" / "training").glob("loftr_*.yaml")), ids=lambda p: p.stem
)
def test_every_training_configuration_is_valid(path):
    load_yaml(TrainingConfig, path).network_config()


def test_contradictory_configurations_are_refused(photographs):
    both = configuration(photographs) | {"model": "loftr_lite"}
    with pytest.raises(InputError, match="either model"):
        from_mapping(TrainingConfig, both)
    unused = configuration(photographs)
    unused["data"]["weights"] = {"flights": 1.0}
    with pytest.raises(InputError, match="section and a positive weight"):
        from_mapping(TrainingConfig, unused)
