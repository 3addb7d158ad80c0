"""Pairs made of photographs: their homographies are exact, and the same options give the same pairs."""

import re

import cv2
import numpy as np
import pytest

from loftr_ros.datasets.image_pairs import read_pairs
from perception_common.errors import InputError
from replay_ros.commands.evaluate import make_pairs


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    noise = np.random.default_rng(0).normal(size=(400, 500)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    cv2.imwrite(str(folder / "a.png"), np.clip(128 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8))
    for name in "bcd":
        (folder / f"{name}.png").write_bytes(b"no image")
    return folder


def make(*arguments):
    assert make_pairs.main([*map(str, arguments), "--size", "200", "160", "--count", "4"]) == 0


def test_the_homographies_map_the_first_view_to_the_second(photographs, tmp_path, capsys):
    make(photographs, tmp_path / "set", "--rotation", "20", "--scale", "1.1")
    assert re.search("4 pairs, [123] images could not be read", capsys.readouterr().out)
    found = read_pairs(tmp_path / "set" / "pairs.json")
    assert len(found.pairs) == 4
    assert not found.problems
    for pair in found:
        a, b = (cv2.imread(str(path), 0).astype(np.float32) for path in (pair.path_a, pair.path_b))
        assert a.shape == (160, 200)
        seen = cv2.warpPerspective(a, pair.H_ab, (200, 160), borderValue=-1)
        overlap = cv2.erode((seen > 0).astype(np.uint8), np.ones((9, 9)))[20:-20, 20:-20] > 0
        inner = np.s_[20:-20, 20:-20]
        assert overlap.sum() > 500
        assert np.corrcoef(seen[inner][overlap], b[inner][overlap])[0, 1] > 0.85


def test_the_same_seed_gives_the_same_files_and_another_one_does_not(photographs, tmp_path):
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        make(photographs, tmp_path / name, "--seed", seed)
    one, two, three = ((tmp_path / name / "0000b.png").read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


@pytest.mark.parametrize(
    "wrong", [("--count", "0"), ("--size", "10", "200"), ("--scale", "0.5"), ("--rotation", "200")]
)
def test_values_that_cannot_be_used(photographs, tmp_path, wrong):
    with pytest.raises(InputError, match=wrong[0]):
        make_pairs.main([str(photographs), str(tmp_path / "set"), *wrong])


def test_images_that_are_missing(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        make_pairs.main([str(tmp_path / "none"), str(tmp_path / "set")])
