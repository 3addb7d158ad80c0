"""Command that draws what LoFTR attends to: attention IMAGE0 IMAGE1 (as the paper's figures 4 and 5)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from loftr_ros.image_matcher import shrink
from loftr_ros.network.config import LoFTRConfig
from loftr_ros.network.loftr import LoFTR
from loftr_ros.network.transformer import AttentionLayer, Tokens
from perception_common import cli
from perception_common.config import load_yaml
from perception_common.errors import InputError
from perception_common.resources import find_config, find_weights
from perception_common.weights import load_weights

DEFAULT_POINTS = 3
MARK = (255, 0, 255)


@dataclass(frozen=True)
class LayerInput:
    """What one layer of the coarse transformer saw when it updated the tokens of one image."""

    name: str
    is_cross: bool
    layer: AttentionLayer
    x: Tokens
    source: Tokens


@dataclass(frozen=True)
class Trace:
    """A pair's way through the coarse transformer.

    layers0: inputs of all layers for image 0, in order. before, after: coarse features of image 0 and image 1 in front
    of and behind the transformer, (h, w, C). points0: (N, 2) pixels of matches, the most confident first.
    """

    layers0: tuple[LayerInput, ...]
    before: tuple[torch.Tensor, torch.Tensor]
    after: tuple[torch.Tensor, torch.Tensor]
    points0: np.ndarray


@torch.no_grad()
def trace_pair(network: LoFTR, image0: np.ndarray, image1: np.ndarray) -> Trace:
    """Match two gray images (H, W) uint8 and keep what the layers saw. Raises InputError for a network without
    attention.
    """
    if network.config.coarse.mixing != "linear_attention":
        raise InputError("this network has convolutions in place of attention; there is nothing to draw")
    with _recorded(network) as calls:
        features0, features1 = (
            network.encode(torch.from_numpy(image)[None, None].float() / 255) for image in (image0, image1)
        )
        coarse0, coarse1 = network.transform(features0, features1)
    matches = network.match(features0, features1)[0]
    layers = list(network.loftr_coarse.layers)
    # Every layer is called for image 0 first, then for image 1.
    first = {layer: next(call for call in calls if call.layer is layer) for layer in layers}
    second = [call for call in calls if call.layer is layers[0]][1]
    return Trace(
        tuple(first[layer] for layer in layers),
        (first[layers[0]].x.features[0], second.x.features[0]),
        (coarse0[0], coarse1[0]),
        matches.points0.numpy(),
    )


@contextmanager
def _recorded(network: LoFTR) -> Iterator[list[LayerInput]]:
    calls: list[LayerInput] = []
    hooks = []
    for number, (layer, kind) in enumerate(zip(network.loftr_coarse.layers, network.config.coarse.layers, strict=True)):

        def record(module: torch.nn.Module, inputs: tuple[Tokens, Tokens], name: str = f"{kind} {number + 1}") -> None:
            assert isinstance(module, AttentionLayer)
            calls.append(LayerInput(name, name.startswith("cross"), module, *inputs))

        hooks.append(layer.register_forward_pre_hook(record))
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def attention_map(call: LayerInput, cell: tuple[int, int]) -> np.ndarray:
    """Weights, mean over heads, that the cell (x, y) gives to all cells of the source: (h, w) float32, sum 1.

    Linear attention never computes them; they are phi(q) . phi(k) over its sum, phi = elu + 1 (section 3.2).
    """
    x, y = cell
    height, width = call.source.features.shape[1:3]
    query = _with_position(call.x)[0, y, x]
    heads = call.layer.heads
    q = torch.nn.functional.elu(call.layer.q_proj(query).reshape(heads, -1)) + 1
    k = torch.nn.functional.elu(call.layer.k_proj(_with_position(call.source)[0].flatten(0, 1))) + 1
    weights = torch.einsum("hd,shd->hs", q, k.reshape(len(k), heads, -1))
    return (weights / weights.sum(1, keepdim=True)).mean(0).reshape(height, width).numpy()


def _with_position(tokens: Tokens) -> torch.Tensor:
    return tokens.features if tokens.position is None else tokens.features + tokens.position


def feature_colors(features: tuple[torch.Tensor, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Show (h, w, C) features of both images by their first three common principal components, uint8 colours."""
    cells = torch.cat([part.flatten(0, 1) for part in features])
    cells = cells - cells.mean(0)
    _, _, directions = torch.linalg.svd(cells, full_matrices=False)
    components = cells @ directions[:3].T
    low, high = components.quantile(0.02, dim=0), components.quantile(0.98, dim=0)
    colors = ((components - low) / (high - low).clamp(min=1e-6)).clamp(0, 1).mul(255).byte().numpy()
    count = features[0].shape[0] * features[0].shape[1]
    return colors[:count].reshape(*features[0].shape[:2], 3), colors[count:].reshape(*features[1].shape[:2], 3)


