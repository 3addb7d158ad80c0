"""Live replay: a bag through the nodes over DDS on simulated time, with the latencies and drops of a vehicle."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from loftr_ros.parameters import LoftrParameters
from loftr_ros.sensors.topics import DETECTIONS as DETECTIONS_SENSOR
from loftr_ros.sensors.topics import sensor_topics
from perception_common.errors import InputError
from perception_common.node.parameter_file import read_parameters
from perception_common.node.runner import starting_ros
from perception_common.resources import choose_weights
from perception_common.sensors.topics import SensorTopic
from perception_common.weights import file_sha256
from replay_ros.bags.node_inputs import find_sensors
from replay_ros.bags.reader import Bag, absolute, open_bag
from replay_ros.bags.topic_choice import COMPRESSED_IMAGE, calibration_warnings
from replay_ros.bags.writer import BagWriter
from replay_ros.inputs import find_camera_topics
from replay_ros.live.nodes import NodeLaunch, NodeTopics, node_arguments, running_nodes
from replay_ros.live.peak import find_peak_rate
from replay_ros.live.player import INTERRUPTED, LivePlayer, Pace
from replay_ros.live.refusals import find_refusals
from replay_ros.outputs import DETECTIONS, NODES, STATUS
from replay_ros.result.image_stamps import summarise_stamps
from replay_ros.result.peak_rate import PeakRate, PeakSearch
from replay_ros.result.provenance import provenance
from replay_ros.result.replay_result import ReplayResult
from replay_ros.result.resources import sampling
from replay_ros.result.timing import Timing
from yolc_ros.georeference.georeferencer import check_georeferencing
from yolc_ros.parameters import YolcParameters

FLUSH_SECONDS = 1.0  # how much of a live replay is lost at most when its process is killed


@dataclass(frozen=True)
class LiveOptions:
    """What is replayed and how.

    pace: "lockstep" sends the next image when the last one is answered; "rate" plays at `rate` times the bag's speed.
    start_nodes: False: nodes that run already are used. params_file: parameters of the nodes; extra: further
    command-line arguments for them. node_log: file for what the nodes print; None: our own output. peak: after the
    replay, search the highest rate that the nodes keep up with.
    """

    bag: Path
    out: Path
    pace: Literal["lockstep", "rate"] = "lockstep"
    rate: float = 1.0
    image_topic: str | None = None
    camera_info_topic: str | None = None
    namespace: str = ""
    detection: bool = True
    matching: bool = True
    start_nodes: bool = True
    params_file: Path | None = None
    extra: tuple[str, ...] = ()
    node_log: Path | None = None
    start_timeout: float = 120.0
    answer_timeout: float = 60.0
    limit: int | None = None
    storage: str = "mcap"
    force: bool = False
    peak: PeakSearch | None = None

    @property
    def awaited(self) -> tuple[str, ...]:
        """The topics on which every image gets one answer."""
        return (DETECTIONS,) * self.detection + (STATUS,) * self.matching


def replay_live(options: LiveOptions) -> ReplayResult:
    """Replay a bag through the nodes.

    When the nodes end or fall silent, and at Ctrl-C, the answers so far are kept and `stopped` of the result says why.
    Raises InputError when the bag cannot be used, and when there is no answer at all.
    """
    if not options.awaited:
        raise InputError("nothing to do: both detection and matching are switched off")
    with open_bag(options.bag) as bag:
        topics = _topics(options, bag)
        warnings: tuple[str, ...] = ()
        if options.matching:
            is_named = options.camera_info_topic is not None
            warnings = calibration_warnings(bag, topics.image, topics.camera_info, is_named=is_named)
        launch = _launch(options, topics)
        pace = Pace(
            options.rate if options.pace == "rate" else None,
            options.start_timeout,
            options.answer_timeout,
            options.limit,
        )
        with (
            _ros_node(options.namespace) as node,
            BagWriter(options.out, options.storage, force=options.force, flush_seconds=FLUSH_SECONDS) as writer,
        ):
            with running_nodes(launch) as nodes:
                with sampling() as sampler:
                    player = LivePlayer(pace, options.awaited, bag, topics, node, writer, nodes)
                    seconds = player.run()
                peak = _search_peak(player, options.peak)
            timing = Timing(stages=player.log.stages(), resources=sampler.use(), peak=peak)
            return _result(options, player, seconds, timing, warnings)


def _result(
    options: LiveOptions, player: LivePlayer, seconds: float, timing: Timing, warnings: tuple[str, ...]
) -> ReplayResult:
    log, diagnoses = player.log, player.diagnoses
    if player.stopped != INTERRUPTED:
        find_refusals(player.bag, player.topics.image, log)
    weights, configuration = _weights_and_configuration(options)
    without_camera = diagnoses.problems_with("camera_info") if player.pairs_without_camera else []
    return ReplayResult(
        kind="live",
        out=str(options.out),
        image_topic=player.topics.image,
        frames=len(log),
        seconds=seconds,
        topics=player.counts,
        answers=log.answers({topic: diagnoses.why_missed(NODES[topic], len(log)) for topic in log.awaited}),
        timing=timing,
        provenance=provenance(options.bag, weights, configuration),
        nodes=diagnoses.values,
        stamps=summarise_stamps([each.stamp_ns for each in log.frames], [each.received_ns for each in log.frames]),
        pairs_without_camera=player.pairs_without_camera,
        without_camera=dict.fromkeys(without_camera, 1),
        left_out=player.undecoded.counts,
        losses=player.bag.losses,
        stopped=player.stopped,
        warnings=warnings,
    )


def _search_peak(player: LivePlayer, search: PeakSearch | None) -> PeakRate | None:
    """Search the peak rate; when that is broken off, the replay keeps its answers."""
    if search is None or player.stopped:
        return None
    try:
        return find_peak_rate(player, search)
    except (InputError, KeyboardInterrupt, SystemExit) as error:
        player.stop(error)
        return None


@contextmanager
def _ros_node(namespace: str) -> Iterator[Node]:
    handlers = SignalHandlerOptions.NO  # so that Ctrl-C raises KeyboardInterrupt in `LivePlayer.run`
    try:
        with starting_ros(signal_handler_options=handlers) as notes:
            node = rclpy.create_node("replay", namespace=namespace)
        for note in notes:
            print(f"replay: {note}", file=sys.stderr)
        try:
            yield node
        finally:
            node.destroy_node()
    finally:
        rclpy.try_shutdown()


def _topics(options: LiveOptions, bag: Bag) -> NodeTopics:
    image, camera_info = find_camera_topics(bag, options.image_topic, options.camera_info_topic)
    sensors: dict[str, SensorTopic] = {}

    def resolve(name: str) -> str:
        return absolute(f"{options.namespace.strip('/')}/{name}".lstrip("/"))

    if options.matching and options.start_nodes:  # running nodes were remapped by those who started them
        parameters = read_parameters(options.params_file, "loftr_node", LoftrParameters, namespace=options.namespace)
        found = find_sensors(bag, sensor_topics(parameters), resolve)
        sensors = {topic: sensor for topic, sensor in found.items() if sensor is not DETECTIONS_SENSOR}
    if options.detection and options.start_nodes:
        yolc = read_parameters(options.params_file, "yolc_node", YolcParameters, namespace=options.namespace)
        if yolc.georeference:
            check_georeferencing(yolc.places)
        sensors |= find_sensors(bag, yolc.topics, resolve)
    return NodeTopics(
        image,
        bag.topic(image).type == COMPRESSED_IMAGE,
        camera_info,
        sensors,
    )


def _launch(options: LiveOptions, topics: NodeTopics) -> NodeLaunch | None:
    if not options.start_nodes:
        return None
    executable = (
        "perception" if options.detection and options.matching else ("yolc_node" if options.detection else "loftr_node")
    )
    arguments = node_arguments(topics, options.params_file, options.namespace, options.pace == "lockstep")
    return NodeLaunch(executable, (*arguments, *options.extra), options.node_log)


def _weights_and_configuration(options: LiveOptions) -> tuple[dict[str, str], dict[str, Any]]:
    """SHA-256 of the weights by model, and the parameters of the nodes; both empty for nodes that ran already."""
    kinds: dict[str, Any] = {"yolc_node": YolcParameters} if options.detection else {}
    kinds |= {"loftr_node": LoftrParameters} if options.matching else {}
    if not options.start_nodes:
        return {}, {}
    parameters = {
        name: read_parameters(options.params_file, name, kind, namespace=options.namespace)
        for name, kind in kinds.items()
    }
    files = {given.model: choose_weights(given.model, given.weights) for given in parameters.values()}
    weights = {model: "" if file is None else file_sha256(file) for model, file in files.items()}
    return weights, {name: asdict(given) for name, given in parameters.items()}
