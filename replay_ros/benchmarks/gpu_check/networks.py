"""The networks of the check on a device."""

from __future__ import annotations

from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matcher import Matcher
from perception_common.backends.devices import DevicePolicy, choose_device
from replay_ros.benchmarks.gpu_check.plan import GpuCheckPlan
from yolc_ros.detector import Detector, DetectorSettings


def matcher_on(model: str, policy: DevicePolicy) -> Matcher:
    """Load a matcher for images of any size."""
    return Matcher.load(model, "default", policy, MatcherSettings(max_side=0))


def detector_on(model: str, policy: DevicePolicy) -> Detector:
    """Load a detector with the first look alone; low scores, so that random weights find something too."""
    return Detector.load(model, "default", policy, DetectorSettings(score_threshold=0.01, lsm=None, nms_iou=None))


def policies(device: str) -> dict[str, DevicePolicy]:
    """Return how the networks are computed on a device, by name; those with graphs on a GPU only."""
    chosen = {
        f"{precision}{', graphs' if graphs else ''}": choose_device(device, precision, cuda_graphs=graphs)
        for precision in ("fp32", "auto")
        for graphs in (False, True)
    }
    return {name: policy for name, policy in chosen.items() if policy.cuda_graphs or "graphs" not in name}


def models(plan: GpuCheckPlan) -> str:
    """Name the networks of a plan."""
    return ", ".join((*plan.matchers, *plan.detectors))
