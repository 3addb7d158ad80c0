import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from loftr_ros.datasets.homography import HomographyConfig, HomographyPairs
from loftr_ros.datasets.photographs import list_images
from loftr_ros.datasets.photometric import PhotometricConfig, change_appearance
from perception_common.errors import InputError
from perception_common.training.broken_files import BrokenFiles

UNCHANGED = PhotometricConfig(
    gamma=0,
    contrast=0,
    brightness=0,
    vignette=0,
    shadow_chance=0,
    blur_chance=0,
    motion_chance=0,
    noise=0,
    jpeg_chance=0,
)


def smooth_picture(seed: int, height: int = 300, width: int = 400) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 5)
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), smooth_picture(number))
    return tmp_path


def pairs_of(folder, broken=None, **options) -> HomographyPairs:
    config = HomographyConfig(folders=(folder,), holdout_every=3, **options)
    return HomographyPairs(config, 8, broken or BrokenFiles())


def test_a_coco_file_in_place_of_a_folder_lists_the_images(folder):
    content = {"images": [{"file_name": "4.png"}, {"file_name": "1.png"}]}
    (folder / "part.json").write_text(json.dumps(content))
    assert list_images((folder / "part.json",)) == (folder / "1.png", folder / "4.png")
    for broken in ({"images": []}, {"pairs": []}, {"images": [{"file_name": "../1.png"}]}, []):
        (folder / "part.json").write_text(json.dumps(broken))
        with pytest.raises(InputError):
            list_images((folder / "part.json",))


def test_matches_show_the_same_point_in_both_images(folder):
    pairs = pairs_of(folder, zoom=(0.8, 1.2), photometric=UNCHANGED)
    differences, others = [], []
    for number in range(10):
        pair = pairs.sample(np.random.default_rng(number), number, 160, 120)
        columns = 160 // 8
        inner = (pair.matches.points1 > 1).all(1) & (pair.matches.points1 < [158, 118]).all(1)
        cells = pair.matches.cells0[inner]
        gray0 = pair.image0[cells // columns * 8, cells % columns * 8].astype(float)
        gray1 = cv2.remap(pair.image1, pair.matches.points1[inner][None], None, cv2.INTER_LINEAR)[0].astype(float)
        differences.append(np.abs(gray0 - gray1))
        others.append(np.abs(gray0 - np.roll(gray1, 1)))
    assert np.median(np.concatenate(differences)) < 3
    assert np.percentile(np.concatenate(differences), 95) < 12
    assert np.median(np.concatenate(others)) > 10  # wrong matches would fail the test


def test_a_pair_depends_only_on_its_random_state(folder):
    first, second = pairs_of(folder), pairs_of(folder)
    second.sample(np.random.default_rng(5), 0, 160, 120)
    a, b = (pairs.sample(np.random.default_rng(1), 7, 160, 120) for pairs in (first, second))
    assert np.array_equal(a.image0, b.image0)
    assert np.array_equal(a.image1, b.image1)
    assert np.array_equal(a.matches.points1, b.matches.points1)


def test_pairs_are_rotated_by_any_angle_and_overlap(folder):
    counts = [
        len(pairs_of(folder).sample(np.random.default_rng(number), number, 160, 120).matches.cells0)
        for number in range(20)
    ]
    assert np.median(counts) > 40
    assert max(counts) <= 300


def test_a_broken_image_is_named_counted_and_skipped(folder):
    (folder / "1.png").write_bytes(b"no image")
    broken = BrokenFiles()
    pairs = pairs_of(folder, broken)
    for number in range(12):
        pairs.sample(np.random.default_rng(number), number, 160, 120)
    assert list(broken.reasons) == [str(folder / "1.png")]
    assert broken.reasons[str(folder / "1.png")].startswith("is not an image")


def test_a_folder_of_broken_images_is_an_error(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(InputError, match="can be read"):
        pairs_of(tmp_path).sample(np.random.default_rng(0), 0, 160, 120)


def test_a_folder_that_is_missing_or_empty_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"is no folder: give a folder of images, or a COCO file"):
        list_images((Path(__file__),))
    with pytest.raises(InputError, match="does not exist"):
        pairs_of(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no image"):
        pairs_of(tmp_path)


def test_photographs_for_validation_are_not_used_for_training(folder):
    config = HomographyConfig(folders=(folder,), holdout_every=3)
    trained = HomographyPairs(config, 8, BrokenFiles())
    held_out = HomographyPairs(config, 8, BrokenFiles(), holdout=True)
    names = [{path.name for path in pairs.paths} for pairs in (trained, held_out)]
    assert names[1] == {"0.png", "3.png"}
    assert names[0] == {"1.png", "2.png", "4.png", "5.png"}


def test_augmentation_changes_gray_levels_but_not_geometry():
    picture = smooth_picture(3)
    changed = [change_appearance(picture, PhotometricConfig(), np.random.default_rng(seed)) for seed in range(30)]
    assert all(image.shape == picture.shape and image.dtype == np.uint8 for image in changed)
    means = [image.mean() for image in changed]
    assert max(means) - min(means) > 60
    shifts = [
        cv2.phaseCorrelate(
            picture.astype(np.float32), image.astype(np.float32), cv2.createHanningWindow((400, 300), 5)
        )[0]
        for image in changed
    ]
    assert np.median(np.abs(shifts)) < 0.1


def test_zero_strengths_change_nothing():
    picture = smooth_picture(4)
    assert np.abs(change_appearance(picture, UNCHANGED, np.random.default_rng(0)).astype(int) - picture).max() <= 1
