"""Complete small trainings: exact resume, broken images, several processes, overfitting."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.multiprocessing as multiprocessing

from perception_common.backends.devices import DevicePolicy
from perception_common.config import from_mapping
from perception_common.errors import InputError
from perception_common.training.distributed import Processes, distributed
from perception_common.training.loop import CHECKPOINT, WEIGHTS
from perception_common.training.progress import read_metrics
from yolc_ros.datasets.mixture import open_sources
from yolc_ros.detector import Detector, DetectorSettings
from yolc_ros.training import train as training
from yolc_ros.training.config import YolcTrainingConfig

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_curves")]

MODEL = """class_names: [car, bus]
backbone:
  kind: hrnet
  stem_width: 8
  bottleneck_width: 8
  bottleneck_blocks: 1
  widths: [8, 8, 8, 8]
  modules: [1, 1, 1]
  blocks: 1
neck_width: 16
heatmap_width: 2
box_width: 16
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny network named yolc_tiny."""
    (tmp_path / "tiny.yaml").write_text(MODEL)
    monkeypatch.setattr(training, "find_config", lambda name: tmp_path / "tiny.yaml")


def write_data(folder: Path, images: int = 4, buses: bool = True) -> None:
    """Draw three bright cars and a dark bus on grey ground."""
    rng = np.random.default_rng(0)
    content: dict[str, list[dict[str, object]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}],
    }
    for number in range(images):
        image = rng.integers(100, 130, (128, 128, 3), dtype=np.uint8)
        for index in range(4 if buses else 3):
            x, y = 8 + 60 * (index % 2) + int(rng.integers(16)), 8 + 60 * (index // 2) + int(rng.integers(30))
            w, h, kind = (36, 16, 2) if index == 3 else (20, 12, 1)
            image[y : y + h, x : x + w] = (20, 20, 20) if kind == 2 else (240, 240, 240)
            row = {"id": len(content["annotations"]) + 1, "image_id": number, "category_id": kind, "bbox": [x, y, w, h]}
            content["annotations"].append(row)
        cv2.imwrite(str(folder / f"{number}.png"), image)
        content["images"].append({"id": number, "file_name": f"{number}.png"})
    (folder / "coco.json").write_text(json.dumps(content))


def configure(folder: Path, **loop: object) -> YolcTrainingConfig:
    source = {"coco": [{"annotations": str(folder / "coco.json"), "images": str(folder)}]}
    return from_mapping(
        YolcTrainingConfig,
        {
            "model": "yolc_tiny",
            "input_size": [96, 96],
            "data": source,
            "validation": [{"name": "same", "sources": source}],
            "augmentation": {"scale": [0.9, 1.1], "turn_share": 0.0, "mosaic_share": 0.1},
            "loop": {"batch": 2, "evaluate_every": 1000, "log_every": 5, "clip": 10.0, **loop},
        },
    )


def run(config: YolcTrainingConfig, folder: Path, resume: bool = False) -> bool:
    return training.train(config, folder, resume, Processes())


def losses(folder: Path) -> list[float]:
    return [record["loss"] for record in read_metrics(folder / "metrics.jsonl") if record["kind"] == "training"]


@pytest.mark.usefixtures("model")
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    write_data(tmp_path)
    config = replace(configure(tmp_path, steps=6, log_every=1), validation=())
    assert run(config, tmp_path / "whole")
    run(replace(config, loop=replace(config.loop, steps=3)), tmp_path / "parts")
    assert run(config, tmp_path / "parts", resume=True)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    whole, parts = (torch.load(tmp_path / name / CHECKPOINT, weights_only=True) for name in ("whole", "parts"))
    for kind in ("model", "average"):
        assert all(torch.equal(whole[kind][key], parts[kind][key]) for key in whole[kind])


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_loss_decreases_and_objects_are_found(tmp_path: Path, optimizer: str) -> None:
    write_data(tmp_path, images=1, buses=False)
    rate = 5e-3 if optimizer == "adamw" else 1e-2
    config = configure(
        tmp_path, steps=120, average_decay=0.9, schedule={"learning_rate": rate, "warmup_steps": 10, "decay_start": 80}
    )
    config = replace(config, optimizer=optimizer, input_size=(128, 128))
    config = replace(config, augmentation=replace(config.augmentation, mosaic_share=0.0, cluster_share=0.0))
    assert run(config, tmp_path / "run")
    curve = losses(tmp_path / "run")
    assert np.mean(curve[-2:]) < 0.6 * np.mean(curve[:2])
    metrics = read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]
    assert metrics["kind"] == "evaluation"
    assert metrics["same_ap50"] == pytest.approx(1.0)

    network = training.build_network(replace(config, initial_weights=tmp_path / "run" / WEIGHTS))
    policy = DevicePolicy(torch.device("cpu"), torch.float32)
    detector = Detector.from_network(network, policy, DetectorSettings(lsm=None, score_threshold=0.05))
    found = detector.detect(cv2.imread(str(tmp_path / "0.png"))[..., ::-1].copy())
    true = [row["bbox"] for row in json.loads((tmp_path / "coco.json").read_text())["annotations"]]
    for x, y, w, h in true:
        assert (np.abs(found.boxes[:3] - [x, y, x + w, y + h]).max(axis=1) < 6).any()


@pytest.mark.usefixtures("model")
def test_broken_images_are_named_counted_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_data(tmp_path)
    (tmp_path / "1.png").write_bytes(b"no image")
    (tmp_path / "2.png").unlink()
    assert run(configure(tmp_path, steps=8), tmp_path / "run")
    assert read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["broken_files"] == 4  # in training and in validation
    for name in ("1.png", "2.png"):
        assert any(name in record.getMessage() for record in caplog.records)


@pytest.mark.usefixtures("model")
def test_only_broken_images_are_an_error(tmp_path: Path) -> None:
    write_data(tmp_path, images=1)
    (tmp_path / "0.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"0\.png"):
        run(replace(configure(tmp_path, steps=2), validation=()), tmp_path / "run")


@pytest.mark.usefixtures("model")
def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    write_data(tmp_path)
    run(replace(configure(tmp_path, steps=1), validation=()), tmp_path / "run")
    with pytest.raises(InputError, match="--resume"):
        run(configure(tmp_path, steps=2), tmp_path / "run")


@pytest.mark.usefixtures("model")
def test_class_weights_must_fit_the_model(tmp_path: Path) -> None:
    write_data(tmp_path)
    config = configure(tmp_path)
    with pytest.raises(InputError, match=r"3 factors for 2 classes \(car, bus\)"):
        run(replace(config, loss=replace(config.loss, class_weights=(1.0, 1.0, 1.0))), tmp_path / "run")


def test_batches_depend_on_the_step_and_the_parts_of_processes_form_the_whole(tmp_path: Path) -> None:
    write_data(tmp_path)
    config = configure(tmp_path)
    mixture = open_sources(config.data, ("car", "bus"), tmp_path)

    def maker(slots: range) -> training.BatchMaker:
        return training.BatchMaker(mixture, (96, 96), 1, config.augmentation, 0, slots)

    whole, again = maker(range(4))(7), maker(range(4))(7)
    assert torch.equal(whole.images, again.images)
    shares = [maker(range(2))(7), maker(range(2, 4))(7)]
    assert torch.equal(whole.images, torch.cat([share.images for share in shares]))
    assert whole.objects == sum(share.objects for share in shares)
    assert not torch.equal(whole.images, maker(range(4))(8).images)


def _train_share(rank: int, port: int, folder: Path) -> None:
    import os

    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    training.find_config = lambda name: folder / "tiny.yaml"  # type: ignore[attr-defined]
    with distributed(torch.device("cpu")) as processes:
        training.train(
            replace(configure(folder, steps=3, log_every=1), validation=()), folder / "two", False, processes
        )


@pytest.mark.usefixtures("model")
def test_two_processes_train_like_one(tmp_path: Path) -> None:
    write_data(tmp_path)
    run(replace(configure(tmp_path, steps=3, log_every=1), validation=()), tmp_path / "one")
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_train_share, args=(rank, port, tmp_path)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(losses(tmp_path / "two")) == 3
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-3)


def test_shipped_configurations_are_valid(repository: Path) -> None:
    from perception_common.config import load_yaml
    from perception_common.resources import find_config

    for path in sorted((repository / "config" / "training").glob("yolc_*.yaml")):
        config = load_yaml(YolcTrainingConfig, path)
        assert find_config(f"models/{config.model}.yaml").is_file()


def test_the_command_has_help_and_refuses_bad_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        training.main(["--help"])
    assert stop.value.code == 0
    assert "example:" in capsys.readouterr().out
    (tmp_path / "bad.yaml").write_text("model: yolc_lite\ndata: {coco: []}\n")
    with pytest.raises(InputError, match="at least one source"):
        training.main([str(tmp_path / "bad.yaml")])
