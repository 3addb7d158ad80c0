"""A detector that chooses its looks: the scale of the first one, and the regions that fit into a budget of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from yolc_ros.boxes import ScoredBoxes
from yolc_ros.clusters import LsmConfig
from yolc_ros.detector import Detections, Detector, FirstLook
from yolc_ros.looks.bands import Band, GroundView, band_pixels, ground_bands, whole
from yolc_ros.looks.budget import (
    PLANNED,
    Costs,
    LeftOut,
    affordable_regions,
    affordable_share,
    input_pixels,
    reduced,
)
from yolc_ros.looks.crowds import CrowdConfig
from yolc_ros.looks.detail import useful_zoom
from yolc_ros.looks.search import ScaleState, SearchConfig, follow, largest_scale, search
from yolc_ros.network.config import ObjectSizes
from yolc_ros.preprocessing import limiting_scale

MEASURED_SIZES = ((480, 640), (240, 320), (120, 160))  # height, width: small inputs cost more per pixel
ScaleMode = Literal["fixed", "reduce", "auto", "ground"]
# "reduce": power of the scale that the rating has to outgrow, and what a smaller look has to be worth over the fixed
# one (both empirical, docs/training_history.md#a-scale-that-is-only-reduced)
REDUCTION_COST_POWER, REDUCTION_GAIN = 0.5, 1.25
SEARCH_WITHIN_BUDGET = 40  # images from one search to the next at the earliest: fewer than 5 % exceed a budget


@dataclass(frozen=True)
class LookState:
    """What an image leaves for the next one. scale: of `auto`. costs: measured looks. left_out: of this image."""

    scale: ScaleState = field(default_factory=ScaleState)
    costs: Costs = field(default_factory=Costs)
    left_out: LeftOut = field(default_factory=LeftOut)


@dataclass(frozen=True)
class LookSettings:
    """How a detector chooses its looks.

    mode: "fixed": the whole image, reduced to max_side. "reduce": that, or a smaller scale that shows clearly more.
    "auto": the scale at which a look shows most for its time, also an enlarged one; both are found by looking
    (`looks.search`). "ground": the scales that the view of the ground gives; "auto" for images without one. A network
    whose object sizes are unknown has a fixed scale. budget: seconds for an image; None: no limit.
    """

    mode: ScaleMode = "fixed"
    budget: float | None = None
    search: SearchConfig = field(default_factory=SearchConfig)

    @property
    def searches(self) -> SearchConfig:
        """How scales are searched: within a budget less often, since a search exceeds it."""
        config = self.search
        if self.mode == "reduce":
            config = replace(config, cost_power=REDUCTION_COST_POWER, least_gain=REDUCTION_GAIN)
        if self.budget is not None:
            config = replace(config, retry=max(config.retry, SEARCH_WITHIN_BUDGET))
        return config


@dataclass(frozen=True)
class AdaptiveDetector:
    """A detector with a choice of its looks. Without a budget `detect` is a pure function of image, state and view.

    clock: seconds, for the budget.
    """

    detector: Detector
    settings: LookSettings = field(default_factory=LookSettings)
    clock: Callable[[], float] = time.perf_counter

    def detect(
        self, image: np.ndarray, state: LookState = LookState(), view: GroundView | None = None
    ) -> tuple[Detections, LookState]:
        """Detect objects in an RGB image (H, W, 3) uint8; return them and the state for the next image.

        view: of the ground, for the mode "ground". Raises InputError as `Detector.detect`.
        """
        start = self.clock()
        image = self.detector.prepare(image)  # once for all looks
        first, share, state = self._first(image, state, view)
        regions, left_out = first.regions, LeftOut()
        if self.settings.budget is not None:
            left = PLANNED * self.settings.budget - (self.clock() - start)
            scale = max(band.scale for band in first.bands)
            regions, left_out = affordable_regions(state.costs, left, regions, scale, self._smallest_gain)
        second = self.clock()
        found = self.detector.complete(image, first, regions)
        costs = state.costs
        if regions:
            costs = costs.with_look(sum(map(input_pixels, regions)), self.clock() - second)
        return found, replace(state, costs=costs, left_out=replace(left_out, scale_share=share))

    def _first(
        self, image: np.ndarray, state: LookState, view: GroundView | None
    ) -> tuple[FirstLook, float, LookState]:
        """Take the first look; return it, the share of the wanted scale that it has, and the state."""
        height, width = image.shape[:2]
        sizes, max_side = self.detector.network.config.object_sizes, self.detector.settings.max_side
        follows = False
        if self.settings.mode == "fixed" or sizes is None:
            bands = whole(height, limiting_scale(width, height, max_side))
        elif self.settings.mode == "ground" and view is not None:
            bands = ground_bands(view, width, height, sizes, max_side, useful_zoom=useful_zoom(image))
            if isinstance(self.detector.lsm, LsmConfig):  # counts heat in one look at the whole image
                bands = whole(height, float(np.median([band.scale for band in bands])))
        else:
            if state.scale.size != (width, height):
                state = replace(state, scale=ScaleState(size=(width, height)))
            if state.scale.scale is None or state.scale.age >= self.settings.searches.interval:
                return self._search(image, state, sizes)
            bands, follows = whole(height, state.scale.scale), True
        share = 1.0
        if self.settings.budget is not None:
            share = affordable_share(state.costs, PLANNED * self.settings.budget, bands, width)
            bands = reduced(bands, share)
        first, costs = self._look(image, bands, state.costs)
        if follows and sizes is not None:
            probable = self.detector.with_probabilities(first.found)
            last = self._largest_scale(width, height)
            state = replace(state, scale=follow(state.scale, probable, share, last, sizes, self.settings.searches))
        return first, share, replace(state, costs=costs)

    def _search(self, image: np.ndarray, state: LookState, sizes: ObjectSizes) -> tuple[FirstLook, float, LookState]:
        """Look at several scales, and keep the look at the best one."""
        height, width = image.shape[:2]
        looks: dict[float, FirstLook] = {}
        costs = state.costs

        def look(scale: float) -> ScoredBoxes:
            nonlocal costs
            if scale not in looks:
                looks[scale], costs = self._look(image, whole(height, scale), costs)
            return self.detector.with_probabilities(looks[scale].found)

        last = self._largest_scale(width, height)
        start = min(self.settings.searches.first_side / max(width, height), last)
        scale = search(look, start, last, sizes, self.settings.searches, state.scale.scale)
        used = limiting_scale(width, height, self.detector.settings.max_side) if scale is None else scale
        look(used)
        return looks[used], 1.0, replace(state, costs=costs, scale=replace(state.scale, scale=used, age=0))

    def _largest_scale(self, width: int, height: int) -> float:
        """Return the largest scale of a search in images of this size."""
        limit = limiting_scale if self.settings.mode == "reduce" else largest_scale
        return limit(width, height, self.detector.settings.max_side)

    def _look(self, image: np.ndarray, bands: Sequence[Band], costs: Costs) -> tuple[FirstLook, Costs]:
        start = self.clock()
        first = self.detector.look(image, bands)
        return first, costs.with_look(band_pixels(bands, image.shape[1]), self.clock() - start)

    @property
    def _smallest_gain(self) -> float:
        lsm = self.detector.lsm
        return lsm.smallest_gain if isinstance(lsm, CrowdConfig) else 1.0


def measure_costs(detector: Detector, clock: Callable[[], float] = time.perf_counter) -> Costs:
    """Measure looks at black images of several sizes, after a first run, which is slower; for the first budgets."""
    detector.detect(np.zeros((120, 160, 3), np.uint8))
    state = LookState()
    for height, width in MEASURED_SIZES:
        _, state = AdaptiveDetector(detector, clock=clock).detect(np.zeros((height, width, 3), np.uint8), state)
    return state.costs
