import cv2
import numpy as np
import pytest

from flight_sim.sampling import PairOptions, ViewOptions
from flight_sim.scene import SceneOptions
from loftr_ros.datasets.flights import FlightConfig, FlightPairs
from loftr_ros.datasets.photometric import PhotometricConfig

pytestmark = pytest.mark.slow

SMALL = SceneOptions(side=163.84)


@pytest.fixture(scope="module")
def pairs() -> FlightPairs:
    return FlightPairs(FlightConfig(scene=SMALL, pairs_per_scene=10), stride=8)


def test_pairs_overlap_and_match_one_to_one(pairs):
    drawn = [pairs.sample(np.random.default_rng(number), number, 160, 120) for number in range(4)]
    for pair in drawn:
        assert pair.image0.shape == pair.image1.shape == (120, 160)
        assert len(set(pair.matches.cells1)) == len(pair.matches.cells1)
    assert sum(len(pair.matches.cells0) for pair in drawn) > 150


def test_matches_show_the_same_point_in_both_images():
    views = ViewOptions(degradation_strength=0.0)
    clean = PairOptions(view=views, yaw_deg=5.0, pitch_deg=0.0, altitude_ratio=1.0, pause_s=(0.0, 0.0))
    same_look = PhotometricConfig(
        gamma=0, contrast=0, brightness=0, vignette=0, shadow_chance=0, blur_chance=0, motion_chance=0, noise=0,
        jpeg_chance=0,
    )  # fmt: skip
    pairs = FlightPairs(FlightConfig(scene=SMALL, pairs=clean, photometric=same_look), stride=8)
    same, other = [], []
    for number in range(5):
        pair = pairs.sample(np.random.default_rng(number), 0, 160, 120)
        cells = pair.matches.cells0
        gray0 = pair.image0[cells // 20 * 8, cells % 20 * 8].astype(float)
        gray1 = cv2.remap(pair.image1, pair.matches.points1[None], None, cv2.INTER_LINEAR)[0].astype(float)
        same.append(np.corrcoef(gray0, gray1)[0, 1])
        other.append(np.corrcoef(gray0, np.roll(gray1, 3))[0, 1])
    assert np.median(same) > 0.8
    assert np.median(other) < 0.6


def test_a_pair_depends_only_on_its_number_and_random_state(pairs):
    a = pairs.sample(np.random.default_rng(3), 12, 160, 120)
    pairs.sample(np.random.default_rng(4), 25, 160, 120)  # another scene in between
    pairs.sample(np.random.default_rng(4), 35, 160, 120)
    b = pairs.sample(np.random.default_rng(3), 12, 160, 120)
    assert np.array_equal(a.image1, b.image1)
    assert np.array_equal(a.matches.points1, b.matches.points1)


def test_the_number_of_the_pair_chooses_the_scene(pairs):
    a, b = (pairs.sample(np.random.default_rng(3), number, 160, 120) for number in (9, 10))
    assert not np.array_equal(a.image0, b.image0)
