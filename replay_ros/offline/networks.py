"""The detector and the matcher of both nodes, loaded as their parameters say, without the nodes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loftr_ros.image_matcher import ImageMatcher
from loftr_ros.matcher_choice import load_matcher
from loftr_ros.parameters import LoftrParameters
from perception_common.backends.devices import DevicePolicy, choose_device
from perception_common.node.parameter_file import read_parameters
from perception_common.node.parameters import PerceptionParameters
from yolc_ros.detector import Detector
from yolc_ros.georeference.georeferencer import check_georeferencing
from yolc_ros.parameters import YolcParameters


@dataclass(frozen=True)
class Networks:
    """The networks and the parameters of their nodes. detector, matcher: None where it is switched off."""

    detector: Detector | None
    matcher: ImageMatcher[Any] | None
    yolc: YolcParameters
    loftr: LoftrParameters

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of the weights by model; "" for random weights and for models without any."""
        detector = {} if self.detector is None else {self.detector.name: self.detector.weights_sha256}
        matcher = {} if self.matcher is None else {self.matcher.name: self.matcher.weights_sha256}
        return detector | matcher

    @property
    def configuration(self) -> dict[str, Any]:
        """The parameters of the nodes that are not switched off, as plain values."""
        detection = {} if self.detector is None else {"yolc_node": dataclasses.asdict(self.yolc)}
        matching = {} if self.matcher is None else {"loftr_node": dataclasses.asdict(self.loftr)}
        return detection | matching


def load_networks(params_file: Path | None, *, detection: bool, matching: bool, namespace: str = "") -> Networks:
    """Load what the nodes of a namespace would load with these parameters. Raises InputError for what is unusable."""
    yolc = read_parameters(params_file, "yolc_node", YolcParameters, namespace=namespace)
    loftr = read_parameters(params_file, "loftr_node", LoftrParameters, namespace=namespace)
    detector: Detector | None = None
    matcher: ImageMatcher[Any] | None = None
    if detection and yolc.georeference:
        check_georeferencing(yolc.places)
    if detection:
        policy, sha256 = _policy(yolc), yolc.weights_sha256 or None
        detector = Detector.load(yolc.model, yolc.weights, policy, yolc.detector, sha256=sha256)
    if matching:
        policy, sha256 = _policy(loftr), loftr.weights_sha256 or None
        matcher = load_matcher(loftr.model, loftr.weights, policy, loftr.matcher, sha256=sha256)
    return Networks(detector, matcher, yolc, loftr)


def _policy(given: PerceptionParameters) -> DevicePolicy:
    return choose_device(given.device, given.precision, given.backend, given.providers, cuda_graphs=given.cuda_graphs)
