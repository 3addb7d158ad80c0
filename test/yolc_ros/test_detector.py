"""The whole detector: with a stand-in network that detects drawn rectangles exactly, and with real networks."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from torch import Tensor, nn

from perception_common.backends.devices import DevicePolicy, choose_device
from perception_common.errors import InputError
from perception_common.weights import WeightsReport, save_weights
from yolc_ros import detector as detector_module
from yolc_ros.clusters import LsmConfig, Region
from yolc_ros.detector import Detections, Detector, DetectorSettings
from yolc_ros.looks.bands import Band
from yolc_ros.looks.crowds import LSM_PRESETS
from yolc_ros.network.config import HrnetConfig, ObjectSizes, ScoreCalibration, YolcConfig
from yolc_ros.network.yolc import Yolc, YolcMaps, initialise

CPU = DevicePolicy(torch.device("cpu"), torch.float32)
COLOURS = np.array([[220, 40, 40], [40, 220, 40], [40, 40, 220]], np.uint8)  # of the three classes
SETTINGS = DetectorSettings(lsm=None)
LSM = LsmConfig(smallest_area=0.0)


class RectangleReader(nn.Module):
    """Stands in for a trained network: predicts the rectangles of the three colours in the input.

    calls: shape of the input of each pass.
    """

    def __init__(self, padding: str = "plain") -> None:
        super().__init__()
        self.config = YolcConfig(class_names=("red", "green", "blue"), padding=padding)
        self.calls: list[tuple[int, ...]] = []

    def maps(self, images: Tensor) -> YolcMaps:
        self.calls.append(tuple(images.shape))
        batch, _, height, width = images.shape
        heatmap = np.full((batch, 3, height, width), -9.0, np.float32)
        boxes = np.zeros((batch, 4, height // 4, width // 4), np.float32)
        for index, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
            for label, colour in enumerate(COLOURS):
                near = (np.abs(image.astype(int) - colour) < 80).all(axis=2).astype(np.uint8)
                _, _, stats, _ = cv2.connectedComponentsWithStats(near)
                for x, y, w, h, _ in stats[1:]:
                    cx, cy = x + w / 2, y + h / 2
                    px, py = int(cx), int(cy)
                    heatmap[index, label, max(0, py - 1) : py + 2, max(0, px - 1) : px + 2] = 1.0
                    heatmap[index, label, py, px] = 4.0
                    boxes[index, :, py // 4, px // 4] = cx / 4 - px // 4, cy / 4 - py // 4, w / 8, h / 8
        return YolcMaps(torch.from_numpy(heatmap), torch.from_numpy(boxes))

    def boxes_at(self, box_features: Tensor, cells: Tensor) -> Tensor:
        return box_features[:, cells[:, 1], cells[:, 0]].T


def reader(settings: DetectorSettings = SETTINGS, padding: str = "plain") -> Detector:
    return Detector("rectangles", RectangleReader(padding), CPU, settings, weights=None)  # type: ignore[arg-type]


def draw(width: int, height: int, *objects: tuple[int, int, int, int, int]) -> np.ndarray:
    """A gray image with rectangles (x0, y0, x1, y1, label)."""
    image = np.full((height, width, 3), 128, np.uint8)
    for x0, y0, x1, y1, label in objects:
        image[y0:y1, x0:x1] = COLOURS[label]
    return image


def sorted_boxes(found: Detections) -> list[tuple[float, ...]]:
    return sorted((*box, label) for box, label in zip(found.boxes.tolist(), found.labels.tolist(), strict=True))


def assert_finds(found: Detections, objects: list[tuple[int, ...]], tolerance: float) -> None:
    got, expected = sorted_boxes(found), sorted(objects)
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)


CLUSTER = [(400 + 30 * i, 300 + 25 * j, 412 + 30 * i, 308 + 25 * j, (i + j) % 3) for i in range(6) for j in range(5)]
SCATTERED = [(20, 20, 60, 50, 0), (900, 40, 950, 90, 1), (0, 650, 40, 700, 2), (950, 660, 1001, 701, 0)]


@pytest.mark.parametrize("padding", ["plain", "release"])
@pytest.mark.parametrize("lsm", [None, LSM])
def test_objects_are_found_in_original_pixels_once(padding, lsm):
    """1001 x 701 pixels; with LSM the cluster gets a second, enlarged pass."""
    found = reader(DetectorSettings(lsm=lsm), padding).detect(draw(1001, 701, *CLUSTER, *SCATTERED))
    assert_finds(found, CLUSTER + SCATTERED, tolerance=1.0 if lsm else 0.01)
    assert (len(found.regions) > 0) == (lsm is not None)
    if lsm is not None:
        in_cluster = found.region[(found.boxes[:, 0] >= 400) & (found.boxes[:, 0] < 600)]
        assert (in_cluster >= 0).mean() > 0.8


def test_peaks_separate_objects_that_share_a_cell_of_the_box_branch():
    objects = [(40, 40, 41, 43, 0), (42, 40, 43, 43, 1)]
    detector = reader()
    detector.network.config = dataclasses.replace(detector.network.config, peak_share=1.0)
    assert_finds(detector.detect(draw(96, 64, *objects)), objects, tolerance=0.01)


def test_regions_count_their_objects():
    found = reader(DetectorSettings(lsm=LSM)).detect(draw(1001, 701, *CLUSTER))
    assert sum(region.expected for region in found.regions) >= len(CLUSTER)
    region = found.regions[0]
    assert 0 <= region.x0 < region.x1 <= 1001
    assert 0 <= region.y0 < region.y1 <= 701


def test_with_a_limited_input_size_the_crop_pass_finds_the_same_objects():
    objects = [(x, y, x + 24, y + 16, 1) for x in range(800, 1100, 50) for y in range(400, 600, 40)]
    detector = reader(DetectorSettings(max_side=960, lsm=LSM))
    found = detector.detect(draw(1920, 1080, *objects))
    assert_finds(found, objects, tolerance=3.0)
    assert all(max(shape[2:]) <= 960 for shape in detector.network.calls)


SIZES = ObjectSizes(smallest=8.0, best=12.0, largest=40.0, metres=(1.0, 1.0, 1.0))


def sized_reader(settings: DetectorSettings) -> Detector:
    """A reader that is good for objects of 8 to 40 pixels."""
    detector = reader(settings)
    detector.network.config = dataclasses.replace(detector.network.config, object_sizes=SIZES)
    return detector


def test_small_objects_get_a_second_look_at_the_best_size_and_fitting_ones_none():
    small = [(x, y, x + 8, y + 6, 0) for x in range(300, 420, 24) for y in range(200, 300, 20)]
    large = [(x, y, x + 24, y + 16, 1) for x in range(700, 900, 40) for y in range(400, 500, 30)]
    detector = sized_reader(DetectorSettings())
    found = detector.detect(draw(1001, 701, *small, *large))
    assert_finds(found, small + large, tolerance=1.0)
    (region,) = found.regions
    assert region.expected == len(small)
    assert region.scale * np.sqrt(48) == pytest.approx(min(SIZES.best, 1.5 * np.sqrt(48)), rel=0.05)
    assert (found.region >= 0).sum() == len(small)
    alone = sized_reader(DetectorSettings())
    assert alone.detect(draw(1001, 701, *large)).regions == ()
    assert len(alone.network.calls) == 1


def test_an_image_without_detail_gets_no_second_look(monkeypatch):
    small = [(x, y, x + 8, y + 6, 0) for x in range(300, 420, 24) for y in range(200, 300, 20)]
    monkeypatch.setattr("yolc_ros.detector.useful_zoom", lambda image: 1.2)
    found = sized_reader(DetectorSettings()).detect(draw(1001, 701, *small))
    assert_finds(found, small, tolerance=1.0)
    assert found.regions == ()


def test_bands_find_every_object_once_also_across_their_borders():
    objects = [(20 + 90 * i, 30 + 66 * i, 60 + 90 * i, 70 + 66 * i, i % 3) for i in range(9)]
    bands = (Band(0, 260, 1.5), Band(190, 480, 1.0), Band(400, 701, 0.75))
    detector = sized_reader(DetectorSettings(lsm=None))
    found = detector.detect(draw(1001, 701, *objects), bands)
    assert_finds(found, objects, tolerance=2.0)
    assert found.bands == bands
    assert [call[3] for call in detector.network.calls] == [1504, 1024, 768]
    below = detector.detect(draw(1001, 701, *objects), bands[2:])
    assert below.bands == bands[2:]
    assert detector.network.calls[-1][2:] == (256, 768)  # the rows of this band alone
    assert below.boxes[:, 1].min() > 400


def test_without_known_sizes_the_preset_by_heat_takes_the_place_of_ours():
    assert reader(DetectorSettings()).lsm == LSM_PRESETS["heat"]
    assert sized_reader(DetectorSettings()).lsm == LSM_PRESETS["ours"]


def test_with_flip_a_mirrored_image_gives_mirrored_boxes():
    image = draw(333, 215, (20, 30, 61, 55, 0), (200, 100, 250, 160, 1), (310, 180, 333, 215, 2))
    detector = reader(DetectorSettings(lsm=None, flip=True))
    straight, mirrored = detector.detect(image), detector.detect(image[:, ::-1])
    boxes = mirrored.boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [333, 0, 333, 0]
    again = dataclasses.replace(mirrored, boxes=boxes.astype(np.float32))
    np.testing.assert_allclose(sorted_boxes(straight), sorted_boxes(again), atol=0.01)
    assert len(straight.scores) == 3
    assert detector.network.calls[0][0] == 2  # both views in one batch


def test_with_flip_a_real_network_is_symmetric():
    detector = noisy_detector(DetectorSettings(lsm=None, flip=True, score_threshold=0.1))
    image = random_image(96, 128)
    straight, mirrored = detector.detect(image), detector.detect(image[:, ::-1])
    assert len(straight.scores) > 3
    np.testing.assert_allclose(straight.scores, mirrored.scores, atol=1e-4)
    boxes = mirrored.boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [128, 0, 128, 0]
    np.testing.assert_allclose(straight.boxes, boxes, atol=0.05)


def test_several_scales_find_an_object_once():
    image = draw(640, 480, (100, 100, 160, 140, 0), (400, 300, 470, 350, 2))
    detector = reader(DetectorSettings(lsm=None, scales=(1.0, 0.5, 1.5)))
    assert_finds(detector.detect(image), [(100, 100, 160, 140, 0), (400, 300, 470, 350, 2)], tolerance=2.0)
    assert [shape[3] for shape in detector.network.calls] == [640, 320, 960]


def test_crops_of_one_size_are_one_batch():
    corners = [(0, 0), (960, 640)]
    objects = [(x + 12 * i, y + 9, x + 12 * i + 6, y + 15, 0) for x, y in corners for i in range(4)]
    image = draw(1024, 704, *((x0 + 4, y0, x1 + 4, y1, label) for x0, y0, x1, y1, label in objects))
    detector = reader(DetectorSettings(lsm=LSM))
    found = detector.detect(image)
    assert len(found.regions) == 2
    assert [shape[0] for shape in detector.network.calls] == [1, 2]
    assert len(found.scores) == 8


def test_a_batch_of_crops_equals_crops_one_by_one():
    detector = noisy_detector(DetectorSettings(score_threshold=0.2))
    image = random_image(200, 300)
    corners = [(0, 0, 60, 60), (100, 50, 160, 110), (10, 20, 200, 120)]
    regions = [Region(*corner, expected=0.0, scale=1.5) for corner in corners]
    together = detector._crop_pass(image, regions)
    for region, found in zip(regions, together, strict=True):
        (alone,) = detector._crop_pass(image, [region])
        assert len(found) > 0
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=1e-2)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-4)


SMALL = YolcConfig(
    class_names=("car", "bus"),
    backbone=HrnetConfig(8, 4, 1, (4, 8, 16, 32), (1, 1, 1), 1),
    neck_width=12,
    heatmap_width=2,
    box_width=8,
)


def noisy_detector(settings: DetectorSettings) -> Detector:
    """A small network whose random weights are large enough to detect objects in noise."""
    network = Yolc(SMALL)
    initialise(network, 1)
    with torch.no_grad():
        network.bbox_head.local_head[-1].weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(0))
        network.bbox_head.local_head[-1].bias.fill_(-2.0)
        network.bbox_head.xywh_refine.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(1))
    return Detector.from_network(network, CPU, settings)


def random_image(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (31, 33), (97, 130), (5, 300)])
def test_images_of_any_size_give_all_fields(size):
    found = noisy_detector(DetectorSettings(score_threshold=0.2, lsm=LSM, flip=True)).detect(random_image(*size))
    count = len(found.scores)
    assert found.boxes.shape == (count, 4)
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert found.labels.shape == found.region.shape == (count,)
    assert found.labels.dtype == found.region.dtype == np.int64
    assert (found.boxes >= 0).all()
    assert (found.boxes <= np.array([size[1], size[0]] * 2)).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert (np.diff(found.scores) <= 0).all()
    assert (found.region < len(found.regions)).all()
    assert found.class_names == ("car", "bus")


def test_the_same_image_gives_the_same_detections():
    detector, image = noisy_detector(DetectorSettings(score_threshold=0.2)), random_image(97, 130)
    a, b = detector.detect(image), detector.detect(image.copy())
    assert len(a.scores) > 0
    for field in ("boxes", "scores", "labels", "region"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field))


def test_the_limit_keeps_the_best_detections():
    image = random_image(97, 130)
    everything = noisy_detector(DetectorSettings(score_threshold=0.2, lsm=None)).detect(image)
    few = noisy_detector(DetectorSettings(score_threshold=0.2, lsm=None, max_detections=3)).detect(image)
    assert len(everything.scores) > 3
    np.testing.assert_array_equal(few.boxes, everything.boxes[:3])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 1), np.uint8),
        np.zeros((20, 20, 3), np.float32),
        np.zeros((0, 20, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(image):
    with pytest.raises(InputError, match="expected an RGB image"):
        reader().detect(image)


def test_an_untrained_detector_is_marked_and_finds_nothing():
    detector = Detector.load("yolc_lite", None, choose_device("cpu"))
    assert not detector.trained
    assert detector.name == "yolc_lite"
    found = detector.detect(random_image(160, 224))
    assert len(found.scores) == 0
    assert found.regions == ()


def test_weights_from_a_file_are_used(tmp_path, repository):
    detector = Detector.load("yolc_lite", None, choose_device("cpu"))
    other = Yolc(detector.network.config)
    initialise(other, seed=9)
    path = tmp_path / "yolc_lite.safetensors"
    save_weights(other.state_dict(), path, {})
    trained = Detector.load("yolc_lite", path, choose_device("cpu"))
    assert trained.trained
    assert trained.weights.loaded == len(other.state_dict())
    images = torch.zeros(1, 3, 32, 32)
    expected = Detector.from_network(other, CPU).network.maps(images).heatmap
    torch.testing.assert_close(trained.network.maps(images).heatmap, expected)


def test_unknown_models_and_missing_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="yolc_lite"):
        Detector.load("yolc_huge", None, choose_device("cpu"))
    with pytest.raises(InputError, match="does not exist"):
        Detector.load("yolc_lite", tmp_path / "none.safetensors", choose_device("cpu"))


def test_a_network_for_thermal_images_sees_false_colours_as_gray():
    network = noisy_detector(SETTINGS).network
    thermal = dataclasses.replace(noisy_detector(SETTINGS))
    thermal.network.config = dataclasses.replace(network.config, spectrum="thermal")
    gray = cv2.cvtColor(random_image(97, 130), cv2.COLOR_RGB2GRAY)
    coloured = np.ascontiguousarray(cv2.applyColorMap(gray, cv2.COLORMAP_JET)[..., ::-1])
    expected = np.repeat(gray[..., None], 3, axis=2)
    assert np.abs(thermal.prepare(coloured).astype(int) - expected).mean() < 3
    assert thermal.prepare(expected) is expected
    assert Detector.from_network(network, CPU, SETTINGS).prepare(coloured) is coloured


CALIBRATION = ScoreCalibration(1.5, -0.5, "ab" * 32)


def with_weights(detector: Detector, sha256: str, **settings) -> Detector:
    """The detector with CALIBRATION, as if its weights came from a file with this digest."""
    detector.network.config = dataclasses.replace(detector.network.config, calibration=CALIBRATION)
    report = WeightsReport(Path("weights.safetensors"), sha256, 1)
    return dataclasses.replace(detector, weights=report, settings=dataclasses.replace(detector.settings, **settings))


def test_scores_are_calibrated_and_the_threshold_is_one_of_calibrated_scores():
    """The boxes are those of raw scores from the threshold that belongs to the calibrated one."""
    image, settings = random_image(97, 130), DetectorSettings(score_threshold=0.08, lsm=LSM)
    detector = with_weights(noisy_detector(settings), CALIBRATION.weights_sha256)
    calibrated = detector.detect(image)
    raw = with_weights(detector, CALIBRATION.weights_sha256, scores="raw", score_threshold=0.215025).detect(image)
    assert expit(1.5 * logit(0.215025) - 0.5) == pytest.approx(0.08, abs=1e-5)
    assert len(raw.scores) > 0
    np.testing.assert_array_equal(calibrated.boxes, raw.boxes)
    np.testing.assert_allclose(calibrated.scores, expit(1.5 * logit(raw.scores) - 0.5), atol=1e-5)


def test_scores_of_other_weights_stay_as_they_are():
    image = random_image(97, 130)
    plain = noisy_detector(DetectorSettings(score_threshold=0.2))
    expected = plain.detect(image).scores
    assert with_weights(plain, CALIBRATION.weights_sha256).calibration == CALIBRATION
    other = with_weights(plain, "cd" * 32)
    assert other.calibration is None
    np.testing.assert_array_equal(other.detect(image).scores, expected)
    untrained = dataclasses.replace(other, weights=None)
    assert untrained.calibration is None


@pytest.mark.parametrize("model", ["yolc_lite", "yolc_lite_thermal"])
def test_the_calibrations_in_the_configuration_are_those_of_the_shipped_weights(model):
    """Whoever ships other weights fits them anew: scripts/fit_calibration.py."""
    assert Detector.load(model, "default", choose_device("cpu")).calibration is not None


def test_bfloat16_gives_nearly_the_same_scores():
    network = noisy_detector(SETTINGS).network
    image = random_image(97, 130)
    settings = DetectorSettings(score_threshold=0.2, lsm=None, max_detections=5)
    exact = Detector.from_network(network, CPU, settings).detect(image)
    half = Detector.from_network(network, DevicePolicy(CPU.device, torch.bfloat16), settings).detect(image)
    np.testing.assert_allclose(half.scores, exact.scores, atol=0.03)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_side": 16},
        {"score_threshold": 0.0},
        {"nms_iou": 1.5},
        {"max_detections": 0},
        {"max_peaks": 0},
        {"scales": ()},
        {"scales": (1.0, -1.0)},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        DetectorSettings(**wrong)


# --- as the authors evaluate -------------------------------------------------------------------------------------


def test_without_nms_all_peaks_are_boxes():
    """Two peaks of one object: its heatmap has two maxima, and both cells predict its box."""

    class TwoPeaks(RectangleReader):
        def maps(self, images: Tensor) -> YolcMaps:
            maps = super().maps(images)
            maps.heatmap[:, 0, 23:26, 35:38] = 1.0
            maps.heatmap[:, 0, 24, 36] = 3.0  # beside the peak at (28, 24)
            maps.box_features[:, :, 6, 9] = maps.box_features[:, :, 6, 7] - torch.tensor([2.0, 0, 0, 0])[None]
            return maps

    image = np.zeros((64, 96, 3), np.uint8)
    image[16:32, 16:40] = COLOURS[0]
    counts = {}
    for nms in (0.6, None):
        settings = dataclasses.replace(SETTINGS, nms_iou=nms)
        detector = Detector("peaks", TwoPeaks(), CPU, settings, weights=None)  # type: ignore[arg-type]
        counts[nms] = len(detector.detect(image).boxes)
    assert counts == {0.6: 1, None: 2}


@pytest.mark.parametrize("merge", ["ours", "release"])
def test_the_merge_is_chosen_by_name(merge, monkeypatch):
    called = []
    for name in ("fuse", "fuse_as_release"):
        original = getattr(detector_module, name)
        monkeypatch.setattr(detector_module, name, lambda *a, n=name, f=original: called.append(n) or f(*a))
    image = np.zeros((64, 96, 3), np.uint8)
    reader(dataclasses.replace(SETTINGS, merge=merge)).detect(image)
    assert called == [{"ours": "fuse", "release": "fuse_as_release"}[merge]]


# --- outputs that are not finite ---------------------------------------------------------------------------------


class Spoilt(RectangleReader):
    """Spoils one number of the heatmap or all boxes."""

    def __init__(self, part: str, value: float) -> None:
        super().__init__()
        self.part, self.value = part, value

    def maps(self, images: Tensor) -> YolcMaps:
        maps = super().maps(images)
        if self.part == "heatmap":
            maps.heatmap[-1, -1, -1, -1] = self.value
        else:
            maps.box_features.fill_(self.value)
        return maps


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(("part", "name"), [("heatmap", "scores"), ("boxes", "boxes")])
def test_outputs_that_are_not_finite_are_an_error(part, name, value):
    image = np.zeros((64, 96, 3), np.uint8)
    image[16:32, 16:40] = COLOURS[0]
    assert len(reader().detect(image).boxes) == 1
    detector = Detector("spoilt", Spoilt(part, value), CPU, SETTINGS, weights=None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"the network's {name} are not finite: .*precision fp32"):
        detector.detect(image)


def test_weights_that_overflow_in_half_precision_are_refused():
    large = Detector.load("yolc_lite", None, CPU).network
    large.backbone.conv1.bias.data[0] = -1e6  # -inf in float16, which the ReLU behind it hides
    with pytest.raises(InputError, match=r"\(backbone\.conv1\.bias\); they are too large for float16"):
        Detector.from_network(large, dataclasses.replace(CPU, dtype=torch.float16))
