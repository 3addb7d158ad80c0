"""The parts of all networks have no control flow that depends on data: `torch.export` in strict mode takes them."""

import pytest
import torch

from loftr_ros.network.config import LoFTRConfig
from loftr_ros.network.loftr import LoFTR
from loftr_ros.network.loftr import prepare_for_inference as prepare_loftr
from loftr_ros.network.parts import loftr_parts
from perception_common.config import load_yaml
from perception_common.resources import find_config
from yolc_ros.network.config import YolcConfig
from yolc_ros.network.fuse import prepare_for_inference as prepare_yolc
from yolc_ros.network.parts import yolc_parts
from yolc_ros.network.yolc import Yolc

SIZE = 64, 96


def parts_of(model):
    kind, config = (LoFTR, LoFTRConfig) if model.startswith("loftr") else (Yolc, YolcConfig)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = kind(load_yaml(config, find_config(f"models/{model}.yaml"))).eval()
    return loftr_parts(prepare_loftr(network)) if kind is LoFTR else yolc_parts(prepare_yolc(network))


@pytest.mark.parametrize(
    "model", ["loftr_lite", "loftr_outdoor_ds", "yolc_lite", pytest.param("yolc_w48", marks=pytest.mark.slow)]
)
def test_every_part_is_one_graph_for_all_sizes(model):
    for part in parts_of(model):
        with torch.no_grad():
            program = torch.export.export(part.module, part.example(SIZE, 0), dynamic_shapes=(part.sizes,), strict=True)
            others = part.example((96, 64), 2)
            for found, expected in zip(program.module()(*others), part.module(*others), strict=True):
                torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=0)
