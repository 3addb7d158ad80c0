"""Classes and their colours."""

from yolc_ros.classes import VISDRONE_CLASSES, class_color


def test_the_ten_classes_of_visdrone_in_their_order():
    assert len(set(VISDRONE_CLASSES)) == 10
    assert VISDRONE_CLASSES[0] == "pedestrian"
    assert VISDRONE_CLASSES[3] == "car"
    assert VISDRONE_CLASSES[9] == "motor"


def test_colours_are_bright_and_differ():
    colours = [class_color(index) for index in range(10)]
    assert colours == [class_color(index) for index in range(10)]
    assert all(max(colour) == 255 for colour in colours)
    for i, a in enumerate(colours):
        for b in colours[i + 1 :]:
            assert sum(abs(x - y) for x, y in zip(a, b, strict=True)) > 40
