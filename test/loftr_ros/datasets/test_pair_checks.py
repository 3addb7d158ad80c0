"""A pairs.json is checked before it is believed: rigid motions, homographies, cameras and file names."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.datasets.image_pairs import read_pairs
from perception_common.errors import InputError
from perception_common.geometry import rigid_fault, so3_exp, transform
from replay_ros.commands.evaluate import pairs as evaluate_pairs

K = [[288.0, 0, 159.5], [0, 288.0, 119.5], [0, 0, 1]]
POSED = {"a": "a.png", "b": "b.png", "K_a": K, "K_b": K, "T_ab": transform(np.eye(3), np.array([1.0, 0, 0])).tolist()}
MIRROR = np.diag([1.0, 1, -1, 1])


def write(folder, *pairs):
    path = folder / "pairs.json"
    path.write_text(json.dumps({"pairs": list(pairs)}))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"T_ab": (2 * np.array(POSED["T_ab"])).tolist()}, "T_ab has the last row 0 0 0 2"),
        ({"T_ab": np.diag([2.0, 2, 2, 1]).tolist()}, "scaled by 2"),
        ({"T_ab": MIRROR.tolist()}, "mirrors"),
        ({"T_ab": np.diag([1.0, 1, 0, 1]).tolist()}, "columns are not orthonormal"),
        ({"T_ab": np.eye(4)[:3].tolist()}, "T_ab must be 4x4"),
        ({"T_ab": np.full((4, 4), np.nan).tolist()}, "finite"),
        ({"K_a": np.zeros((3, 3)).tolist()}, "focal lengths"),
        ({"K_b": [[-288, 0, 160], [0, 288, 120], [0, 0, 1]]}, "focal lengths"),
        ({"K_b": [[288, 3, 160], [0, 288, 120], [0, 0, 1]]}, "form fx 0 cx"),
        ({"K_b": [[10**400, 0, 160], [0, 288, 120], [0, 0, 1]]}, "finite"),
        ({"b": "../b.png"}, "leaves the folder"),
        ({"b": None}, "is not a file name"),
    ],
)
def test_an_impossible_pair_is_left_out_and_named(tmp_path, change, words):
    found = read_pairs(write(tmp_path, POSED, POSED | change))
    assert len(found.pairs) == 1
    assert len(found.problems) == 1
    assert found.problems[0].startswith("pair 1: ")
    assert words in found.problems[0]
    with pytest.raises(InputError, match="none of its 1 pairs can be used; pair 0"):
        read_pairs(write(tmp_path, POSED | change))


@pytest.mark.parametrize("H", [np.zeros((3, 3)), [[1, 1, 0], [1, 1, 0], [0, 0, 1]]])
def test_a_homography_has_an_inverse(tmp_path, H):
    plane = {"a": "a.png", "b": "b.png", "H_ab": np.array(H).tolist()}
    with pytest.raises(InputError, match="H_ab has no inverse"):
        read_pairs(write(tmp_path, plane))
    scaled = plane | {"H_ab": (-2 * np.eye(3)).tolist()}
    assert len(read_pairs(write(tmp_path, scaled)).pairs) == 1


@settings(deadline=None)
@given(st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(*[st.floats(-1e6, 1e6)] * 3), st.floats(0.01, 100))
def test_rigid_motions_are_those_with_a_rotation(turn, t, scale):
    T = transform(so3_exp(np.array(turn)), np.array(t))
    assert rigid_fault(T) == rigid_fault(T[:3]) == rigid_fault(np.round(T, 4)) == ""
    assert "mirrors" in rigid_fault(T @ MIRROR)
    if abs(scale - 1) > 0.01:
        assert "scaled by" in rigid_fault(T @ np.diag([scale, scale, scale, 1]))
        assert "orthonormal" in rigid_fault(T @ np.diag([scale, 1, 1, 1]))
    assert rigid_fault(np.eye(2)) == "is not a 4x4 matrix but 2x2"


@pytest.mark.parametrize("matcher", ["orb", "sift", "sift_mutual", "loftr_lite"])
def test_tiny_images_fail_and_the_other_pairs_are_evaluated(tmp_path, matcher):
    rng = np.random.default_rng(0)
    texture = cv2.resize(rng.integers(0, 255, (60, 80), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    for name, image in (
        ("a", texture),
        ("b", texture),
        ("one", texture[:1, :1]),
        ("row", texture[:1]),
        ("t", texture[:9, :9]),
    ):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    plane = {"a": "a.png", "H_ab": np.eye(3).tolist()}
    names = ("one.png", "b.png", "row.png", "t.png", "gone.png")
    path = write(tmp_path, *(plane | {"b": name} for name in names), POSED | {"b": "one.png"})
    result = tmp_path / "result.json"
    assert evaluate_pairs.main([str(path), "--matcher", matcher, "--json", str(result)]) == 0
    content = json.loads(result.read_text())
    assert [each["geometry"] for each in content["details"]] == ["FAILED", "PLANAR", "FAILED", "FAILED", "FAILED"]
    assert [each["failure"] for each in content["details"]] == [""] * 5
    assert (content["pairs"], content["failures"]) == (5, 4)
    assert "gone.png" in content["left_out"][0]
