"""Cross-checks of a COCO file: what does not belong together is left out and named, the same for both readers."""

import json

import cv2
import numpy as np
import pytest

from perception_common.errors import InputError
from replay_ros.evaluation.detection.truth import ClassChoice, read_coco_truth
from yolc_ros.datasets.coco import read_coco, read_coco_file
from yolc_ros.datasets.samples import ClassMap

BOX = [4, 5, 10, 8]
CAR = ClassChoice(("car",), {"car": 0}, {"car": 0})


def annotation(number, **changes):
    return {"id": number, "image_id": 1, "category_id": 3, "bbox": BOX} | changes


def write(folder, annotations, encoding="utf-8", **changes):
    cv2.imwrite(str(folder / "a.png"), np.zeros((30, 40, 3), np.uint8))
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "categories": [{"id": 3, "name": "car"}],
        "annotations": annotations,
    }
    path = folder / "coco.json"
    path.write_text(json.dumps(content | changes), encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (annotation(9, image_id=7), "is of image '7', which is not listed"),
        (annotation(9, image_id="1"), "is of image '1', which is not listed (1 is: write both as numbers)"),
        (annotation(9, category_id=8), "is of category '8', which is not listed"),
        (annotation(9, image_id=[1]), "is broken"),
        (annotation(9, bbox=[1, 1, 0, 12]), "a box without area"),
        (annotation(9, bbox=[1, 1, 10**400, 12]), "not finite"),
        (annotation(9, bbox=[1, 1, 1e30, 12]), "beyond"),
        (annotation(9, bbox=[-500, -400, 40, 30]), "a box outside the image of 40x30"),
        (annotation(9, bbox=[1, 2, 3, 4, 5]), "is broken"),
        (annotation(9, bbox="1234"), "no bbox of four numbers"),
        (annotation(9, bbox=None), "no bbox of four numbers"),
        (annotation(9, iscrowd="maybe"), "'maybe' is neither 0 nor 1"),
        ({"id": 9}, "is broken"),
        ("nothing", "is broken"),
    ],
)
def test_one_broken_annotation_is_named_and_the_others_are_used(tmp_path, broken, words):
    path = write(tmp_path, [annotation(1), broken])
    for problems, boxes in (
        (read_coco(path, tmp_path, ClassMap(("car",))).problems, read_coco(path, tmp_path, ClassMap(("car",))).files),
        (read_coco_truth(path, tmp_path, CAR).problems, read_coco_truth(path, tmp_path, CAR).images),
    ):
        (problem,) = problems
        assert words in problem.what
        assert boxes[0].truth.boxes.tolist() == [[4, 5, 14, 13]]
    if isinstance(broken, dict):
        assert problem.where == f"{path}, annotation 9"


def test_images_and_files_that_are_listed_twice_count_once(tmp_path):
    image = {"id": 1, "file_name": "a.png"}
    path = write(tmp_path, [annotation(1), annotation(2, image_id=2)], images=[image, image, image | {"id": 2}])
    content = read_coco_file(path, tmp_path)
    assert [len(each.boxes) for each in content.images] == [1]
    assert ["twice" in content.problems[0].what, "of image 1" in content.problems[1].what] == [True, True]
    assert "is of image '2'" in content.problems[2].what


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "/etc/passwd", "..\\..\\etc\\passwd", "", ".", "a\0b", 5, "\ud800"]
)
def test_file_names_stay_below_the_folder(tmp_path, name):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": name}]
    content = read_coco_file(write(tmp_path, [annotation(1)], images=images), tmp_path)
    assert [image.path.name for image in content.images] == ["a.png"]
    assert content.problems[0].where.endswith("image 2")
    str(content.problems[0]).encode()  # can be printed


def test_backslashes_and_a_byte_order_mark_are_understood(tmp_path):
    (tmp_path / "sub").mkdir()
    path = write(tmp_path, [annotation(1)], "utf-8-sig", images=[{"id": 1, "file_name": "sub\\b.png"}])
    cv2.imwrite(str(tmp_path / "sub" / "b.png"), np.zeros((30, 40, 3), np.uint8))
    assert len(read_coco_truth(path, tmp_path, CAR).images) == 1
    path.write_bytes(json.dumps({}).encode("utf-16"))
    with pytest.raises(InputError, match="UTF-16; save it as UTF-8"):
        read_coco_file(path, tmp_path)


def test_a_picture_of_another_size_is_left_out(tmp_path):
    images = [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}]
    images.append({"id": 2, "file_name": "b.png", "width": 80, "height": 60})
    cv2.imwrite(str(tmp_path / "b.png"), np.ones((30, 40, 3), np.uint8))
    path = write(tmp_path, [annotation(1), annotation(2, image_id=2)], images=images)
    labelled = read_coco_truth(path, tmp_path, CAR)
    assert [image.path.name for image in labelled.images] == ["a.png"]
    assert "has 40x30 pixels, its labels are for 80x60; left out with its 1 boxes" in labelled.notes[0]
    with pytest.raises(InputError, match="its labels are for 80x60"):
        read_coco(path, tmp_path, ClassMap(("car",))).load(1)
    alone = write(tmp_path, [annotation(2, image_id=2)], images=images[1:])
    with pytest.raises(InputError, match=r"none of 1 images can be used.*80x60"):
        read_coco_truth(alone, tmp_path, CAR)


def test_a_file_that_is_no_picture_is_left_out_without_decoding_the_others(tmp_path, monkeypatch):
    images = [{"id": number, "file_name": name} for number, name in enumerate(("a.png", "b.png", "c.png"), 1)]
    (tmp_path / "b.png").write_text("no picture")
    path = write(tmp_path, [annotation(number, image_id=number) for number in (1, 2, 3)], images=images)
    monkeypatch.delattr(cv2, "imdecode")
    labelled = read_coco_truth(path, tmp_path, CAR)
    assert [image.path.name for image in labelled.images] == ["a.png"]
    assert "b.png: is not an image" in labelled.notes[0]
    assert [problem.what.split(";")[0] for problem in labelled.problems][1].startswith("is missing")


def test_images_without_boxes_and_unlisted_pictures_are_told(tmp_path):
    cv2.imwrite(str(tmp_path / "other.png"), np.zeros((30, 40, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((30, 40, 3), np.uint8))
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    labelled = read_coco_truth(write(tmp_path, [annotation(1)], images=images), tmp_path, CAR)
    assert labelled.notes == (
        "1 of 2 images have no boxes (b.png)",
        "1 pictures beside the images are not in the file (other.png)",
    )


@pytest.mark.parametrize("changes", [{"image_id": "1"}, {"category_id": 99}, {"bbox": [0, 0, 0, 0]}])
def test_a_file_without_a_usable_annotation_is_refused_with_the_cause(tmp_path, changes):
    path = write(tmp_path, [annotation(number, **changes) for number in range(3)])
    with pytest.raises(InputError, match=r"none of its 3 annotations can be used; .*annotation 0: "):
        read_coco_file(path, tmp_path)


@pytest.mark.parametrize(("mark", "expected"), [("0", False), ("1", True), (0, False), (1, True), (None, False)])
def test_a_crowd_may_be_marked_in_text(tmp_path, mark, expected):
    (image,) = read_coco_file(write(tmp_path, [annotation(1, iscrowd=mark)]), tmp_path).images
    assert image.boxes[0].is_crowd == expected
