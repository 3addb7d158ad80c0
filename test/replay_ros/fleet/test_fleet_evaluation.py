"""`fleet evaluate` finds what the single commands find: bags one by one, datasets in shards."""

import json
import sys

import cv2
import numpy as np
import pytest

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.flight_path import FlightPathOptions
from perception_common.errors import InputError
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.commands import fleet
from replay_ros.commands.evaluate import detection, motion
from replay_ros.fleet.engines.engine import Ended
from replay_ros.fleet.perform import perform
from replay_ros.fleet.record import read_records
from replay_ros.offline.replay import OfflineOptions, replay_offline
from yolc_ros.adaptive import AdaptiveDetector
from yolc_ros.detector import Detections

pytestmark = pytest.mark.slow
PARAMETERS = """
/**/yolc_node: {ros__parameters: {max_side: 192}}
/**/loftr_node: {ros__parameters: {model: sift, max_side: 256}}
"""
IMAGES = 7


class Here:
    """An engine that performs the tasks in this process. performed: names, in order."""

    performed: tuple[str, ...] = ()

    def __init__(self, output, resources, workers):
        self.output, self.resources, self.tasks = output, resources, []

    def submit(self, task, attempt):
        self.tasks.append((task, attempt))

    def next_ended(self):
        task, attempt = self.tasks.pop(0)
        Here.performed += (task.name,)
        return Ended(task, perform(task, self.output, self.resources, attempt))

    def close(self):
        pass


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setattr(fleet, "LocalEngine", Here)
    monkeypatch.setattr(Here, "performed", ())


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """A folder with two replayed flights, which hold their ground truth."""
    folder = tmp_path_factory.mktemp("answers")
    (folder / "parameters.yaml").write_text(PARAMETERS)
    flight = FlightOptions(
        path=FlightPathOptions(kind="survey", duration_s=2.0, altitude_m=30.0, pitch_deg=-80.0),
        camera=CameraOptions(width=256, height=192),
        frame_rate_hz=1.0,
    )
    for seed in (1, 2):
        write_flight(FlightBagOptions(folder / "in" / f"flight_{seed}", seed=seed, flight=flight))
        options = OfflineOptions(
            folder / "in" / f"flight_{seed}", folder / "out" / f"flight_{seed}", folder / "parameters.yaml"
        )
        replay_offline(options)
    return folder / "out"


@pytest.fixture
def dataset(tmp_path, detect_with):
    """Gray images, each with one car, which a detector finds the better the brighter the image is."""
    for number in range(IMAGES):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((96, 128, 3), 30 * number, np.uint8))
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(IMAGES)]
    cars = [{"id": k, "image_id": k, "category_id": 4, "bbox": [10, 20, 30, 15], "area": 450} for k in range(IMAGES)]
    content = {"images": images, "annotations": cars, "categories": [{"id": 4, "name": "car"}]}
    (tmp_path / "cars.json").write_text(json.dumps(content))

    def detect(self, image):
        brightness = int(image.mean())
        boxes = np.array([[10 + 18 - brightness / 10, 20, 40 + 18 - brightness / 10, 35]], np.float32)
        label = np.array([self.class_names.index("car")])
        scores = np.array([0.5 + brightness / 500], np.float32)
        return Detections(boxes, scores, label, np.full(1, -1), (), self.class_names)

    detect_with(detect)
    return tmp_path / "cars.json"


def untimed(path):
    """The runs of a result without their times, and without the note that names the file of predictions."""
    left_out = ("seconds_per_image", "notes")
    return [
        {key: value for key, value in run.items() if key not in left_out}
        for run in json.loads(path.read_text())["runs"]
    ]


def test_the_motion_in_bags(answers, tmp_path):
    assert fleet.main(["evaluate", "motion", str(answers), "--output", str(tmp_path / "fleet")]) == 0
    records = read_records(tmp_path / "fleet")
    assert [record.name for record in records] == ["flight_1", "flight_2"]
    for record in records:
        assert motion.main([str(answers / record.name), "--json", str(tmp_path / "single.json")]) == 0
        assert (tmp_path / "fleet" / record.files["result"]).read_bytes() == (tmp_path / "single.json").read_bytes()
        assert {metric.name for metric in record.metrics} >= {"poses under 5 degrees"}


