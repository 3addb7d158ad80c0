"""Draws the attention of LoFTR's coarse transformer (figures 4 and 5 of the paper): attention IMAGE0 IMAGE1."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from loftr_ros.image_matcher import shrink
from loftr_ros.network.config import LoFTRConfig
from loftr_ros.network.loftr import LoFTR
from loftr_ros.training.trace import Trace, attention_map, feature_colors, trace_pair
from perception_common import cli
from perception_common.atomic_file import output_file
from perception_common.config import load_yaml
from perception_common.errors import InputError
from perception_common.images.pictures.files import read_gray
from perception_common.resources import find_config, find_weights
from perception_common.weights import load_weights

NAME = "attention"
DEFAULT_POINTS = 3
MARK = (255, 0, 255)  # B, G, R


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Draw the self- and cross-attention of points, and the features before and after the transformer.",
        epilog=f"example: {prog} a.jpg b.jpg --points 320,200 100,80 --output attention.png",
    )
    parser.add_argument("images", nargs=2, type=Path, metavar="IMAGE")
    parser.add_argument("--points", nargs="+", default=[], metavar="X,Y", help="pixels of the first image")
    parser.add_argument("--model", default="loftr_lite", help="configuration in config/models (default loftr_lite)")
    parser.add_argument("--weights", type=Path, help="weights file (default: the ones shipped for the model)")
    parser.add_argument("--max-side", type=int, default=480, help="larger images are reduced to this (default 480)")
    parser.add_argument("--output", type=Path, default=Path("attention.png"))
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Match the images, draw the attention and write the picture."""
    options = build_parser(prog).parse_args(arguments)
    network = _load_network(options.model, options.weights)
    original0, original1 = (read_gray(path) for path in options.images)
    image0, image1 = (shrink(image, options.max_side) for image in (original0, original1))
    trace = trace_pair(network, image0, image1)
    factor = image0.shape[1] / original0.shape[1]
    height, width = image0.shape
    points = np.array([_parse_point(text) for text in options.points]).reshape(-1, 2)
    points = (points + 0.5) * factor - 0.5
    if not ((points >= 0) & (points <= (width - 1, height - 1))).all():
        raise InputError(f"a point lies outside of {options.images[0]} ({original0.shape[1]} x {original0.shape[0]})")
    if not len(points):
        points = choose_points(trace, width, height)
    picture = draw_attention(trace, image0, image1, points, network.config.backbone.coarse_stride)
    _write_picture(options.output, picture)
    print(f"{options.output}: {len(points)} points, {len(trace.layers0)} layers, {len(trace.points0)} matches")
    return 0


def _write_picture(path: Path, picture: np.ndarray) -> None:
    try:
        _, encoded = cv2.imencode(path.suffix, picture)
    except cv2.error as error:
        raise InputError(f"{path}: OpenCV writes no such files; choose a suffix such as .png") from error
    with output_file(path) as unfinished:
        unfinished.write_bytes(encoded.tobytes())


def _load_network(model: str, weights: Path | None) -> LoFTR:
    network = LoFTR(load_yaml(LoFTRConfig, find_config(f"models/{model}.yaml"))).eval()
    weights = weights or find_weights(model)
    if weights is None:
        raise InputError(f"no weights are shipped for {model}; give a file with --weights")
    load_weights(network, weights)
    return network


def _parse_point(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{text!r} is no point; write it as X,Y") from error
    return x, y


def choose_points(trace: Trace, width: int, height: int) -> np.ndarray:
    """Choose confident matches (N, 2) that are far apart; the middle of the image if there are no matches."""
    chosen: list[np.ndarray] = []
    for point in trace.points0:
        if len(chosen) < DEFAULT_POINTS and all(np.linalg.norm(point - other) > width / 4 for other in chosen):
            chosen.append(point)
    return np.array(chosen, np.float64) if chosen else np.array([[width / 2, height / 2]])


def draw_attention(trace: Trace, image0: np.ndarray, image1: np.ndarray, points: np.ndarray, stride: int) -> np.ndarray:
    """Draw a row for each point (N, 2) of image 0, and a last row with the features; BGR (H, W, 3) uint8.

    The row of a point shows the point and, for each layer, its attention: in image 0 for self layers, in image 1 for
    cross layers. The last row shows the features of both images before and after the transformer.
    stride: of the coarse cells, pixels.
    """
    rows = [_attention_row(trace, image0, image1, point, stride) for point in points]
    rows.append(_feature_row(trace, size=(image0.shape[1], image0.shape[0])))
    width = max(row.shape[1] for row in rows)
    return np.vstack([cv2.copyMakeBorder(r, 0, 0, 0, width - r.shape[1], cv2.BORDER_CONSTANT) for r in rows])


def _attention_row(trace: Trace, image0: np.ndarray, image1: np.ndarray, point: np.ndarray, stride: int) -> np.ndarray:
    size = (image0.shape[1], image0.shape[0])
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
    return np.hstack(tiles)


def _feature_row(trace: Trace, size: tuple[int, int]) -> np.ndarray:
    tiles = []
    for name, features in (("before", trace.before), ("after", trace.after)):
        for number, colors in enumerate(feature_colors(features)):
            enlarged = cv2.resize(colors, size, interpolation=cv2.INTER_NEAREST)
            tiles.append(_labelled(enlarged, f"{name} {number}", size))
    return np.hstack(tiles)


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


if __name__ == "__main__":
    cli.run(main)
