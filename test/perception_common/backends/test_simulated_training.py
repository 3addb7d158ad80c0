"""A step of both trainings on a simulated GPU, by the functions that the commands call: no tensor is left behind."""

import json

import cv2
import numpy as np
import pytest
import torch

from loftr_ros.training import train as loftr_training
from loftr_ros.training.config import TrainingConfig
from perception_common.config import from_mapping
from perception_common.training.distributed import Processes
from perception_common.training.loop import WEIGHTS
from perception_common.weights import read_state_dict
from yolc_ros.training import train as yolc_training
from yolc_ros.training.config import YolcTrainingConfig

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_curves")]

LOOP = {"steps": 1, "batch": 2, "evaluate_every": 1, "log_every": 1}
YOLC_TINY = """class_names: [car, bus]
backbone: {kind: hrnet, stem_width: 8, bottleneck_width: 8, bottleneck_blocks: 1, widths: [8, 8, 8, 8],
  modules: [1, 1, 1], blocks: 1}
neck_width: 16
heatmap_width: 2
box_width: 16
"""


def assert_equal_weights(folder):
    """Compare the weights after the step with those of the same step on the CPU."""
    found, expected = (read_state_dict(folder / name / WEIGHTS) for name in ("gpu", "cpu"))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, atol=1e-5, rtol=1e-4, msg=name)


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        noise = rng.integers(0, 256, (40, 50, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(noise, (400, 320)))
    return folder


def test_a_step_of_loftr(gpu, tmp_path, photographs):
    config = from_mapping(
        TrainingConfig,
        {
            "network": {
                "backbone": {"widths": [8, 12, 16]},
                "coarse": {"heads": 2, "layers": ["self", "cross"]},
                "fine": {"transformer": {"heads": 2, "layers": ["self", "cross"]}},
            },
            "loop": LOOP,
            "data": {
                "sizes": [[96, 64]],
                "weights": {"homographies": 1.0},
                "homographies": {"folders": [str(photographs)], "holdout_every": 2},
            },
            "validation": {"pairs": 2, "size": [96, 64]},
        },
    )
    for name, device in (("gpu", gpu.device), ("cpu", torch.device("cpu"))):
        assert loftr_training.train(config, tmp_path / name, resume=False, device=device)
    assert_equal_weights(tmp_path)


def test_a_step_of_yolc(gpu, tmp_path, photographs, monkeypatch):
    (tmp_path / "tiny.yaml").write_text(YOLC_TINY)
    monkeypatch.setattr(yolc_training, "find_config", lambda name: tmp_path / "tiny.yaml")
    annotations = [
        {"id": n + 1, "image_id": n, "category_id": 1 + n % 2, "bbox": [150 + 9 * n, 120, 60, 40]} for n in range(4)
    ]
    content = {
        "images": [{"id": n, "file_name": f"{n}.png"} for n in range(4)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}],
    }
    (photographs / "coco.json").write_text(json.dumps(content))
    sources = {"coco": [{"annotations": str(photographs / "coco.json"), "images": str(photographs)}]}
    config = from_mapping(
        YolcTrainingConfig,
        {
            "model": "yolc_tiny",
            "input_size": [96, 96],
            "data": sources,
            "validation": [{"name": "same", "sources": sources}],
            "loss": {"class_weights": [1.0, 2.0]},
            "loop": LOOP,
        },
    )
    for name, device in (("gpu", gpu.device), ("cpu", torch.device("cpu"))):
        assert yolc_training.train(config, tmp_path / name, False, Processes(device=device))
    assert_equal_weights(tmp_path)
