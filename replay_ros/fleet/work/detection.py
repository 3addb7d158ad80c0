"""Evaluations of detections: of replayed bags, and of a network on datasets.

The images of a dataset do not depend on each other, so a dataset is cut into shards of images that are predicted apart;
then all of them are scored together, by the function that `yolc evaluate detection` calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from perception_common.atomic_file import make_folder
from perception_common.config import to_mapping
from perception_common.errors import InputError
from replay_ros.evaluation.detection.bags import ArrayOptions, score_bag
from replay_ros.evaluation.detection.cache import join_predictions
from replay_ros.evaluation.detection.datasets import Dataset, dataset_files
from replay_ros.evaluation.detection.evaluate import (
    NetworkOptions,
    detection_run_to_mapping,
    evaluate_network,
    load_detector,
    predict_images,
)
from replay_ros.evaluation.detection.results import DetectionResult
from replay_ros.evaluation.results_file import write_results
from replay_ros.fleet.record import Record, failed
from replay_ros.fleet.run import Fleet
from replay_ros.fleet.task import Findings, Task
from replay_ros.fleet.work.bag_inputs import RESULT_FILES, bag_files, software
from replay_ros.result.compare import Metric, detection_metrics

SHARDS = "shards"  # folder of the predictions
SHARD_IMAGES = 200  # images in a shard, by default: minutes of work, while loading the network takes seconds


@dataclass(frozen=True)
class BagWork:
    """The detections in one replayed bag. topics: of detections and truth. options: one for each protocol."""

    bag: Path
    truth_bag: Path | None
    topics: tuple[str, str]
    options: tuple[ArrayOptions, ...]
    output: Path
    name: str

    def perform(self) -> Findings:
        """Score the bag, and write the file of `yolc evaluate detection --json`."""
        results = [score_bag(self.bag, self.truth_bag, *self.topics, each) for each in self.options]
        return _written(results, self.bag, self.output, self.name)


@dataclass(frozen=True)
class PredictWork:
    """The predictions of some images of a dataset, into the file that the options name."""

    dataset: Dataset
    options: NetworkOptions
    images: tuple[Path, ...]

    def perform(self) -> Findings:
        """Predict the images that are not predicted yet."""
        assert self.options.predictions is not None
        make_folder(self.options.predictions.parent)
        return Findings(frames=predict_images(self.dataset, self.options, set(self.images)))


@dataclass(frozen=True)
class ScoreWork:
    """The scores of a dataset. shards: files of the predictions of its parts."""

    dataset: Dataset
    options: NetworkOptions
    shards: tuple[Path, ...]
    output: Path
    name: str

    def perform(self) -> Findings:
        """Score, and write the file of `yolc evaluate detection --json`."""
        assert self.options.predictions is not None
        join_predictions(self.shards, self.options.predictions)
        results = evaluate_network(self.dataset, self.options)
        return _written(results, self.dataset.path, self.output, self.name)


def plan_bags(
    bags: Mapping[str, Path],
    truth_bag: Path | None,
    topics: tuple[str, str],
    options: tuple[ArrayOptions, ...],
    output: Path,
) -> list[Task]:
    """Return the task of each bag."""
    setup = {"topics": list(topics), "options": [asdict(each) for each in options], **software()}
    truth = bag_files(truth_bag) if truth_bag else ()
    return [
        Task(name, bag, (*bag_files(bag), *truth), BagWork(bag, truth_bag, topics, options, output, name), setup)
        for name, bag in bags.items()
    ]


def run_datasets(
    fleet: Fleet, datasets: Mapping[str, Dataset], images: Path | None, options: NetworkOptions, shard_images: int
) -> list[Record]:
    """Predict the shards of all datasets, then score each dataset; return the records of the datasets.

    images: folder of the images of COCO files; None: that of the file. A dataset with a shard that failed fails.
    """
    weights = load_detector(options).weights_sha256  # also refuses a network that cannot be loaded
    setup = {"options": to_mapping(replace(options, predictions=None)), "weights": weights, **software()}
    shards = {
        name: list(_shards(fleet.output, name, dataset, images, options, shard_images, setup))
        for name, dataset in datasets.items()
    }
    predicted = {record.name: record for record in fleet.run(list(chain.from_iterable(shards.values())))}
    tasks = {
        name: _score_task(fleet.output, name, dataset, options, shards[name], setup)
        for name, dataset in datasets.items()
    }
    faults = {
        name: [predicted[task.name] for task in parts if predicted[task.name].status == "failed"]
        for name, parts in shards.items()
    }
    scored = {record.name: record for record in fleet.run([tasks[name] for name in datasets if not faults[name]])}
    return [
        _with_shards(scored[name], [predicted[part.name] for part in shards[name]])
        if name in scored
        else failed(tasks[name], f"{faults[name][0].name}: {faults[name][0].cause}", faults[name][0].attempts)
        for name in datasets
    ]


def _with_shards(record: Record, shards: Sequence[Record]) -> Record:
    """Return the record of a dataset with the costs of its shards."""
    parts = (record, *shards)
    return replace(
        record,
        attempts=max(part.attempts for part in parts),
        seconds=sum(part.seconds for part in parts),
        cpu_seconds=sum(part.cpu_seconds for part in parts),
        size=sum(part.size for part in shards),
    )


def _shards(
    output: Path,
    name: str,
    dataset: Dataset,
    images: Path | None,
    options: NetworkOptions,
    shard_images: int,
    setup: Mapping[str, Any],
) -> Iterator[Task]:
    labels, pictures = dataset_files(dataset, images)
    parts = [pictures[start : start + shard_images] for start in range(0, len(pictures), shard_images)]
    for number, part in enumerate(parts, 1):
        shard = f"{name}.{number}of{len(parts)}"
        own = replace(options, predictions=output / SHARDS / f"{shard}.npz")
        yield Task(shard, dataset.path, (*labels, *part), PredictWork(dataset, own, part), setup)


def _score_task(
    output: Path,
    name: str,
    dataset: Dataset,
    options: NetworkOptions,
    shards: Sequence[Task],
    setup: Mapping[str, Any],
) -> Task:
    files = tuple(output / SHARDS / f"{shard.name}.npz" for shard in shards)
    whole = replace(options, predictions=output / SHARDS / f"{name}.npz")
    labels = (dataset.path,) if dataset.path.is_file() else ()
    return Task(name, dataset.path, (*labels, *files), ScoreWork(dataset, whole, files, output, name), setup)


def _written(results: Sequence[DetectionResult], truth: Path, output: Path, name: str) -> Findings:
    """Write results on the same truth. Raises InputError where nothing could be compared."""
    if not any(each.images for each in results):
        raise InputError(f"{truth}: no image has both truth and detections; {results[0].notes[0]}")
    path = output / RESULT_FILES / f"{name}.json"
    make_folder(path.parent)
    write_results(path, truth, [detection_run_to_mapping(each) for each in results])
    metrics = tuple(metric for result in results for metric in _metrics_of(result, len(results) > 1))
    return Findings(results[0].images, metrics, files={"result": str(path.relative_to(output))})


def _metrics_of(result: DetectionResult, is_one_of_several: bool) -> Iterator[Metric]:
    for metric in detection_metrics(result):
        yield replace(metric, name=f"{metric.name}, {result.look}") if is_one_of_several else metric
    if result.seconds_per_image is not None:
        name = f"inference, {result.look}" if is_one_of_several else "inference"
        yield Metric(name, "s", result.seconds_per_image, "low")
