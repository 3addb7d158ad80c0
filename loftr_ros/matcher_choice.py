"""Which matcher a model name means: SIFT, or a LoFTR variant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loftr_ros import sift_matcher
from loftr_ros.image_matcher import DEFAULT_SETTINGS, ImageMatcher, MatcherSettings
from loftr_ros.matcher import Matcher
from loftr_ros.sift_matcher import SiftMatcher
from perception_common.backends.devices import DevicePolicy
from perception_common.errors import InputError


def load_matcher(
    model: str,
    weights: Path | str | None,
    policy: DevicePolicy,
    settings: MatcherSettings = DEFAULT_SETTINGS,
    *,
    sha256: str | None = None,
) -> ImageMatcher[Any]:
    """Return the matcher of a model: "sift", or a variant of LoFTR in config/models, as "loftr_lite".

    weights, sha256: see `Matcher.load`; SIFT has none. SIFT runs on the CPU whatever the policy says. Raises InputError
    for an unknown model and for weights that cannot be used.
    """
    if model != sift_matcher.NAME:
        return Matcher.load(model, weights, policy, settings, sha256=sha256)
    if weights not in (None, "none", "default") or sha256:
        raise InputError(f"model {model} has no weights: leave weights at 'default' and weights_sha256 empty")
    return SiftMatcher(settings)
