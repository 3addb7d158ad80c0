"""The networks of both nodes, as their parameters say: what the offline replay runs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loftr_ros.matcher import Matcher
from loftr_ros.parameters import LoftrParameters
from perception_common.backends.devices import choose_device
from perception_common.node.parameter_file import read_parameters
from yolc_ros.detector import Detector
from yolc_ros.parameters import YolcParameters


@dataclass(frozen=True)
class Networks:
    """The networks and the parameters of their nodes. detector, matcher: None where it is switched off."""

    detector: Detector | None
    matcher: Matcher | None
    yolc: YolcParameters
    loftr: LoftrParameters

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of the weights by model; "" for random ones."""
        parts: list[Detector | Matcher] = [part for part in (self.detector, self.matcher) if part is not None]
        return {part.name: part.weights.sha256 if part.weights else "" for part in parts}

    @property
    def configuration(self) -> dict[str, Any]:
        """The parameters of the nodes that are not switched off, as plain values."""
        parts = ((self.detector, self.yolc), (self.matcher, self.loftr))
        names = ("yolc_node", "loftr_node")
        return {n: dataclasses.asdict(p) for n, (core, p) in zip(names, parts, strict=True) if core is not None}


def load_networks(params_file: Path | None, detection: bool, matching: bool) -> Networks:
    """Load what the nodes would load with these parameters. Raises InputError for what cannot be used."""
    yolc = read_parameters(params_file, "yolc_node", YolcParameters)
    loftr = read_parameters(params_file, "loftr_node", LoftrParameters)
    detector: Detector | None = None
    matcher: Matcher | None = None
    if detection:
        policy, sha256 = choose_device(yolc.device, yolc.precision), yolc.weights_sha256 or None
        detector = Detector.load(yolc.model, yolc.weights, policy, yolc.detector, sha256=sha256)
    if matching:
        policy, sha256 = choose_device(loftr.device, loftr.precision), loftr.weights_sha256 or None
        matcher = Matcher.load(loftr.model, loftr.weights, policy, loftr.matcher, sha256=sha256)
    return Networks(detector, matcher, yolc, loftr)
