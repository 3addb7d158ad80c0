"""VisDrone and UAVDT folders in miniature, evaluated by the command with the protocols of the papers."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from perception_common.config import load_yaml
from perception_common.errors import InputError
from perception_common.resources import find_config
from perception_common.weights import save_weights
from replay_ros.commands.evaluate import detection as evaluate_detection
from replay_ros.evaluation.detection.datasets import coco_dataset, uavdt_dataset, visdrone_dataset
from replay_ros.evaluation.detection.published import PUBLISHED
from replay_ros.evaluation.detection.truth import choose_classes
from yolc_ros.classes import VISDRONE_CLASSES
from yolc_ros.detector import Detections
from yolc_ros.network.config import YolcConfig
from yolc_ros.network.yolc import Yolc

CAR, TRUCK, BUS = (10, 20, 30, 15), (60, 40, 40, 20), (70, 5, 30, 20)


def write_image(path, brightness=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((96, 128, 3), brightness, np.uint8))


@pytest.fixture
def visdrone(tmp_path):
    """Two images: a car each, a truck, an ignored region, one "other" vehicle, an unscored car, and a broken line."""
    folder = tmp_path / "VisDrone2019-DET-val"
    (folder / "annotations").mkdir(parents=True)
    for number, name in enumerate(("0000001_a", "0000002_b")):
        write_image(folder / "images" / f"{name}.jpg", 10 * number)
    (folder / "annotations" / "0000001_a.txt").write_text(
        "10,20,30,15,1,4,0,0\n0,60,50,36,0,0,0,0\n70,5,30,20,1,11,0,0\n60,70,20,20,0,4,0,2\n"
    )
    (folder / "annotations" / "0000002_b.txt").write_text(
        "10,20,30,15,1,4,0,1\n60,40,40,20,1,6,0,0,\n5,5,0,9,1,4,0,0\n"
    )
    return folder


@pytest.fixture
def uavdt(tmp_path):
    """A training sequence, and a test sequence: a car, a bus and an ignored region, then a car."""
    folder = tmp_path / "UAVDT"
    for name in ("M0101", "M0203"):
        for frame in (1, 2):
            write_image(folder / "UAV-benchmark-M" / name / f"img{frame:06d}.jpg", 10 * frame)
    (folder / "GT").mkdir()
    (folder / "GT" / "M0101_gt_whole.txt").write_text("1,1,60,40,40,20,1,1,2\n")
    (folder / "GT" / "M0203_gt_whole.txt").write_text(
        "1,1,10,20,30,15,1,1,1\n1,2,70,5,30,20,1,1,3\n2,1,10,20,30,15,1,1,1\n"
    )
    (folder / "GT" / "M0203_gt_ignore.txt").write_text("1,-1,50,35,60,30,1,-1,-1\n")
    return folder


def with_attributes(folder):
    for split, name in (("train", "M0101"), ("test", "M0203 ")):  # a space, as in one file name of the release
        (folder / "M_attr" / split).mkdir(parents=True)
        (folder / "M_attr" / split / f"{name}_attr.txt").write_text("1,0,0\n")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    network = Yolc(load_yaml(YolcConfig, find_config("models/yolc_lite.yaml")))
    save_weights(network.state_dict(), path, {"model": "yolc_lite"})
    return path


@pytest.fixture
def seen(detect_with):
    """A network that always detects a car, a truck and, instead of the bus, a van; records the sizes of its images."""
    shapes = []

    def detect(self, image):
        shapes.append(image.shape)
        boxes = np.array([CAR, TRUCK, BUS], np.float32)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([self.class_names.index(name) for name in ("car", "truck", "van")])
        return Detections(boxes, np.array([0.9, 0.8, 0.2], np.float32), labels, np.full(3, -1), (), self.class_names)

    detect_with(detect)
    return shapes


def run(dataset, folder, weights, *arguments):
    path = folder.parent / "result.json"
    command = [str(folder), "--dataset", dataset, "--weights", str(weights), "--json", str(path), *arguments]
    assert evaluate_detection.main(command) == 0
    content = json.loads(path.read_text())
    return {each["protocol"]: each for each in content.get("runs", [content])}


def everything(dataset):
    return dataset.read(choose_classes(dataset.categories, VISDRONE_CLASSES, None))


def test_categories_are_classes_whatever_their_case_and_punctuation():
    choice = choose_classes(("OtherVehicle", "Person", "DontCare"), ("person", "other-vehicle", "car"), None)
    assert choice.classes == ("person", "other-vehicle")
    assert choice.of_category == {"OtherVehicle": 1, "Person": 0}


def test_visdrone_truth(visdrone):
    labelled = everything(visdrone_dataset(visdrone))
    one, two = labelled.images
    assert one.name == "images/0000001_a.jpg"
    assert one.truth.boxes.tolist() == [[10, 20, 40, 35], [60, 70, 80, 90]]  # without the "other" vehicle
    assert one.truth.unscored.tolist() == [False, True]
    assert one.truth.regions.tolist() == [[0, 60, 50, 96]]
    assert [VISDRONE_CLASSES[label] for label in two.truth.labels] == ["car", "truck"]
    assert [each.where.rsplit("/")[-1] for each in labelled.problems] == ["0000002_b.txt, line 3"]
    with pytest.raises(InputError, match=r"no images like x\*"):
        everything(visdrone_dataset(visdrone, "x*"))


def test_visdrone_with_its_three_protocols(visdrone, weights, seen, capsys):
    runs = run("visdrone", visdrone, weights)
    assert list(runs) == ["official-visdrone", "coco-500", "yolc-release"]
    official = runs["official-visdrone"]
    # Two of three cars are found: the one with score 0 never is. A truck is detected in both images but exists in one,
    # so half of its detections are wrong. It weighs half as much as the cars, which are in two images.
    assert official["by_class"]["car"]["ap"] == pytest.approx(2 / 3)
    assert official["by_class"]["truck"]["ap"] == pytest.approx(0.5)
    assert official["ap"] == pytest.approx((2 * 2 / 3 + 1 * 0.5) / 3)
    assert official["recall"]["1"] == pytest.approx(2 * 2 / 3 / 3)  # one detection per image: the cars
    assert (official["images"], len(seen)) == (2, 3)  # and the warm-up image
    # COCO counts the unscored car, and weighs the classes equally.
    assert runs["coco-500"]["ap"] == pytest.approx((67 / 101 + 0.5) / 2)
    assert runs["coco-500"]["operating"]["hits"] == 3
    assert any("1 annotations left out" in note for note in official["notes"])
    printed = capsys.readouterr().out
    assert "YOLC with LSM (paper, val)" in printed
    assert "0.383" in printed
    assert "0.401" in printed


def test_uavdt_sequences(uavdt):
    def names(split):
        return [image.name for image in everything(uavdt_dataset(uavdt, split)).images]

    expected = {
        "test": ["M0203/img000001.jpg", "M0203/img000002.jpg"],
        "train": ["M0101/img000001.jpg", "M0101/img000002.jpg"],
    }
    assert {split: names(split) for split in expected} == expected  # by the toolkit's list
    assert len(names("all")) == 4
    with_attributes(uavdt)
    assert {split: names(split) for split in expected} == expected
    (uavdt / "GT" / "M0101_gt_whole.txt").unlink()
    with pytest.raises(InputError, match="M0101"):
        names("train")


def test_uavdt_truth_in_the_folder_of_the_toolkit(uavdt):
    (uavdt / "UAV-benchmark-MOTD_v1.0").mkdir()
    (uavdt / "GT").rename(uavdt / "UAV-benchmark-MOTD_v1.0" / "GT")
    first, second = everything(uavdt_dataset(uavdt)).images
    assert first.truth.boxes.tolist() == [[10, 20, 40, 35], [70, 5, 100, 25]]
    assert first.truth.regions.tolist() == [[50, 35, 110, 65]]
    assert second.truth.regions.shape == (0, 4)
    (uavdt / "UAV-benchmark-MOTD_v1.0").rename(uavdt / "elsewhere")
    with pytest.raises(InputError, match="give the folder GT of UAVDT"):
        everything(uavdt_dataset(uavdt))


def test_uavdt_with_its_own_protocol_and_that_of_coco(uavdt, weights, seen, capsys):
    with_attributes(uavdt)
    runs = run("uavdt", uavdt, weights)
    assert list(runs) == ["uavdt", "coco"]
    # Two cars of three vehicles are found. The truck is detected twice: in the ignored region, and wrongly.
    assert runs["uavdt"]["ap"] == pytest.approx(2 / 3)
    assert runs["coco"]["by_class"]["car"]["ap"] == 1
    assert runs["coco"]["by_class"]["bus"]["ap"] == 0
    assert "0.193" in capsys.readouterr().out
    # UAVDT's cars include the vans of VisDrone's classes. Here the network detects the bus as a van.
    joined = run("uavdt", uavdt, weights, "--classes", "car=car+van,truck,bus")
    assert joined["uavdt"]["ap"] == pytest.approx(2 / 3 + 1 / 3 * 3 / 4)
    assert joined["uavdt"]["classes"]["car"] == "car+van"


def test_published_scores_are_of_known_protocols():
    for each in PUBLISHED:
        dataset = {"visdrone": visdrone_dataset, "uavdt": uavdt_dataset}[each.dataset](Path())
        assert each.protocol in dataset.protocols
        assert 0 < each.ap < 1


@pytest.mark.parametrize(
    ("boxes", "remark"),
    [
        ([CAR, TRUCK, BUS], None),
        ([(0.1, 0.2, 0.3, 0.15), (0.6, 0.4, 0.4, 0.2)], "are they shares of the image?"),
        ([(10, 20, 40, 35), (60, 40, 100, 60), (70, 5, 100, 25)], "2 of 3 boxes end outside of their images"),
        ([CAR, TRUCK, CAR], "1 boxes repeat another one of their image and category"),
        ([(100, 80, 40, 20), *[(x, 5, 4, 4) for x in range(20)]], None),  # one object at the border
    ],
)
def test_boxes_of_another_meaning_are_remarked(tmp_path, boxes, remark):
    write_image(tmp_path / "a.jpg")
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 128, "height": 96}],
        "annotations": [{"id": k, "image_id": 1, "category_id": 1, "bbox": box} for k, box in enumerate(boxes)],
        "categories": [{"id": 1, "name": "car"}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(content))
    remarks = coco_dataset(tmp_path / "labels.json").read(choose_classes(("car",), ("car",), None)).remarks
    assert len(remarks) == (remark is not None)
    assert all(remark in each for each in remarks)
