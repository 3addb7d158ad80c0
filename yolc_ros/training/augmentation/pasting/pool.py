"""The cut-out objects of a training, and the images that get them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from perception_common.errors import InputError
from yolc_ros.datasets.mixture import Mixture, Part
from yolc_ros.datasets.samples import Sample
from yolc_ros.training.augmentation.pasting.cut_outs import CutOut, cut_out
from yolc_ros.training.augmentation.pasting.paste import Ground, PasteConfig, paste_objects


@dataclass(frozen=True)
class Pasting:
    """Pastes objects into images of the sources with a `paste_share`.

    cut_outs: by whether they are seen straight from above, since an object looks different from the side. metres:
    typical sizes of the classes, see `ObjectSizes`.
    """

    config: PasteConfig = field(default_factory=PasteConfig)
    cut_outs: Mapping[bool, tuple[CutOut, ...]] = field(default_factory=dict)
    metres: tuple[float, ...] = ()

    def apply(self, sample: Sample, part: Part, rng: np.random.Generator) -> Sample:
        """Paste objects into an image of a source, in a fraction `paste_share` of all cases."""
        if not part.paste_share or rng.random() >= part.paste_share:
            return sample
        ground = Ground(part.nadir, part.px_per_m, self.metres)
        return paste_objects(sample, ground, self.cut_outs[part.nadir], self.config, rng)


def open_pasting(mixture: Mixture, config: PasteConfig, metres: tuple[float, ...]) -> Pasting:
    """Cut out the objects of all sources with `cut_out`, if any source gets objects.

    Raises InputError when a source shall get objects and there are none, or no sizes of the classes.
    """
    receivers = [part for part in mixture.parts if part.paste_share]
    if not receivers:
        return Pasting(config)
    if not metres:
        raise InputError("paste_share: the model has no object_sizes, which give the size of pasted objects")
    cut_outs: dict[bool, list[CutOut]] = {True: [], False: []}
    for part in mixture.parts:
        if part.cut_out:
            for sample in Mixture((part,), mixture.broken).first(len(part.source)):
                cut_outs[part.nadir] += cut_out(sample, config.margin, config.smallest_side)
    for part in receivers:
        if not cut_outs[part.nadir]:
            view = "nadir: true" if part.nadir else "nadir: false"
            raise InputError(
                f"{part.source.name(0)}: its source has a paste_share, but no object can be cut out for it; add "
                f"cut_out: true to a source with {view} whose objects lie free and have sides from "
                f"{config.smallest_side:g} pixels on"
            )
    return Pasting(config, {nadir: tuple(each) for nadir, each in cut_outs.items()}, metres)
