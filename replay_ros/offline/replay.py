"""Offline replay: a bag through the networks and the front end, every image in order, as fast as the machine allows.

Two runs over the same input, weights and configuration write the same bytes: durations in messages are 0 in the output
bag and stand in the result. A broken run continues where it stopped: the results of the networks are kept in a folder
beside the output until the bag is complete.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from perception_common.errors import InputError
from replay_ros.bags.reader import open_bag
from replay_ros.bags.topic_choice import calibration_warnings
from replay_ros.bags.writer import BagWriter
from replay_ros.inputs import find_camera_topics
from replay_ros.offline.bag_pass import BagPass
from replay_ros.offline.networks import load_networks
from replay_ros.offline.result_cache import run_cache
from replay_ros.result.image_stamps import summarise_stamps
from replay_ros.result.provenance import Provenance, hash_of_values, provenance
from replay_ros.result.replay_result import ReplayResult
from replay_ros.result.resources import sampling
from replay_ros.result.timing import Timing


@dataclass(frozen=True)
class OfflineOptions:
    """What is replayed and how. params_file: of the nodes. namespace: of the output topics. limit: images at most."""

    bag: Path
    out: Path
    params_file: Path | None = None
    image_topic: str | None = None
    camera_info_topic: str | None = None
    namespace: str = ""
    detection: bool = True
    matching: bool = True
    limit: int | None = None
    storage: str = "mcap"
    force: bool = False


def replay_offline(options: OfflineOptions) -> ReplayResult:
    """Replay a bag without nodes. Raises InputError when the bag or the configuration cannot be used."""
    if not (options.detection or options.matching):
        raise InputError("nothing to do: both detection and matching are switched off")
    start = time.monotonic()
    with open_bag(options.bag) as bag, sampling() as sampler:
        image_topic, info_topic = find_camera_topics(bag, options.image_topic, options.camera_info_topic)
        is_named = options.camera_info_topic is not None
        warnings = calibration_warnings(bag, image_topic, info_topic, is_named=is_named) if options.matching else ()
        networks = load_networks(
            options.params_file,
            detection=options.detection,
            matching=options.matching,
            namespace=options.namespace,
        )
        origin = provenance(options.bag, networks.weights, networks.configuration)
        with (
            run_cache(options.out, _identity(origin, image_topic)) as cache,
            BagWriter(options.out, options.storage, force=options.force) as writer,
        ):
            run = BagPass(
                bag=bag,
                image_topic=image_topic,
                info_topic=info_topic,
                namespace=options.namespace,
                limit=options.limit,
                networks=networks,
                cache=cache,
                writer=writer,
            )
            run.play()
        return ReplayResult(
            kind="offline",
            out=str(options.out),
            image_topic=image_topic,
            frames=len(run.images),
            seconds=time.monotonic() - start,
            topics=run.topics,
            answers=run.answers(),
            timing=Timing(stages=run.stages(), resources=sampler.use()),
            provenance=origin,
            stamps=summarise_stamps([each.stamp_ns for each in run.images], [each.received_ns for each in run.images]),
            pairs_without_camera=run.pairs_without_camera,
            without_camera=run.without_camera,
            left_out=run.undecoded.counts,
            losses=bag.losses,
            warnings=warnings,
        )


def _identity(origin: Provenance, image_topic: str) -> str:
    """Hash everything that the results of the networks depend on."""
    return hash_of_values(
        [origin.input_sha256, image_topic, origin.weights, origin.configuration_sha256, origin.versions]
    )
