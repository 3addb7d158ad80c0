"""Predictions on disk: what is cached, and when it is reused."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from perception_common.backends.devices import choose_device
from perception_common.config import load_yaml
from perception_common.errors import InputError
from perception_common.resources import find_config
from perception_common.weights import WeightsReport
from replay_ros.evaluation.detection.cache import (
    Prediction,
    Section,
    changed_keys,
    read_predictions,
    write_predictions,
)
from replay_ros.evaluation.detection.inference import InferenceMode, run_inference
from replay_ros.evaluation.detection.slicing import SlicingConfig
from replay_ros.evaluation.detection.truth import EvaluatedImage, image_truth
from yolc_ros.detector import Detections, Detector, DetectorSettings
from yolc_ros.network.config import YolcConfig
from yolc_ros.network.yolc import Yolc


def prediction(count, crops=0):
    rng = np.random.default_rng(count)
    boxes = rng.random((count, 4)).astype(np.float32)
    return Prediction(boxes, boxes[:, 0], np.arange(count), crops, 0.5 * count)


def test_written_predictions_are_read_back(tmp_path):
    sections = {
        "LSM on": Section({"model": "a", "settings": {"x": 1}}, {"aa": prediction(3, 2), "bb": prediction(0)}),
        "LSM off": Section({"model": "a"}, {"cc": prediction(1)}),
        "slicing 640": Section({}, {}),
    }
    write_predictions(tmp_path / "seen.npz", sections)
    back = read_predictions(tmp_path / "seen.npz")
    assert back.keys() == sections.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["seen.npz"]
    for mode, section in sections.items():
        assert back[mode].conditions == section.conditions
        assert list(back[mode].predictions) == list(section.predictions)
        for digest, each in section.predictions.items():
            read = back[mode].predictions[digest]
            for part in ("boxes", "scores", "labels"):
                assert np.array_equal(getattr(read, part), getattr(each, part))
                assert getattr(read, part).shape == getattr(each, part).shape
            assert (read.crops, read.seconds) == (each.crops, each.seconds)


def test_other_files_are_refused(tmp_path):
    assert read_predictions(tmp_path / "missing.npz") == {}
    (tmp_path / "text.npz").write_text("no predictions")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    write_predictions(tmp_path / "cut.npz", {"LSM on": Section({}, {"aa": prediction(50)})})
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:300])
    for name in ("text.npz", "other.npz", "cut.npz"):
        with pytest.raises(InputError, match=name):
            read_predictions(tmp_path / name)
    with pytest.raises(InputError, match="cannot be written"):
        write_predictions(tmp_path / "no" / "folder.npz", {})


def test_changed_keys_are_named_by_their_path():
    assert changed_keys({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 4, "d": 3}, "e": 5}) == ["b.c", "e"]
    assert changed_keys({"lsm": {"regions": 2}}, {"lsm": None}) == ["lsm"]


# --- in use ------------------------------------------------------------------------------------------------------


@pytest.fixture
def images(tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for index, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((64, 64, 3), 40 * index + 1, np.uint8))
    return [EvaluatedImage(path, image_truth([])) for path in paths]


@pytest.fixture
def detector(tmp_path):
    network = Yolc(load_yaml(YolcConfig, find_config("models/yolc_lite.yaml")))
    weights = WeightsReport(tmp_path / "x.safetensors", "ab" * 32, 1)
    return Detector.from_network(network, choose_device("cpu"), DetectorSettings(), name="yolc_lite", weights=weights)


@pytest.fixture
def seen(monkeypatch):
    """Records the brightness of every image that the network sees; the score encodes it too."""
    brightnesses = []

    def detect(self, image):
        value = int(image[0, 0, 0])
        if value:  # not the warm-up image
            brightnesses.append(value)
        score = np.array([value / 255], np.float32)
        return Detections(
            np.array([[1, 2, 30, 40]], np.float32), score, np.array([3]), np.array([-1]), (), self.class_names
        )

    monkeypatch.setattr(Detector, "detect", detect)
    return brightnesses


def test_cached_images_are_not_predicted_again(tmp_path, detector, images, seen):
    cache = tmp_path / "seen.npz"
    first = run_inference(detector, InferenceMode("on"), images[:2], cache)
    assert (seen, first.notes) == ([1, 41], ())
    again = run_inference(detector, InferenceMode("on"), images, cache)
    assert seen == [1, 41, 81]
    assert "2 of 3 predictions" in again.notes[0]
    assert [round(255 * each.scores[0]) for each in again.predictions.values()] == [1, 41, 81]
    seconds = [[each.seconds for each in run.predictions.values()] for run in (again, first)]
    assert seconds[0][:2] == seconds[1]
    run_inference(detector, InferenceMode("off"), images, cache)  # another mode has its own section
    run_inference(detector, InferenceMode("on"), images, cache)
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda d: replace(d, weights=replace(d.weights, sha256="cd" * 32)), "weights_sha256"),
        (lambda d: replace(d, settings=replace(d.settings, nms_iou=0.5)), "settings.nms_iou"),
        (lambda d: replace(d, name="yolc_w48"), "model"),
    ],
)
def test_predictions_of_another_network_are_replaced_with_a_note(tmp_path, detector, images, seen, change, key):
    cache = tmp_path / "seen.npz"
    run_inference(detector, InferenceMode("on"), images, cache)
    result = run_inference(change(detector), InferenceMode("on"), images, cache)
    assert seen == [1, 41, 81] * 2
    assert result.notes == (f"LSM on: {cache} was made with other {key}; all predicted again",)


def test_slices_with_another_overlap_are_predicted_again(tmp_path, detector, images, seen):
    cache = tmp_path / "seen.npz"
    run_inference(detector, InferenceMode("off", SlicingConfig(64)), images[:1], cache)
    result = run_inference(detector, InferenceMode("off", SlicingConfig(64, overlap=0.3)), images[:1], cache)
    assert "slicing.overlap" in result.notes[0]


def test_a_changed_image_is_predicted_again(tmp_path, detector, images, seen):
    cache = tmp_path / "seen.npz"
    run_inference(detector, InferenceMode("on"), images, cache)
    cv2.imwrite(str(images[1].path), np.full((64, 64, 3), 99, np.uint8))
    result = run_inference(detector, InferenceMode("on"), images, cache)
    assert seen == [1, 41, 81, 99]
    assert round(255 * result.predictions[images[1].path].scores[0]) == 99


def test_a_broken_image_is_named_and_the_others_are_predicted(tmp_path, detector, images, seen):
    cache = tmp_path / "seen.npz"
    images[2].path.write_bytes(b"no image")
    result = run_inference(detector, InferenceMode("on"), images, cache)
    assert list(result.predictions) == [image.path for image in images[:2]]
    assert "is not an image" in result.faults[images[2].path]
    run_inference(detector, InferenceMode("on"), images[:2], cache)
    assert seen == [1, 41]
