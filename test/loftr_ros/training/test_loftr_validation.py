import json

import cv2
import numpy as np
import pytest

from loftr_ros.training.validation import read_posed_pairs, summarise
from perception_common.errors import InputError

K = np.array([[400.0, 0, 320], [0, 400.0, 240], [0, 0, 1]])


def test_perfect_and_failed_poses():
    assert summarise([0.0, 0.0])["auc_5"] == pytest.approx(1.0)
    failed = summarise([180.0] * 3)
    assert (failed["under_5deg"], failed["auc_20"]) == (0.0, 0.0)


def test_intrinsics_are_scaled_with_the_image(tmp_path):
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((480, 640), np.uint8))
    entry = {"a": "a.png", "b": "b.png", "K_a": K.tolist(), "K_b": K.tolist(), "T_ab": np.eye(4).tolist()}
    (tmp_path / "pairs.json").write_text(json.dumps({"pairs": [entry]}))
    pairs = read_posed_pairs(tmp_path / "pairs.json", max_side=320)
    assert pairs.images["a.png"].shape == (240, 320)
    assert np.allclose(pairs.K["a.png"], [[200, 0, 159.75], [0, 200, 119.75], [0, 0, 1]])


def test_a_file_without_poses_is_an_error(tmp_path):
    (tmp_path / "pairs.json").write_text('{"pairs": [{"a": "x"}]}')
    with pytest.raises(InputError, match=r"pairs\.json"):
        read_posed_pairs(tmp_path / "pairs.json", 640)
