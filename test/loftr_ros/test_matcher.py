"""The matcher: any image size, original pixels, kept features, settings and weights."""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.image_matcher import MatcherSettings, shrink, to_original
from loftr_ros.matcher import Matcher
from loftr_ros.matches import Matches
from loftr_ros.network.config import LoFTRConfig
from loftr_ros.network.loftr import LoFTR
from perception_common.backends.devices import DevicePolicy
from perception_common.config import from_mapping, load_yaml
from perception_common.errors import InputError
from perception_common.resources import find_config
from perception_common.weights import save_weights

CPU = DevicePolicy(torch.device("cpu"), torch.float32)
EAGER = MatcherSettings(max_side=0, threshold=1e-3, border=0)  # an untrained network is sure of little


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.5)


def assert_equal(one: Matches, other: Matches) -> None:
    for field in fields(Matches):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher.load("loftr_lite", None, CPU, EAGER)


class TestCoordinates:
    @given(width=st.integers(8, 250), height=st.integers(8, 250), max_side=st.integers(4, 250))
    @settings(deadline=None, max_examples=50)
    def test_a_pixel_of_the_shrunk_image_lies_where_its_content_was(
        self, width: int, height: int, max_side: int
    ) -> None:
        """In a ramp each pixel holds its own coordinate; area averaging gives the mean coordinate it covers."""
        ramp_x = np.broadcast_to(np.arange(width, dtype=np.uint8), (height, width)).copy()
        ramp_y = np.broadcast_to(np.arange(height, dtype=np.uint8)[:, None], (height, width)).copy()
        small_x, small_y = shrink(ramp_x, max_side), shrink(ramp_y, max_side)
        assert max(small_x.shape) == min(max_side, max(width, height))
        rows, columns = np.indices(small_x.shape)
        factors = width / small_x.shape[1], height / small_x.shape[0]
        points = to_original(np.stack([columns.ravel(), rows.ravel()], 1), factors)
        np.testing.assert_allclose(points[:, 0], small_x.ravel(), atol=0.52)  # grey values are whole numbers
        np.testing.assert_allclose(points[:, 1], small_y.ravel(), atol=0.52)

    def test_images_that_fit_are_left_alone(self) -> None:
        image = texture(30, 40)
        assert shrink(image, 40) is image
        assert shrink(image, 0) is image

    def test_an_enlarged_copy_matches_at_the_enlarged_points(self, matcher: Matcher) -> None:
        """Area averaging takes back an enlargement of pixels to 2 x 2, so the network sees the same image."""
        image = texture(96, 136)
        enlarged = np.kron(image, np.ones((2, 2), np.uint8))
        shrinking = matcher.with_settings(MatcherSettings(max_side=136, threshold=1e-3, border=0))
        plain = matcher.match(matcher.encode(image), matcher.encode(image))
        scaled = shrinking.match(shrinking.encode(image), shrinking.encode(enlarged))
        assert len(plain) > 20
        assert scaled.size1 == (272, 192)
        np.testing.assert_array_equal(scaled.points0, plain.points0)
        np.testing.assert_allclose(scaled.points1, 2 * plain.points1 + 0.5, atol=1e-4)
        np.testing.assert_allclose(scaled.spread, 2 * plain.spread, rtol=1e-5)

    @pytest.mark.parametrize(("height", "width"), [(97, 131), (64, 64), (33, 200), (9, 9)])
    def test_points_lie_inside_of_images_of_any_size(self, matcher: Matcher, height: int, width: int) -> None:
        matches = matcher.match(matcher.encode(texture(80, 90)), matcher.encode(texture(height, width, 1)))
        assert (matches.points1 >= -0.5).all()
        assert (matches.points1 <= np.array([width, height]) - 0.5).all()
        assert (matches.size0, matches.size1) == ((90, 80), (width, height))


