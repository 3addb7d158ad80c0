"""The part of YOLC that other runtimes compute: from images to the maps that detection reads."""

from __future__ import annotations

import torch

from perception_common.backends.runtime import Method, Part
from yolc_ros.network.config import INPUT_MULTIPLE
from yolc_ros.network.yolc import Yolc


def yolc_parts(network: Yolc) -> tuple[Part, ...]:
    """Return the parts of a network in evaluation mode.

    maps: images (B, 3, H, W) uint8, H and W multiples of 32 -> the fields of `YolcMaps`.
    """

    def images(size: tuple[int, int], seed: int) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        count = 1 if seed == 1 else 2
        return (torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, generator=generator),)

    rows, columns = (INPUT_MULTIPLE * torch.export.Dim(name, max=512) for name in ("rows", "columns"))
    sizes = {0: torch.export.Dim.DYNAMIC, 2: rows, 3: columns}
    return (Part("maps", Method(network, "dense_maps"), ("images",), ("heatmap", "box_features"), (sizes,), images),)
