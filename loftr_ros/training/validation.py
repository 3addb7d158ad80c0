"""Validation during training: on held-out pairs with known matches, and on real pairs with known poses."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from loftr_ros.datasets.image_pairs import read_pairs, resizing
from loftr_ros.datasets.mixture import PairSource
from loftr_ros.geometry.accuracy import AUC_LIMITS, area_under_recall, pose_degrees
from loftr_ros.geometry.opencv_pose import estimate_plain_pose
from loftr_ros.network.loftr import LoFTR
from loftr_ros.network.results import ImageFeatures
from loftr_ros.training.batch import PairBatch
from perception_common.errors import InputError
from perception_common.images.pictures.files import read_gray

VALIDATION_SEED = 1234567
BATCH = 4  # pairs per forward pass


@dataclass(frozen=True)
class PosedPairs:
    """Pairs of a pairs.json.

    names: files of each pair. images: {name: (H, W) uint8}. K: {name: (3, 3)} of these images. T_ab: (4, 4) of each
    pair, maps points of camera a to camera b.
    """

    names: tuple[tuple[str, str], ...]
    images: dict[str, np.ndarray]
    K: dict[str, np.ndarray]
    T_ab: tuple[np.ndarray, ...]


def read_posed_pairs(path: Path, max_side: int) -> PosedPairs:
    """Read pairs.json and its images, resized to a long side of `max_side`. Raises InputError."""
    names, poses = [], []
    images: dict[str, np.ndarray] = {}
    K: dict[str, np.ndarray] = {}
    found = read_pairs(path)
    for problem in found.problems:
        logging.getLogger(__name__).warning("%s, %s; it is left out", path, problem)
    for pair in found.pairs:
        if pair.K_a is None or pair.K_b is None or pair.T_ab is None:
            raise InputError(f"{path}: {pair.name_a} and {pair.name_b} have no T_ab, which validation needs")
        names.append((pair.name_a, pair.name_b))
        poses.append(pair.T_ab)
        for name, file, matrix in ((pair.name_a, pair.path_a, pair.K_a), (pair.name_b, pair.path_b, pair.K_b)):
            if name not in images:
                image = read_gray(file)
                width, height = (round(side * max_side / max(image.shape)) for side in image.shape[::-1])
                images[name] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
                K[name] = resizing(image.shape[:2], (height, width)) @ matrix
    return PosedPairs(tuple(names), images, K, tuple(poses))


def fixed_batches(source: PairSource, count: int, size: tuple[int, int]) -> list[PairBatch]:
    """Make the first `count` validation pairs of a source, of this size (width, height); deterministic."""
    rngs = (np.random.default_rng((VALIDATION_SEED, n)) for n in range(count))
    pairs = [source.sample(rng, n, *size) for n, rng in enumerate(rngs)]
    return [PairBatch.of(pairs[start : start + BATCH]) for start in range(0, count, BATCH)]


@torch.no_grad()
def match_metrics(network: LoFTR, batches: list[PairBatch], device: torch.device) -> dict[str, float]:
    """Metrics on pairs with known matches.

    coarse_first: fraction of true coarse matches whose cell of image 1 has the highest confidence of the row.
    confident: fraction with a confidence above the network's threshold. fine_pixels: median error of the refinement of
    true coarse matches, pixels.
    """
    first, confident, errors = [], [], []
    for pairs in (batch.to(device) for batch in batches):
        features0, features1 = network.encode(pairs.images0), network.encode(pairs.images1)
        coarse0, coarse1 = network.transform(features0, features1)
        log_confidence = network.coarse_matching.log_confidence(coarse0, coarse1)
        first.append(log_confidence.argmax(2)[pairs.b, pairs.i] == pairs.j)
        confident.append(log_confidence[pairs.b, pairs.i, pairs.j].exp() > network.config.selection.threshold)
        refined = network.refine(features0, features1, coarse0, coarse1, pairs.b, pairs.i, pairs.j)
        columns = coarse1.shape[2]
        centres = torch.stack([pairs.j % columns, pairs.j // columns], 1) * network.config.backbone.coarse_stride
        errors.append((centres + refined.offset - pairs.points1).norm(dim=1))
    return {
        "coarse_first": float(torch.cat(first).float().mean()),
        "confident": float(torch.cat(confident).float().mean()),
        "fine_pixels": float(torch.cat(errors).median()),
    }


@torch.no_grad()
def pose_metrics(network: LoFTR, pairs: PosedPairs, device: torch.device) -> dict[str, float]:
    """Metrics of the relative poses that OpenCV's USAC_MAGSAC estimates from the matches.

    The error is the larger of the errors of rotation and of direction; 180 degrees for a failure.
    under_5deg: number of pairs. auc_5, auc_10, auc_20: see `summarise`. median_degrees. matches: mean number per pair.
    """
    features = {name: network.encode(_tensor(image).to(device)) for name, image in pairs.images.items()}
    errors, counts = [], []
    for (a, b), T_ab in zip(pairs.names, pairs.T_ab, strict=True):
        points_a, points_b = _match(network, features[a], features[b])
        estimated = estimate_plain_pose(points_a, points_b, pairs.K[a], pairs.K[b])
        errors.append(pose_degrees(estimated and estimated[0], T_ab))
        counts.append(len(points_a))
    return summarise(errors) | {"matches": float(np.mean(counts))}


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image)[None, None].float() / 255


def _match(network: LoFTR, a: ImageFeatures, b: ImageFeatures) -> tuple[np.ndarray, np.ndarray]:
    matches = network.match(a, b)[0]
    return matches.points0.double().cpu().numpy(), matches.points1.double().cpu().numpy()


def summarise(errors: list[float]) -> dict[str, float]:
    """Number of errors under 5 degrees, area under the recall curve up to 5, 10 and 20 degrees, and median."""
    values = np.asarray(errors, np.float64)
    areas = {f"auc_{limit}": area_under_recall(values, limit) for limit in AUC_LIMITS}
    return {"under_5deg": float((values < 5).sum()), **areas, "median_degrees": float(np.median(values))}