class TestMatching:
    def test_result_is_complete_and_ordered(self, matcher: Matcher) -> None:
        matches = matcher.match(matcher.encode(texture(96, 128)), matcher.encode(texture(96, 128)))
        assert len(matches) > 20
        assert matches.points0.shape == matches.points1.shape == (len(matches), 2)
        assert matches.points0.dtype == matches.points1.dtype == matches.confidence.dtype == np.float32
        assert matches.spread.dtype == np.float32
        assert matches.cells0.dtype == matches.cells1.dtype == np.int64
        assert (np.diff(matches.confidence) <= 0).all()
        assert (matches.spread > 0).all()

    def test_kept_features_equal_fresh_ones(self, matcher: Matcher) -> None:
        keyframe = matcher.encode(texture(96, 128))
        other = matcher.encode(texture(90, 100, 1))
        first = matcher.match(keyframe, other)
        matcher.match(other, keyframe)
        assert_equal(matcher.match(keyframe, other), first)
        assert_equal(matcher.match(matcher.encode(texture(96, 128)), matcher.encode(texture(90, 100, 1))), first)

    @pytest.mark.parametrize("value", [0, 128, 255])
    def test_blank_images_give_no_matches(self, matcher: Matcher, value: int) -> None:
        blank, other = matcher.encode(np.full((96, 128), value, np.uint8)), matcher.encode(texture(96, 128))
        for matches in (matcher.match(blank, blank), matcher.match(blank, other), matcher.match(other, blank)):
            assert len(matches) == 0
            assert matches.points0.shape == matches.points1.shape == (0, 2)
            assert matches.confidence.shape == matches.spread.shape == (0,)
            assert matches.cells0.dtype == np.int64

    def test_settings_change_without_encoding_again(self, matcher: Matcher) -> None:
        features = matcher.encode(texture(96, 128)), matcher.encode(texture(96, 128))
        everything = matcher.match(*features)
        middle = float(np.median(everything.confidence))
        confident = matcher.with_settings(MatcherSettings(0, middle, 0)).match(*features)
        assert 0 < len(confident) < len(everything)
        assert (confident.confidence > middle).all()
        few = matcher.with_settings(MatcherSettings(0, 1e-3, 0, max_matches=5)).match(*features)
        np.testing.assert_array_equal(few.cells0, everything.cells0[:5])
        inner = matcher.with_settings(MatcherSettings(0, 1e-3, border=3)).match(*features)
        assert len(inner)
        assert (inner.points0 >= 24).all()

    def test_none_means_what_the_model_says(self) -> None:
        model = load_yaml(LoFTRConfig, find_config("models/loftr_lite.yaml")).selection
        assert MatcherSettings().select(model) == model
        assert MatcherSettings(threshold=0.5).select(model).threshold == 0.5

    def test_half_precision_runs_and_gives_the_same_schema(self) -> None:
        half = Matcher.load("loftr_lite", None, DevicePolicy(torch.device("cpu"), torch.bfloat16), EAGER)
        matches = half.match(half.encode(texture(96, 128)), half.encode(texture(96, 128)))
        assert len(matches)
        assert matches.points1.dtype == matches.confidence.dtype == np.float32
        assert np.isfinite(matches.points1).all()

    @pytest.mark.parametrize(
        "image",
        [np.zeros((0, 10), np.uint8), np.zeros((10, 10, 3), np.uint8), np.zeros((10, 10), np.float32)],
    )
    def test_what_is_no_gray_image_is_refused(self, matcher: Matcher, image: np.ndarray) -> None:
        with pytest.raises(InputError, match="gray"):
            matcher.encode(image)

    def test_read_only_images_are_fine(self, matcher: Matcher) -> None:
        image = texture(40, 40)
        image.flags.writeable = False
        assert matcher.encode(image).width == 40

    def test_memory_of_kept_features_is_counted(self, matcher: Matcher) -> None:
        features = matcher.encode(texture(96, 128))
        assert features.nbytes == 4 * (12 * 16 * 96 + 48 * 64 * 32) + 96 * 128


