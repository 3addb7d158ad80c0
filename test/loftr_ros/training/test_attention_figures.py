import cv2
import numpy as np
import pytest
import torch

from loftr_ros.network.attention import linear_attention
from loftr_ros.network.config import BackboneConfig, FineConfig, LoFTRConfig, TransformerConfig
from loftr_ros.network.loftr import LoFTR
from loftr_ros.training.attention import draw_attention, main
from loftr_ros.training.trace import attention_map, feature_colors, trace_pair
from perception_common.errors import InputError
from perception_common.weights import save_weights

IMAGES = [np.random.default_rng(seed).integers(0, 256, (64, 96), np.uint8) for seed in (0, 1)]


def network_of(mixing="linear_attention") -> LoFTR:
    torch.manual_seed(0)
    config = LoFTRConfig(
        backbone=BackboneConfig(widths=(8, 12, 16)),
        coarse=TransformerConfig(heads=2, layers=("self", "cross", "self"), mixing=mixing),
        fine=FineConfig(transformer=TransformerConfig(heads=2, layers=("self", "cross"))),
    )
    return LoFTR(config).eval()


def test_the_attention_weights_reproduce_the_message_of_the_layer():
    trace = trace_pair(network_of(), *IMAGES)
    for call in trace.layers0:
        with torch.no_grad():
            k, v = (
                projection(call.source.features).reshape(1, -1, 2, 8)
                for projection in (call.layer.k_proj, call.layer.v_proj)
            )
            q = call.layer.q_proj(call.x.features).reshape(1, -1, 2, 8)
            # With the same values for both heads the message is linear in the mean of their weights.
            shared = v.mean(2, keepdim=True).expand_as(v)
            expected = linear_attention(q, k, shared)[0, 3 * 12 + 7].mean(0)
        weights = torch.from_numpy(attention_map(call, (7, 3))).flatten()
        torch.testing.assert_close(weights @ shared[0, :, 0], expected, atol=1e-4, rtol=1e-3)


def test_self_layers_attend_to_the_same_image_and_cross_layers_to_the_other():
    wide = np.zeros((64, 128), np.uint8)
    trace = trace_pair(network_of(), IMAGES[0], wide)
    assert [call.name for call in trace.layers0] == ["self 1", "cross 2", "self 3"]
    assert [attention_map(call, (0, 0)).shape for call in trace.layers0] == [(8, 12), (8, 16), (8, 12)]
    assert trace.before[1].shape == trace.after[1].shape == (8, 16, 16)


def test_tracing_removes_its_hooks():
    network = network_of()
    trace_pair(network, *IMAGES)
    assert not any(layer._forward_pre_hooks for layer in network.loftr_coarse.layers)


def test_the_same_features_have_the_same_colour():
    features = torch.randn(4, 6, 16, generator=torch.Generator().manual_seed(0))
    first, second = feature_colors((features, features.flip(0)))
    assert np.array_equal(first, second[::-1])
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 10


def test_the_picture_has_a_row_for_each_point_and_one_for_the_features():
    trace = trace_pair(network_of(), *IMAGES)
    picture = draw_attention(trace, *IMAGES, np.array([[10.0, 20.0], [50.0, 30.0]]), stride=8)
    assert picture.shape == (3 * 64, 4 * 96, 3)


def test_a_network_without_attention_is_refused():
    with pytest.raises(InputError, match="nothing to draw"):
        trace_pair(network_of(mixing="convolution"), *IMAGES)


def test_the_command_writes_a_picture_and_checks_its_points(tmp_path):
    from perception_common.config import load_yaml
    from perception_common.resources import find_config

    paths = []
    for number, image in enumerate(IMAGES):
        paths.append(str(tmp_path / f"{number}.png"))
        cv2.imwrite(paths[-1], image)
    network = LoFTR(load_yaml(LoFTRConfig, find_config("models/loftr_lite.yaml")))
    save_weights(network.state_dict(), tmp_path / "w.safetensors", {})
    options = ["--weights", str(tmp_path / "w.safetensors"), "--output", str(tmp_path / "out.png")]
    assert main([*paths, *options, "--points", "10,20"]) == 0
    assert cv2.imread(str(tmp_path / "out.png")).shape == (128, 9 * 96, 3)
    with pytest.raises(InputError, match="outside"):
        main([*paths, *options, "--points", "96,20"])
    with pytest.raises(InputError, match="no point"):
        main([*paths, *options, "--points", "ten"])
