"""The command evaluate_detection: its input, the choice of classes, its output, and bad input."""

import json
import re

import cv2
import numpy as np
import pytest
import torch

from flight_sim.flight import CameraOptions, FlightOptions
from perception_common.config import load_yaml
from perception_common.errors import InputError
from perception_common.resources import find_config, find_weights
from perception_common.weights import read_state_dict, save_weights
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.commands.evaluate import detection as evaluate_detection
from replay_ros.evaluation.detection.protocols import PROTOCOLS
from replay_ros.evaluation.detection.truth import choose_classes, read_coco_truth
from yolc_ros.clusters import Region
from yolc_ros.detector import Detections, Detector
from yolc_ros.network.config import ScoreCalibration, YolcConfig
from yolc_ros.network.yolc import Yolc

SMALL = FlightOptions(camera=CameraOptions(width=640, height=360))
CAR, BUS = [10, 20, 30, 15], [60, 40, 40, 20]
CATEGORIES = [{"id": 0, "name": "ignored regions"}, {"id": 4, "name": "car"}, {"id": 7, "name": "coach"}]


def annotation(identity, image, category, box, **more):
    return {"id": identity, "image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3], **more}


@pytest.fixture
def dataset(tmp_path):
    """Two images with a car each, one coach, an ignored region, a crowd and an unscored object."""
    (tmp_path / "images").mkdir()
    for name in ("one.png", "two.png"):
        cv2.imwrite(str(tmp_path / "images" / name), np.zeros((96, 128, 3), np.uint8))
    content = {
        "images": [{"id": 1, "file_name": "images/one.png"}, {"id": 2, "file_name": "images/two.png"}],
        "categories": CATEGORIES,
        "annotations": [
            annotation(1, 1, 4, CAR),
            annotation(2, 2, 4, CAR),
            annotation(3, 2, 7, BUS),
            annotation(4, 1, 0, [100, 0, 28, 96]),
            annotation(5, 1, 4, [60, 60, 30, 30], iscrowd=1),
            annotation(6, 2, 4, [0, 70, 10, 10], ignore=1),
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    return tmp_path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    network = Yolc(load_yaml(YolcConfig, find_config("models/yolc_lite.yaml")))
    save_weights(network.state_dict(), path, {"model": "yolc_lite"})
    return path


@pytest.fixture
def perfect(detect_with):
    """A detector that finds the car in every image, a van that does not exist, and, in its one crop, the bus."""

    def detect(self, image):
        region = Region(50, 30, 110, 70, 1.0, 1.5)
        regions = () if self.settings.lsm is None else (region,)
        boxes = np.array([CAR, [0, 0, 9, 9], BUS][: 2 + len(regions)], np.float32)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([self.class_names.index(name) for name in ("car", "van", "bus")[: len(boxes)]])
        scores = np.array([0.9, 0.8, 0.7][: len(boxes)], np.float32)
        return Detections(boxes, scores, labels, np.full(len(boxes), -1), regions, self.class_names)

    detect_with(detect)


def run(dataset, weights, *arguments):
    path = dataset / "result.json"
    command = [str(dataset / "coco.json"), "--weights", str(weights), "--json", str(path), *arguments]
    assert evaluate_detection.main(command) == 0
    return json.loads(path.read_text())


def test_a_network_runs_from_file_to_figures(dataset, weights):
    result = run(dataset, weights)
    assert {"ap", "ap50", "ap75", "crops_per_image", "seconds_per_image"} <= result.keys()
    assert 0 <= result["ap"] <= result["ap50"] <= 1
    assert result["seconds_per_image"] > 0
    assert (result["images"], result["model"], result["protocol"], result["lsm"]) == (2, "yolc_lite", "coco-500", "on")
    assert len(result["weights_sha256"]) == 64
    assert result["classes"] == {"car": "car"}  # the network has no class of the name coach


def test_weights_of_a_training_need_no_model_name(dataset, tmp_path, weights):
    trained = tmp_path / "weights.safetensors"
    save_weights(read_state_dict(weights), trained, {"model": '{"heatmap_stride": 1}'})
    assert run(dataset, trained)["model"] == "yolc_lite"


def test_inference_modes_and_protocols_are_compared(dataset, weights, perfect, capsys):
    arguments = ["--classes", "car,coach=bus", "--lsm", "on", "--lsm", "off"]
    for name in PROTOCOLS:
        arguments += ["--protocol", name]
    runs = {(each["lsm"], each["protocol"]): each for each in run(dataset, weights, *arguments)["runs"]}
    assert len(runs) == 2 * len(PROTOCOLS)
    assert {key: each["crops_per_image"] for key, each in runs.items()} == {key: float(key[0] == "on") for key in runs}
    for (lsm, protocol), each in runs.items():
        # The van is not an evaluated class. Two of three cars are found; VisDrone's protocol counts the third, whose
        # score is 0, too. The bus is detected in both images with the same score, and exists in the second.
        expected = 2 / 3 if protocol in ("official-visdrone", "uavdt") else 67 / 101
        figures = [each["by_class"]["car"][name] for name in ("ap", "ap50", "ap75")]
        assert figures == pytest.approx([expected] * 3), protocol
        assert each["by_class"]["bus"]["ap"] == pytest.approx(0.5 if lsm == "on" else 0), protocol
    # Cars are in two images, the bus in one.
    assert runs["off", "official-visdrone"]["ap"] == pytest.approx(2 * 2 / 3 / 3)
    assert runs["off", "coco"]["ap"] == pytest.approx(67 / 101 / 2)
    # Two cars of two are found at every threshold: the van is not an evaluated class.
    point = runs["off", "official-visdrone"]["by_class"]["car"]["operating"]
    assert (point["score"], point["hits"], point["false"], point["missed"]) == (0.3, 2, 0, 0)
    printed = capsys.readouterr().out
    assert "coach as bus" in printed
    assert all(about.about in printed for about in PROTOCOLS.values())


def test_the_lsm_presets_of_the_paper_and_the_release(dataset, weights):
    arguments = ["--lsm", "on", "--lsm", "heat", "--lsm", "paper", "--lsm", "release"]
    runs = {each["lsm"]: each["settings"]["detector"]["lsm"] for each in run(dataset, weights, *arguments)["runs"]}
    assert "largest_zoom" in runs["on"]
    assert runs["heat"]["presence"] > runs["paper"]["presence"]
    assert (runs["paper"]["densest"], runs["release"]["relative_presence"]) == (50, True)


def test_scales_and_numbers_of_regions_are_compared_with_the_first_look(dataset, weights, capsys):
    arguments = ["--lsm", "off", "--lsm", "on", "--scale", "fixed", "--scale", "auto", "--scale", "2"]
    result = run(dataset, weights, *arguments, "--lsm-regions", "1", "--lsm-regions", "3")
    looks = [each["look"] for each in result["runs"]]
    ways = ("LSM off", "LSM on k=1", "LSM on k=3")
    assert looks == [f"{way}{scale}" for scale in ("", ", scale auto", ", scale 2.0") for way in ways]
    assert result["runs"][0]["versus"] is None
    assert {each["versus"]["reference"] for each in result["runs"][1:]} == {"LSM off"}
    assert result["runs"][1]["settings"]["detector"]["lsm"]["regions"] == 1
    assert result["runs"][0]["max_side"] == 1920  # as in the node
    assert "at least as good" in capsys.readouterr().out


def test_the_scale_of_the_ground_needs_altitude_and_tilt(dataset, weights, capsys):
    with pytest.raises(InputError, match="altitude_m"):
        run(dataset, weights, "--scale", "ground")
    path = dataset / "coco.json"
    content = json.loads(path.read_text())
    content["images"][0] |= {"width": 128, "height": 96, "altitude_m": 5.0, "pitch_deg": 90}
    path.write_text(json.dumps(content))
    result = run(dataset, weights, "--scale", "ground", "--lsm", "off", "--fov", "60")
    assert result["look"] == "LSM off, scale ground"
    assert "1 of 2 images have no altitude and tilt" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(dataset, weights, "--scale", "99")


def test_scores_are_calibrated_as_the_node_publishes_them(dataset, weights, perfect, monkeypatch):
    calibration = ScoreCalibration(2.0, 1.0)
    monkeypatch.setattr(Detector, "calibration", property(lambda self: calibration))
    arguments = ["--classes", "car", "--predictions", str(dataset / "seen.npz")]
    calibrated, raw = (run(dataset, weights, *arguments, "--scores", scores) for scores in ("calibrated", "raw"))
    assert (calibrated["settings"]["scores"], raw["settings"]["scores"]) == ("calibrated", "raw")
    assert calibrated["ap50"] == raw["ap50"]  # the order is the same
    assert raw["best"]["score"] == pytest.approx(0.9)
    assert calibrated["best"]["score"] == pytest.approx(1 / (1 + np.exp(-(2 * np.log(9) + 1))), abs=1e-6)
    assert any("come from" in note for note in raw["notes"])  # both use the same predictions


def test_a_selection_of_files(dataset, weights, perfect):
    result = run(dataset, weights, "--files", "o*.png", "--classes", "car,coach=bus")
    assert (result["images"], result["ap"], result["by_class"].keys()) == (1, 1.0, {"car"})


def test_slices_are_compared_with_the_lsm(dataset, weights, perfect, capsys):
    arguments = ["--classes", "car,coach=bus", "--lsm", "on", "--slicing", "64", "--slice-overlap", "0.5"]
    on, sliced = run(dataset, weights, *arguments)["runs"]
    assert (on["look"], sliced["look"]) == ("LSM on, scale reduce", "slicing 64")
    assert (sliced["lsm"], sliced["slicing"]["overlap"]) == ("off", 0.5)
    # 128 x 96 pixels in steps of 32: three columns, two rows.
    assert (on["crops_per_image"], sliced["crops_per_image"]) == (1, 6)
    assert "slicing 64" in capsys.readouterr().out
    alone = run(dataset, weights, "--slicing", "64")
    assert alone["look"] == "slicing 64"


def test_cached_predictions_are_reused_for_other_thresholds(dataset, weights, perfect, capsys, monkeypatch):
    arguments = ["--classes", "car,coach=bus", "--predictions", str(dataset / "seen.npz")]
    first = run(dataset, weights, *arguments, "--protocol", "coco")
    monkeypatch.setattr(Detector, "look", lambda self, image, bands=(): pytest.fail("the network ran again"))
    again = run(dataset, weights, *arguments, "--protocol", "coco")
    assert again["notes"] == [
        f"LSM on, scale reduce: 2 of 2 predictions, with their seconds, come from {dataset / 'seen.npz'}"
    ]
    assert again["notes"][0] in capsys.readouterr().out
    assert again == first | {"notes": again["notes"]}
    swept = run(dataset, weights, *arguments, "--score-threshold", "0.85")
    # The cars have score 0.9; the bus, which exists in one of two images, has 0.7.
    assert (swept["operating"]["hits"], swept["operating"]["false"]) == (2, 0)
    assert (first["operating"]["hits"], first["operating"]["false"]) == (3, 1)


def test_the_detections_of_a_bag(tmp_path, capsys):
    write_flight(FlightBagOptions(tmp_path / "flight", seed=3, flight=SMALL, frames=2))
    command = [str(tmp_path / "flight"), "--dataset", "bag", "--topic", "ground_truth/detections"]
    assert evaluate_detection.main([*command, "--json", str(tmp_path / "result.json")]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["ap"], result["images"], result["look"]) == (1, 2, "bag")
    assert "2 of 2 images with truth are answered" in capsys.readouterr().out


class TestTruth:
    def test_boxes_crowds_and_regions_are_read(self, dataset):
        choice = choose_classes([each["name"] for each in CATEGORIES], ("van", "car", "bus"), "car,coach=bus")
        assert choice.classes == ("car", "bus")
        one, two = read_coco_truth(dataset / "coco.json", dataset, choice)
        assert one.path == dataset / "images" / "one.png"
        assert one.truth.boxes.tolist() == [[10, 20, 40, 35], [60, 60, 90, 90]]
        assert one.truth.crowd.tolist() == [False, True]
        assert one.truth.regions.tolist() == [[100, 0, 128, 96]]
        assert two.truth.labels.tolist() == [0, 1, 0]
        assert two.truth.unscored.tolist() == [False, False, True]
        assert two.truth.regions.shape == (0, 4)

    def test_two_categories_can_be_one_class(self):
        choice = choose_classes(["car", "taxi"], ("bus", "car"), "taxi=car,car")
        assert (choice.classes, choice.of_category) == (("car",), {"taxi": 0, "car": 0})

    def test_several_classes_can_be_one_category(self):
        choice = choose_classes(["car", "bus"], ("bus", "van", "car"), "car=car+van,bus")
        assert (choice.classes, choice.of_category) == (("bus", "car"), {"car": 1, "bus": 0})
        assert choice.of_class == {"bus": 0, "van": 1, "car": 1}
        assert choice.meaning("car") == "van+car"


class TestBadInput:
    def fails(self, message, dataset, weights, *arguments):
        with pytest.raises(InputError, match=message) as caught:
            run(dataset, weights, *arguments)
        assert "\n" not in str(caught.value)

    def test_classes(self, dataset, weights):
        self.fails("no category 'tram'", dataset, weights, "--classes", "car,tram")
        self.fails("'coach' is no class of the network", dataset, weights, "--classes", "coach")

        self.fails("'car' cannot count as 'car' and as 'bus'", dataset, weights, "--classes", "car,coach=bus+car")

    def test_options_of_another_dataset(self, dataset, weights):
        self.fails("--split is for --dataset uavdt, not for coco", dataset, weights, "--split", "test")
        self.fails("--topic is for --dataset bag", dataset, weights, "--topic", "x")
        self.fails("--weights is for --dataset coco", dataset, weights, "--dataset", "bag")

    def test_numbers(self, dataset, weights):
        self.fails("--score-threshold", dataset, weights, "--score-threshold", "0")
        self.fails("--slicing 8: size must", dataset, weights, "--slicing", "8")
        (dataset / "seen.npz").write_text("something else")
        self.fails("is not a file of predictions", dataset, weights, "--predictions", str(dataset / "seen.npz"))

    def test_no_common_class(self, dataset, weights):
        text = (dataset / "coco.json").read_text().replace('"car"', '"auto"')
        (dataset / "coco.json").write_text(text)
        self.fails("no category .* is a class of the network", dataset, weights)

    def test_images(self, dataset, weights):
        elsewhere = ("--images", str(dataset / "elsewhere"))
        self.fails(r"none of 2 images .*one\.png: is missing .*--images", dataset, weights, *elsewhere)
        self.fails(r"no images like x\*", dataset, weights, "--files", "x*")
        (dataset / "images" / "two.png").write_bytes(b"no image")
        result = run(dataset, weights)
        assert result["images"] == 1
        assert re.search(r"1 annotations left out .*two\.png: is not an image.* with its 3 boxes", result["notes"][0])

    def test_annotations(self, dataset, weights):
        content = json.loads((dataset / "coco.json").read_text())
        content["annotations"][2]["bbox"] = [1, 2, 0, 5]
        (dataset / "coco.json").write_text(json.dumps(content))
        result = run(dataset, weights, "--classes", "car,coach=bus")
        assert "annotation 3: a box without area" in result["notes"][0]
        assert "bus" not in result["by_class"]
        (dataset / "coco.json").write_text("[]")
        self.fails("is not a COCO annotation file", dataset, weights)
        (dataset / "coco.json").unlink()
        self.fails("cannot be read", dataset, weights)

    def test_weights(self, dataset):
        self.fails("'yolo' is neither a weights file nor one of .*yolc_lite", dataset, "yolo")
        self.fails(r"x\.pth does not exist", dataset, "x.pth")

    @pytest.mark.skipif(find_weights("yolc_w48") is not None, reason="its weights are there")
    def test_a_network_without_shipped_weights(self, dataset):
        self.fails("no weights are shipped for yolc_w48", dataset, "yolc_w48")

    def test_sizes(self, dataset, weights):
        self.fails("--max-side", dataset, weights, "--max-side", "7")


def test_the_settings_of_the_authors_evaluation_have_options(dataset, weights, perfect, monkeypatch):
    used = []
    detect = Detector.detect
    monkeypatch.setattr(Detector, "detect", lambda self, image: used.append(self.settings) or detect(self, image))
    arguments = ("--lsm", "release", "--lsm-merge", "release", "--nms", "off", "--smallest-score", "0.001")
    result = run(dataset, weights, *arguments, "--scale", "fixed", "--protocol", "yolc-release")
    assert {(each.merge, each.nms_iou, each.score_threshold) for each in used} == {("release", None, 0.001)}
    assert (result["lsm_merge"], result["nms_iou"], result["smallest_score"]) == ("release", None, 0.001)
    default = run(dataset, weights)
    assert (default["lsm_merge"], default["nms_iou"], default["smallest_score"]) == ("ours", 0.6, 0.01)


def test_a_view_of_the_ground_that_cannot_be_is_named_and_ends_nothing(dataset, weights, capsys):
    path = dataset / "coco.json"
    content = json.loads(path.read_text())
    view = {"width": 128, "height": 96, "altitude_m": -5.0, "pitch_deg": 90, "focal_px": 100}
    content["images"][0] |= view
    path.write_text(json.dumps(content))
    run(dataset, weights, "--lsm", "off")
    assert "the view of the ground of 1 images is not used" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"no image has a usable altitude_m .* altitude, focal length or direction"):
        run(dataset, weights, "--scale", "ground")


@pytest.mark.parametrize("value", ["99", "nan", "nearest"])
def test_a_scale_that_is_none_is_refused_with_what_it_can_be(dataset, value, capsys):
    with pytest.raises(SystemExit):
        evaluate_detection.main([str(dataset / "coco.json"), "--scale", value])
    expected = f"'{value}' is not one of fixed, reduce, auto, ground or a scale from 0.01 to 16"
    assert expected in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("degrees", ["0", "180"])
def test_a_field_of_view_that_cannot_be_is_refused(dataset, degrees):
    with pytest.raises(InputError, match="--fov must lie between 0 and 180"):
        evaluate_detection.main([str(dataset / "coco.json"), "--scale", "ground", "--fov", degrees])


def test_a_field_of_view_that_is_no_number_is_refused(dataset, capsys):
    with pytest.raises(SystemExit):
        evaluate_detection.main([str(dataset / "coco.json"), "--scale", "ground", "--fov", "nan"])
    assert "argument --fov: invalid number value: 'nan'" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["2", "-1", "none"])
def test_an_nms_that_is_no_iou_is_refused(dataset, value, capsys):
    with pytest.raises(SystemExit):
        evaluate_detection.main([str(dataset / "coco.json"), f"--nms={value}"])
    assert "--nms" in capsys.readouterr().err


def test_scores_below_the_evaluated_ones_are_no_threshold(dataset):
    with pytest.raises(InputError, match=r"--score-threshold must lie between 0\.4 and 1"):
        evaluate_detection.main([str(dataset / "coco.json"), "--smallest-score", "0.4"])