class TestAlignment:
    """The shipped weights on a texture and the same moved by (2.4, -1.7) pixels, in another light."""

    @pytest.fixture(scope="class")
    def images(self) -> tuple[np.ndarray, np.ndarray]:
        image = cv2.GaussianBlur(np.random.default_rng(2).normal(size=(160, 208)).astype(np.float32), (0, 0), 3)
        image = np.clip(120 + 40 * image / image.std(), 0, 255)
        moved = cv2.warpAffine(image, np.array([[1, 0, 2.4], [0, 1, -1.7]]), (208, 160), flags=cv2.INTER_CUBIC)
        return image.astype(np.uint8), np.clip(0.8 * moved + 30, 0, 255).astype(np.uint8)

    @staticmethod
    def errors(matches: Matches) -> np.ndarray:
        return np.linalg.norm(matches.points1 - matches.points0 - (2.4, -1.7), axis=1)

    def test_aligned_pixels_are_more_precise_than_the_network(self, images: tuple[np.ndarray, np.ndarray]) -> None:
        matcher = Matcher.load("loftr_lite", "default", CPU, MatcherSettings(max_side=0))
        aligned = matcher.match(*map(matcher.encode, images))
        config = matcher.network.config
        matcher.network.config = replace(config, fine=replace(config.fine, align_pixels=False))
        features = [matcher.encode(image) for image in images]
        assert features[0].network.gray is None
        plain = matcher.match(*features)
        assert len(aligned.points0) > 100
        assert np.median(self.errors(aligned)) < 0.1
        assert np.median(self.errors(plain)) > 0.15
        # The alignment changes the position in image 1 and its spread, nothing else.
        order = [np.lexsort((each.cells1, each.cells0)) for each in (aligned, plain)]
        for name in ("points0", "confidence", "cells0", "cells1"):
            one, other = (getattr(each, name)[o] for each, o in zip((aligned, plain), order, strict=True))
            np.testing.assert_array_equal(one, other, err_msg=name)


class TestWeights:
    def test_random_weights_are_the_same_at_each_call_and_called_untrained(self, matcher: Matcher) -> None:
        torch.manual_seed(7)
        before = torch.get_rng_state()
        again = Matcher.load("loftr_lite", None, CPU, EAGER)
        assert torch.equal(before, torch.get_rng_state())
        assert not again.trained
        assert again.weights_sha256 == ""
        image = texture(64, 80)
        assert_equal(
            matcher.match(matcher.encode(image), matcher.encode(image)),
            again.match(again.encode(image), again.encode(image)),
        )

    @pytest.mark.parametrize("prefix", ["", "matcher."])
    def test_a_file_of_weights_is_used(self, matcher: Matcher, tmp_path: Path, prefix: str) -> None:
        network = LoFTR(load_yaml(LoFTRConfig, find_config("models/loftr_lite.yaml")))
        path = tmp_path / "other.safetensors"
        save_weights({prefix + key: tensor for key, tensor in network.state_dict().items()}, path, {})
        loaded = Matcher.load("loftr_lite", path, CPU, EAGER)
        assert loaded.trained
        assert len(loaded.weights_sha256) == 64
        assert loaded.weights is not None
        assert loaded.weights.loaded == 211
        image = texture(64, 80)
        direct = Matcher.from_network(network.eval(), CPU, EAGER)
        assert_equal(
            loaded.match(loaded.encode(image), loaded.encode(image)),
            direct.match(direct.encode(image), direct.encode(image)),
        )

    def test_weights_of_another_variant_are_refused(self, tmp_path: Path) -> None:
        network = LoFTR(load_yaml(LoFTRConfig, find_config("models/loftr_lite.yaml")))
        save_weights(network.state_dict(), tmp_path / "lite.safetensors", {})
        with pytest.raises(InputError, match="shape"):
            Matcher.load("loftr_indoor_ds", tmp_path / "lite.safetensors", CPU)

    def test_unknown_models_are_refused(self) -> None:
        with pytest.raises(InputError, match="loftr_lite"):
            Matcher.load("loftr_nothing", None, CPU)


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"threshold": 1.5}, {"border": -1}, {"max_matches": -1}, {"max_side": -1}, {"x": 1}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        from_mapping(MatcherSettings, wrong)