def test_the_detections_in_bags(answers, tmp_path):
    words = ["--dataset", "bag", "--protocol", "coco"]
    assert fleet.main(["evaluate", "detection", str(answers), "--output", str(tmp_path / "fleet"), *words]) == 0
    for record in read_records(tmp_path / "fleet"):
        assert detection.main([str(answers / record.name), "--json", str(tmp_path / "single.json"), *words]) == 0
        assert (tmp_path / "fleet" / record.files["result"]).read_bytes() == (tmp_path / "single.json").read_bytes()


def test_a_dataset_in_shards_has_the_scores_of_the_whole(dataset, tmp_path):
    words = ["--lsm", "off", "--protocol", "coco", "--protocol", "coco-500"]
    output = ["--output", str(tmp_path / "fleet"), "--shard-images", "3"]
    assert fleet.main(["evaluate", "detection", str(dataset), *output, *words]) == 0
    assert sorted(Here.performed[:-1]) == ["cars.1of3", "cars.2of3", "cars.3of3"]
    assert Here.performed[-1] == "cars"
    assert detection.main([str(dataset), "--json", str(tmp_path / "single.json"), *words]) == 0
    (record,) = read_records(tmp_path / "fleet")
    result = tmp_path / "fleet" / record.files["result"]
    assert untimed(result) == untimed(tmp_path / "single.json")
    assert 0 < json.loads(result.read_text())["runs"][0]["ap50"] < 1
    Here.performed = ()
    assert fleet.main(["evaluate", "detection", str(dataset), *output, *words]) == 0
    assert Here.performed == ()


def test_a_changed_image_is_predicted_again_with_its_shard(dataset, tmp_path):
    words = ["evaluate", "detection", str(dataset), "--output", str(tmp_path / "fleet"), "--shard-images", "3"]
    assert fleet.main(words) == 0
    cv2.imwrite(str(tmp_path / "4.png"), np.full((96, 128, 3), 255, np.uint8))
    Here.performed = ()
    assert fleet.main(words) == 0
    assert Here.performed == ("cars.2of3", "cars")


def test_a_dataset_fails_with_its_shard_and_the_others_do_not(dataset, tmp_path, monkeypatch, capsys):
    other = tmp_path / "others.json"
    content = json.loads(dataset.read_text())
    other.write_text(json.dumps(content | {"images": content["images"][:3], "annotations": content["annotations"][:3]}))
    detect = AdaptiveDetector.detect

    def breaks(self, image, *given, **named):
        if image.mean() > 150:
            raise RuntimeError("too bright")
        return detect(self, image, *given, **named)

    monkeypatch.setattr(AdaptiveDetector, "detect", breaks)
    words = ["evaluate", "detection", str(dataset), str(other), "--output", str(tmp_path / "fleet")]
    assert fleet.main([*words, "--shard-images", "3"]) == 3
    assert [(record.name, record.status) for record in read_records(tmp_path / "fleet")] == [
        ("cars", "failed"),
        ("others", "done"),
    ]
    assert "cars.3of3: RuntimeError: too bright (traceback in logs/cars.3of3.log)" in capsys.readouterr().err
    assert "in breaks" in (tmp_path / "fleet" / "logs" / "cars.3of3.log").read_text()


def test_ray_that_is_not_installed_is_named_with_its_remedy(answers, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"--ray needs Ray: pip install"):
        fleet.main(["evaluate", "motion", str(answers), "--output", str(tmp_path / "fleet"), "--ray", "local"])


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_a_cluster_that_is_not_there_is_named(answers, tmp_path, address):
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=rf"no Ray cluster at '{address}'"):
        fleet.main(["evaluate", "motion", str(answers), "--output", str(tmp_path / "fleet"), "--ray", address])


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["--gpus", "1"], "add --ray"),
        (["--memory-mb", "100"], "add --ray"),
        (["--workers", "0"], "at least 1"),
        (["--workers", "2", "--ray", "10.0.0.1:6379"], "for this machine"),
        (["--retries", "-1"], "must not be negative"),
        (["--limit", "0"], "at least 1"),
        (["--params-file", "gone.yaml"], "gone.yaml"),
    ],
)
def test_options_that_do_not_fit_are_refused(answers, tmp_path, words, cause):
    with pytest.raises(InputError, match=cause):
        fleet.main(["replay", str(answers), "--output", str(tmp_path / "fleet"), *words])