def draw(trace: Trace, image0: np.ndarray, image1: np.ndarray, points: np.ndarray, stride: int) -> np.ndarray:
    """Draw one row for each point (N, 2) of image 0: the point, its self-attention there, its cross-attention in image
    1, layer after layer; and a last row with the features before and after the transformer. BGR (H, W, 3) uint8.
    """
    size = (image0.shape[1], image0.shape[0])
    rows = []
    for point in points:
        marked = cv2.cvtColor(image0, cv2.COLOR_GRAY2BGR)
        _mark(marked, point)
        tiles = [_labelled(marked, f"{point[0]:.0f}, {point[1]:.0f}", size)]
        for call in trace.layers0:
            height, width = call.x.features.shape[1:3]
            x, y = (int(v) for v in np.clip(np.rint(point / stride), 0, (width - 1, height - 1)))
            tile = _heat(image1 if call.is_cross else image0, attention_map(call, (x, y)))
            if not call.is_cross:
                _mark(tile, point)
            tiles.append(_labelled(tile, call.name, size))
        rows.append(np.hstack(tiles))
    tiles = []
    for name, features in (("before", trace.before), ("after", trace.after)):
        for number, colors in enumerate(feature_colors(features)):
            enlarged = cv2.resize(colors, size, interpolation=cv2.INTER_NEAREST)
            tiles.append(_labelled(enlarged, f"{name} {number}", size))
    last = np.hstack(tiles)
    width = max(row.shape[1] for row in (*rows, last))
    return np.vstack([cv2.copyMakeBorder(r, 0, 0, 0, width - r.shape[1], cv2.BORDER_CONSTANT) for r in (*rows, last)])


def _heat(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    scaled = (255 * weights / max(float(weights.max()), 1e-12)).astype(np.uint8)
    colors = cv2.applyColorMap(cv2.resize(scaled, image.shape[::-1]), cv2.COLORMAP_JET)
    return cv2.addWeighted(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), 0.5, colors, 0.5, 0)


def _mark(tile: np.ndarray, point: np.ndarray) -> None:
    radius = max(4, tile.shape[1] // 60)
    cv2.circle(tile, (round(float(point[0])), round(float(point[1]))), radius, MARK, 2, cv2.LINE_AA)


def _labelled(tile: np.ndarray, text: str, size: tuple[int, int]) -> np.ndarray:
    tile = cv2.resize(tile, size)
    scale = size[0] / 500
    for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(tile, text, (6, round(24 * scale)), cv2.FONT_HERSHEY_SIMPLEX, 0.8 * scale, color, thickness)
    return tile


def choose_points(trace: Trace, width: int, height: int) -> np.ndarray:
    """Pick confident matches that lie apart; the middle of the image when nothing matched."""
    chosen: list[np.ndarray] = []
    for point in trace.points0:
        if len(chosen) < DEFAULT_POINTS and all(np.linalg.norm(point - other) > width / 4 for other in chosen):
            chosen.append(point)
    return np.array(chosen, np.float64) if chosen else np.array([[width / 2, height / 2]])


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and write the picture."""
    parser = argparse.ArgumentParser(
        prog="attention",
        description="Draw the self- and cross-attention of points, and the features before and after the transformer.",
        epilog="example: attention a.jpg b.jpg --points 320,200 100,80 --output attention.png",
    )
    parser.add_argument("images", nargs=2, type=Path, metavar="IMAGE")
    parser.add_argument("--points", nargs="+", default=[], metavar="X,Y", help="pixels of the first image")
    parser.add_argument("--model", default="loftr_lite", help="configuration in config/models (default loftr_lite)")
    parser.add_argument("--weights", type=Path, help="weights file (default: the ones shipped for the model)")
    parser.add_argument("--max-side", type=int, default=480, help="larger images are reduced to this (default 480)")
    parser.add_argument("--output", type=Path, default=Path("attention.png"))
    arguments = parser.parse_args(argv)
    network = LoFTR(load_yaml(LoFTRConfig, find_config(f"models/{arguments.model}.yaml"))).eval()
    weights = arguments.weights or find_weights(arguments.model)
    if weights is None:
        raise InputError(f"no weights are shipped for {arguments.model}; give a file with --weights")
    load_weights(network, weights)
    original0, original1 = (_read(path) for path in arguments.images)
    image0, image1 = (shrink(image, arguments.max_side) for image in (original0, original1))
    trace = trace_pair(network, image0, image1)
    factor = image0.shape[1] / original0.shape[1]
    height, width = image0.shape
    points = np.array([_parse_point(text) for text in arguments.points]).reshape(-1, 2)
    points = (points + 0.5) * factor - 0.5
    if not ((points >= 0) & (points <= (width - 1, height - 1))).all():
        raise InputError(f"a point lies outside of {arguments.images[0]} ({original0.shape[1]} x {original0.shape[0]})")
    if not len(points):
        points = choose_points(trace, width, height)
    picture = draw(trace, image0, image1, points, network.config.backbone.coarse_stride)
    if not cv2.imwrite(str(arguments.output), picture):
        raise InputError(f"{arguments.output} cannot be written; check the folder and the suffix")
    print(f"{arguments.output}: {len(points)} points, {len(trace.layers0)} layers, {len(trace.points0)} matches")
    return 0


def _read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise InputError(f"{path} is not a readable image")
    return image


def _parse_point(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{text!r} is no point; write it as X,Y") from error
    return x, y


if __name__ == "__main__":
    cli.run(main)
