"""The parts of LoFTR that other runtimes compute: the features of an image, their transformer, the fine stage."""

from __future__ import annotations

import torch

from loftr_ros.network.loftr import LoFTR
from perception_common.backends.runtime import Method, Part

_WINDOWS = 7  # of the traced example, which fits no other size


def loftr_parts(network: LoFTR) -> tuple[Part, ...]:
    """Return the parts of a network in evaluation mode.

    encode: image (1, 1, H, W) float32, 0 to 1 -> coarse, fine and covariance of `ImageFeatures`. transform: coarse maps
    of two images -> the same transformed. fine: windows and coarse features of M matches, see `LoFTR.compare_windows`.
    """
    free = torch.export.Dim.DYNAMIC
    config = network.config
    window, width, coarse_width = config.fine.window, config.fine_width, config.coarse_width

    def noise(seed: int, *shapes: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        return tuple(torch.randn(shape, generator=generator) for shape in shapes)

    def image(size: tuple[int, int], seed: int) -> tuple[torch.Tensor, ...]:
        height, width = size[0] + 5, size[1] + 3  # no multiples of the stride
        return (torch.rand((1, 1, height, width), generator=torch.Generator().manual_seed(seed)),)

    def maps(size: tuple[int, int], seed: int) -> tuple[torch.Tensor, ...]:
        height, width = (side // config.backbone.coarse_stride for side in size)
        return noise(seed, (1, height, width, coarse_width), (1, height + 1, width - 1, coarse_width))

    def windows(size: tuple[int, int], seed: int) -> tuple[torch.Tensor, ...]:
        count = 1 if seed == 1 else _WINDOWS + seed
        of_fine, of_coarse = (count, window, window, width), (count, coarse_width)
        return noise(seed, of_fine, of_coarse, of_fine, of_coarse)

    pixels, cells, matches = {2: free, 3: free}, {1: free, 2: free}, {0: free}
    return (
        Part("encode", Method(network, "encode_maps"), ("image",), ("coarse", "fine", "covariance"), (pixels,), image),
        Part(
            "transform",
            Method(network, "transform_maps"),
            ("coarse0", "coarse1"),
            ("transformed0", "transformed1"),
            (cells, cells),
            maps,
        ),
        Part(
            "fine",
            Method(network, "compare_windows"),
            ("fine0", "cell0", "fine1", "cell1"),
            ("offset", "spread", "log_heatmap"),
            (matches,) * 4,
            windows,
            repeats_sizes=False,
        ),
    )
