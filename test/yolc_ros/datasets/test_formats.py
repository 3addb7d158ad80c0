"""COCO, VisDrone and UAVDT folders; broken lines are listed and left out."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.errors import InputError
from yolc_ros.classes import VISDRONE_CLASSES
from yolc_ros.datasets.coco import read_coco
from yolc_ros.datasets.samples import ClassMap
from yolc_ros.datasets.uavdt import read_uavdt
from yolc_ros.datasets.visdrone import read_visdrone

OURS = ClassMap(VISDRONE_CLASSES)
CAR, VAN = VISDRONE_CLASSES.index("car"), VISDRONE_CLASSES.index("van")


def write_image(path: Path, width: int = 40, height: int = 30) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), (0, 0, 200), np.uint8))


def known(classes: ClassMap, mask: np.ndarray) -> set[str]:
    return {name for name, flag in zip(classes.class_names, mask, strict=True) if flag}


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    write_image(tmp_path / "images" / "a1.png")
    write_image(tmp_path / "images" / "b1.png")
    content = {
        "images": [{"id": 7, "file_name": "a1.png"}, {"id": 9, "file_name": "b1.png"}, {"id": 11}],
        "categories": [{"id": 3, "name": "car"}, {"id": 5, "name": "minibus"}, {"id": 8, "name": "cyclist"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 20]},
            {"id": 2, "image_id": 7, "category_id": 5, "bbox": [3.5, 2, 4, 4]},
            {"id": 3, "image_id": 7, "category_id": 8, "bbox": [0, 0, 2, 2]},
            {"id": 4, "image_id": 7, "category_id": 3, "bbox": [20, 0, 9, 9], "iscrowd": 1},
            {"id": 5, "image_id": 9, "category_id": 3, "bbox": [1, 1, 0, 5]},
            {"id": 6, "image_id": 9, "category_id": 99, "bbox": [1, 1, 5, 5]},
            {"id": 7, "image_id": 9, "category_id": 3, "bbox": [1, 1, 5]},
            {"id": 8, "image_id": 9, "category_id": 3, "bbox": [1, 1, float("nan"), 5]},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    return tmp_path


def test_coco_boxes_aliases_crowds_and_unmapped_categories(coco: Path) -> None:
    classes = ClassMap(VISDRONE_CLASSES, (("minibus", "van"),))
    files = read_coco(coco / "coco.json", coco / "images", classes)
    sample = files.load(0)
    assert sample.image[0, 0].tolist() == [200, 0, 0]  # RGB
    assert sample.truth.boxes.tolist() == [[1, 2, 11, 22], [3.5, 2, 7.5, 6]]
    assert sample.truth.labels.tolist() == [CAR, VAN]
    assert sample.truth.ignored.tolist() == [[0, 0, 2, 2], [20, 0, 29, 9]]  # the cyclist and the crowd
    assert known(classes, sample.truth.known) == {"car", "van"}


def test_coco_lists_broken_entries_and_keeps_the_rest(coco: Path) -> None:
    files = read_coco(coco / "coco.json", coco / "images", OURS)
    assert [problem.where.split(", ")[-1] for problem in files.problems] == [
        "image 11",
        *(f"annotation {number}" for number in (5, 6, 7, 8)),
    ]
    assert [file.path.name for file in files.matching("b*").files] == ["b1.png"]
    assert files.load(1).truth.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"images": []}', '{"images": [], "annotations": [], "categories": [{}]}']
)
def test_other_files_than_coco_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=r"x\.json"):
        read_coco(tmp_path / "x.json", tmp_path, OURS)


def test_missing_and_truncated_images_are_named(tmp_path: Path, coco: Path) -> None:
    files = read_coco(coco / "coco.json", coco / "images", OURS)
    (coco / "images" / "a1.png").write_bytes(b"\x89PNG\r\n")
    (coco / "images" / "b1.png").unlink()
    with pytest.raises(InputError, match=r"a1\.png.*truncated"):
        files.load(0)
    with pytest.raises(InputError, match=r"b1\.png.*cannot be read"):
        files.load(1)


def test_visdrone_ignored_regions_others_and_score_zero(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "0001.jpg")
    write_image(tmp_path / "images" / "0002.jpg")
    (tmp_path / "annotations").mkdir()
    lines = [
        "10,5,8,6,1,4,0,0",
        "0,0,5,5,0,0,0,0",
        "1,1,3,3,1,11,0,0,",
        "20,9,4,4,0,1,1,2",
        "",
        "4,4,0,2,1,4,0,0",
        "x,1,2,3",
    ]
    (tmp_path / "annotations" / "0001.txt").write_text("\n".join(lines))
    files = read_visdrone(tmp_path, OURS)
    truth = files.files[0].truth
    assert truth.boxes.tolist() == [[10, 5, 18, 11]]
    assert truth.labels.tolist() == [CAR]
    assert truth.ignored.tolist() == [[0, 0, 5, 5], [1, 1, 4, 4], [20, 9, 24, 13]]
    assert truth.known.all()
    assert len(files) == 1
    assert [problem.where.rsplit("/", 1)[1] for problem in files.problems] == [
        "0001.txt, line 6",
        "0001.txt, line 7",
        "0002.txt",
    ]


def test_other_folders_than_visdrone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="images/"):
        read_visdrone(tmp_path, OURS)


@settings(deadline=None, max_examples=40)
@given(st.text(alphabet="0123456789,.-e xnaif\n", max_size=80))
def test_every_line_of_visdrone_is_read_or_listed(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("visdrone")
    write_image(folder / "images" / "1.jpg")
    (folder / "annotations").mkdir()
    (folder / "annotations" / "1.txt").write_text(text)
    files = read_visdrone(folder, OURS)
    truth = files.files[0].truth
    lines = sum(bool(line.strip()) for line in text.splitlines())
    assert len(truth.boxes) + len(truth.ignored) + len(files.problems) == lines


def uavdt(folder: Path) -> tuple[Path, Path]:
    images, annotations = folder / "UAV-benchmark-M", folder / "GT"
    for sequence in ("M0101", "M0203"):
        for frame in (1, 2):
            write_image(images / sequence / f"img{frame:06d}.jpg")
    annotations.mkdir()
    (annotations / "M0101_gt_whole.txt").write_text("1,3,5,6,7,8,1,1,1\n2,3,5,6,7,8,1,1,3\n2,4,1,1,2,2,1,1,9\n")
    (annotations / "M0101_gt_ignore.txt").write_text("1,-1,0,0,4,4,1,-1,-1\n")
    (annotations / "M0203_gt_whole.txt").write_text("")
    return images, annotations


def test_uavdt_frames_classes_and_ignored_regions(tmp_path: Path) -> None:
    files = read_uavdt(*uavdt(tmp_path), OURS)
    assert [f"{file.path.parent.name}/{file.path.name}" for file in files.files] == [
        "M0101/img000001.jpg",
        "M0101/img000002.jpg",
        "M0203/img000001.jpg",
        "M0203/img000002.jpg",
    ]
    first, second = files.files[0].truth, files.files[1].truth
    assert first.boxes.tolist() == [[5, 6, 12, 14]]
    assert first.ignored.tolist() == [[0, 0, 4, 4]]
    assert [VISDRONE_CLASSES[label] for label in (*first.labels, *second.labels)] == ["car", "bus"]
    assert known(OURS, first.known) == {"car", "truck", "bus"}
    assert [problem.where.rsplit("/", 1)[1] for problem in files.problems] == ["M0101_gt_whole.txt, line 3"]


def test_uavdt_sequences_can_be_chosen_and_must_exist(tmp_path: Path) -> None:
    images, annotations = uavdt(tmp_path)
    assert len(read_uavdt(images, annotations, OURS, ("M0203",))) == 2
    with pytest.raises(InputError, match="M9999"):
        read_uavdt(images, annotations, OURS, ("M9999",))
    with pytest.raises(InputError, match="GT"):
        read_uavdt(images, images, OURS)


def test_an_alias_must_be_mapped_to_a_class_of_the_network() -> None:
    with pytest.raises(InputError, match="'lorry'"):
        ClassMap(("car", "truck"), (("hgv", "lorry"),))


@pytest.mark.shared_data
def test_aerial_cars(shared_data: Path) -> None:
    folder = shared_data / "aerial_cars_kit_ais"
    classes = ClassMap(VISDRONE_CLASSES, (("minibus", "van"),))
    files = read_coco(folder / "coco.json", folder, classes)
    labels = np.concatenate([file.truth.labels for file in files.files])
    assert np.bincount(labels, minlength=10).tolist() == [0, 0, 0, 2546, 22, 0, 0, 0, 25, 0]
    assert not files.problems
    assert (len(files.matching("MOS*")), len(files.matching("MunichStreet*"))) == (45, 20)