@pytest.mark.shared_data
def test_a_real_image_matches_itself(shared_data: Path) -> None:
    """Even with random weights each place of a textured image is likest to itself."""
    path = shared_data / "opencv_doc_pairs" / "images" / "graf1.png"
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    matcher = Matcher.load("loftr_indoor_ds_new", None, CPU, MatcherSettings(max_side=160, threshold=1e-4))
    features = matcher.encode(image)
    matches = matcher.match(features, features)
    assert len(matches) > 10
    assert np.median(np.linalg.norm(matches.points1 - matches.points0, axis=1)) < 12 * features.factors[0]


class TestPaddingOfTheRelease:
    def load(self, padding: str, name: str = "loftr_lite") -> Matcher:
        return Matcher.load(name, None, CPU, MatcherSettings(max_side=0, threshold=1e-3, border=0, padding=padding))

    def test_images_are_padded_to_masked_squares(self) -> None:
        padded = self.load("release")
        gray = texture(48, 96)
        features = padded.encode(gray)
        square = np.zeros((96, 96), np.uint8)
        square[:48] = gray
        mask = torch.zeros(1, 12, 12, dtype=torch.bool)
        mask[:, :6] = True
        expected = padded.network.encode(torch.from_numpy(square / np.float32(255))[None, None], mask)
        assert (features.width, features.height) == (96, 48)
        assert features.network.mask is not None
        torch.testing.assert_close(features.network.coarse, expected.coarse)
        matches = padded.match(features, padded.encode(texture(96, 48, seed=1)))
        assert len(matches.confidence) > 0
        assert (matches.points0[:, 1] <= 47.5).all()
        assert (matches.points1[:, 0] <= 47.5).all()

    def test_padded_cells_keep_their_mass(self) -> None:
        assert self.load("release").network.config.matching.padding == "release"
        assert self.load("none").network.config.matching.padding == "left_out"

    def test_a_square_image_is_not_changed(self) -> None:
        gray, other = texture(64, 64), texture(64, 64, seed=1)
        found = [m.match(m.encode(gray), m.encode(other)) for m in (self.load("none"), self.load("release"))]
        assert len(found[0].confidence) > 0
        np.testing.assert_allclose(found[0].points1, found[1].points1, atol=1e-3)


class TestOutputsThatAreNotFinite:
    def spoilt(self, matcher: Matcher, part: str) -> Matcher:
        """A copy of the matcher with NaN in one parameter of a part of its network."""
        spoilt = Matcher.from_network(matcher.network, CPU, EAGER)
        next(iter(spoilt.network.get_submodule(part).parameters())).view(-1)[0] = float("nan")
        return spoilt

    def test_features_are_an_error_of_their_image(self, matcher: Matcher) -> None:
        with pytest.raises(InputError, match=r"the network's features are not finite: .*precision fp32"):
            self.spoilt(matcher, "backbone").encode(texture(64, 96))

    @pytest.mark.parametrize(
        ("part", "name"), [("loftr_coarse", "features"), ("fine_preprocess", "offsets"), ("loftr_fine", "offsets")]
    )
    def test_later_parts_are_an_error_of_the_pair(self, matcher: Matcher, part: str, name: str) -> None:
        image = texture(64, 96)
        assert len(matcher.match(matcher.encode(image), matcher.encode(image)).confidence) > 0
        spoilt = self.spoilt(matcher, part)
        with pytest.raises(InputError, match=f"the network's {name} are not finite"):
            spoilt.match(spoilt.encode(image), spoilt.encode(image))

    def test_weights_that_overflow_in_half_precision_are_refused(self, matcher: Matcher) -> None:
        large = copy.deepcopy(matcher.network)
        large.backbone.conv1.bias.data[0] = -1e6  # -inf in float16, which the ReLU behind it hides
        with pytest.raises(InputError, match=r"\(backbone\.conv1\.bias\); they are too large for float16"):
            Matcher.from_network(large, replace(CPU, dtype=torch.float16), EAGER)


