"""Reading of pairs.json and of images, and the map between pixels of an image and of its resized form."""

import json

import numpy as np
import pytest

from loftr_ros.datasets.image_pairs import read_pairs, resizing
from perception_common.errors import InputError
from perception_common.images.pictures.files import read_gray

K = np.array([[400.0, 0, 320], [0, 400.0, 240], [0, 0, 1]])
POSED = {"a": "a.png", "b": "b.png", "K_a": K.tolist(), "K_b": K.tolist(), "T_ab": np.eye(4).tolist()}


def write(folder, content):
    path = folder / "pairs.json"
    path.write_text(json.dumps(content))
    return path


def test_resizing_maps_pixel_centres_to_those_of_area_averages():
    # The mean of pixels 2 and 3 becomes pixel 1 of the image at half the size.
    assert np.allclose(resizing((480, 640), (240, 320)) @ [2.5, 2.5, 1], [1, 1, 1])


def test_pairs_have_poses_or_homographies(tmp_path):
    flat = {"a": "a.png", "b": "c.png", "H_ab": np.eye(3).tolist()}
    posed, plane = read_pairs(write(tmp_path, {"pairs": [POSED, flat]}))
    assert posed.path_b == tmp_path / "b.png"
    assert np.array_equal(posed.K_a, K)
    assert posed.H_ab is None
    assert np.array_equal(plane.H_ab, np.eye(3))
    assert plane.T_ab is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"pairs": []}, "holds no pairs"),
        ([], "is no pairs.json"),
        ({"pairs": [{"a": "a.png", "b": "b.png"}]}, "pair 0: needs a, b"),
        ({"pairs": [POSED | {"K_a": [1]}]}, "pair 0: K_a must be 3x3"),
    ],
)
def test_invalid_files_are_explained_in_one_line(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_pairs(write(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.json: cannot be read"):
        read_pairs(tmp_path / "nothing.json")
    with pytest.raises(InputError, match=r"a\.png: is missing"):
        read_gray(tmp_path / "a.png")


def test_the_deviation_of_the_truth_is_read(tmp_path):
    stated = {**POSED, "ref_unc_deg": 0.3}
    assert [pair.truth_degrees for pair in read_pairs(write(tmp_path, {"pairs": [stated, POSED]}))] == [0.3, 0.0]


@pytest.mark.parametrize("deviation", [-1.0, float("inf")])
def test_an_impossible_deviation_of_the_truth_is_named(deviation, tmp_path):
    found = read_pairs(write(tmp_path, {"pairs": [POSED, {**POSED, "ref_unc_deg": deviation}]}))
    assert len(found.pairs) == 1
    assert "ref_unc_deg" in found.problems[0]