class TestKnownPlaces:
    SHIFT = np.array([22.0, 13.0])  # no multiple of a cell

    @pytest.fixture(scope="class")
    def trained(self) -> Matcher:
        return Matcher.load("loftr_lite", "default", CPU, MatcherSettings(max_side=0))

    @pytest.fixture(scope="class")
    def views(self, small_flight: Any) -> tuple[np.ndarray, np.ndarray]:
        x, y = self.SHIFT.astype(int)
        image = small_flight.images[0]
        return image[y:, x:].copy(), image[:-y, :-x].copy()

    def test_they_are_matched_from_where_they_lie(self, trained: Matcher, views: tuple[np.ndarray, np.ndarray]) -> None:
        features = [trained.encode(view) for view in views]
        centres = trained.match(*features)
        rng = np.random.default_rng(0)
        known = rng.uniform(30, [250, 180], (300, 2))
        found = trained.match(*features, known)
        nearest = np.linalg.norm(found.points0[:, None] - known[None], axis=2).min(axis=1)
        at_place = nearest < 1e-3
        assert at_place.sum() > 100
        assert (np.linalg.norm(centres.points0[:, None] - known[None], axis=2).min(axis=1) > 1e-3).all()
        error = np.linalg.norm(found.points1 - found.points0 - self.SHIFT, axis=1)
        of_centres = np.linalg.norm(centres.points1 - centres.points0 - self.SHIFT, axis=1)
        assert np.median(error[at_place]) < 1.5 * np.median(of_centres) < 0.05
        assert np.percentile(error[at_place], 90) < 1.0
        assert np.all(np.diff(found.confidence) <= 0)
        # the others keep their distance, so that a place is not matched twice
        assert nearest[~at_place].min() > 0.5

    def test_a_limit_on_the_matches_holds(self, trained: Matcher, views: tuple[np.ndarray, np.ndarray]) -> None:
        limited = trained.with_settings(MatcherSettings(max_side=0, max_matches=50))
        features = [limited.encode(view) for view in views]
        places = limited.match(*features).points0 + 2.0
        assert len(limited.match(*features, places)) == 50

    def test_no_places_change_nothing(self, trained: Matcher, views: tuple[np.ndarray, np.ndarray]) -> None:
        features = [trained.encode(view) for view in views]
        plain = trained.match(*features)
        assert_equal(trained.match(*features, np.zeros((0, 2))), plain)
        assert_equal(trained.match(*features, np.full((3, 2), 5000.0)), plain)  # outside of the image

    def test_shrunk_images(self, trained: Matcher, views: tuple[np.ndarray, np.ndarray]) -> None:
        """Places are pixels of the original image: an enlarged copy has the same matches at twice the points."""
        enlarged = [np.kron(view, np.ones((2, 2), np.uint8)) for view in views]
        shrinking = trained.with_settings(MatcherSettings(max_side=max(views[0].shape)))
        known = np.random.default_rng(0).uniform(30, [250, 180], (300, 2))
        plain = trained.match(*(trained.encode(view) for view in views), known)
        scaled = shrinking.match(*(shrinking.encode(view) for view in enlarged), 2 * known + 0.5)
        np.testing.assert_allclose(scaled.points0, 2 * plain.points0 + 0.5, atol=1e-3)
        np.testing.assert_allclose(scaled.points1, 2 * plain.points1 + 0.5, atol=1e-2)
