"""How good a network is: on fixed homographies that it was not trained on, and on real pairs with known poses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from loftr_ros.datasets.mixture import PairSource
from loftr_ros.network.loftr import ImageFeatures, LoFTR
from loftr_ros.training.batch import PairBatch
from perception_common.errors import InputError
from perception_common.geometry import pose_error, transform

VALIDATION_SEED = 1234567
BATCH = 4  # pairs that are evaluated at a time
NOISE_PIXELS = 1.0  # the estimator's threshold, pixels of the matched images


@dataclass(frozen=True)
class PosedPairs:
    """Pairs of a pairs.json. names: the files; images: {name: (H, W) uint8}; K: {name: (3, 3)} of these images;
    T_ab: (4, 4) for each pair, points of camera a to camera b.
    """

    names: tuple[tuple[str, str], ...]
    images: dict[str, np.ndarray]
    K: dict[str, np.ndarray]
    T_ab: tuple[np.ndarray, ...]


def read_posed_pairs(path: Path, max_side: int) -> PosedPairs:
    """Read pairs.json and its images, reduced to a long side of `max_side`. Raises InputError."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["pairs"]
        names = tuple((entry["a"], entry["b"]) for entry in entries)
        K = {entry[side]: np.array(entry[f"K_{side}"], np.float64) for entry in entries for side in "ab"}
        T_ab = tuple(np.array(entry["T_ab"], np.float64) for entry in entries)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a readable pairs.json with poses ({error!r})") from error
    images = {}
    for name in K:
        image = cv2.imread(str(path.parent / name), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise InputError(f"{path.parent / name}, named by {path.name}, cannot be read")
        width, height = (round(side * max_side / max(image.shape)) for side in image.shape[::-1])
        x, y = width / image.shape[1], height / image.shape[0]
        # Pixel centres are at integers, so the image's corner is at -0.5.
        K[name] = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]]) @ K[name]
        images[name] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return PosedPairs(names, images, K, T_ab)


def fixed_batches(source: PairSource, count: int, size: tuple[int, int]) -> list[PairBatch]:
    """The same `count` pairs of a source, of this size (width, height), whenever it is called."""
    rngs = (np.random.default_rng((VALIDATION_SEED, n)) for n in range(count))
    pairs = [source.sample(rng, n, *size) for n, rng in enumerate(rngs)]
    return [PairBatch.of(pairs[start : start + BATCH]) for start in range(0, count, BATCH)]


@torch.no_grad()
def match_metrics(network: LoFTR, batches: list[PairBatch], device: torch.device) -> dict[str, float]:
    """Metrics on pairs whose true matches are known.

    coarse_first: fraction of true coarse matches whose cell of image 1 ranks first for the cell of image 0.
    confident: fraction with a confidence above the network's threshold. fine_pixels: median distance of the
    refinement of true coarse matches from the truth.
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
    """Pose errors (larger of rotation and direction; 180 degrees for a failure) with OpenCV's USAC_MAGSAC.

    under_5deg: number of pairs; auc_5, auc_10, auc_20; median_degrees; matches: mean number.
    """
    features = {name: network.encode(_tensor(image).to(device)) for name, image in pairs.images.items()}
    errors, counts = [], []
    for (a, b), T_ab in zip(pairs.names, pairs.T_ab, strict=True):
        points_a, points_b = _match(network, features[a], features[b])
        errors.append(relative_pose_error(points_a, points_b, pairs.K[a], pairs.K[b], T_ab))
        counts.append(len(points_a))
    return summarise(errors) | {"matches": float(np.mean(counts))}


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image)[None, None].float() / 255


def _match(network: LoFTR, a: ImageFeatures, b: ImageFeatures) -> tuple[np.ndarray, np.ndarray]:
    matches = network.match(a, b)[0]
    return matches.points0.double().cpu().numpy(), matches.points1.double().cpu().numpy()


def relative_pose_error(
    points_a: np.ndarray, points_b: np.ndarray, K_a: np.ndarray, K_b: np.ndarray, T_ab: np.ndarray
) -> float:
    """Estimate the relative pose of matched pixels (N, 2) and return its error in degrees; 180 when there is none."""
    if len(points_a) < 5:
        return 180.0
    rays_a, rays_b = _normalised(points_a, K_a), _normalised(points_b, K_b)
    focal = (K_a[0, 0] + K_a[1, 1] + K_b[0, 0] + K_b[1, 1]) / 4
    E, inliers = cv2.findEssentialMat(
        rays_a, rays_b, np.eye(3), cv2.USAC_MAGSAC, prob=0.99999, threshold=NOISE_PIXELS / focal
    )
    if E is None or E.shape != (3, 3):
        return 180.0
    _, R, t, _ = cv2.recoverPose(E, rays_a, rays_b, np.eye(3), mask=inliers)
    return max(pose_error(transform(R, t), T_ab))


def _normalised(points: np.ndarray, K: np.ndarray) -> np.ndarray:
    return (np.column_stack([points, np.ones(len(points))]) @ np.linalg.inv(K).T)[:, :2]


def summarise(errors: list[float]) -> dict[str, float]:
    """Success and area under the curve of recall over error, up to 5, 10 and 20 degrees."""
    values = np.asarray(errors, np.float64)
    areas = {f"auc_{limit}": area_under_recall(values, limit) for limit in (5, 10, 20)}
    return {"under_5deg": float((values < 5).sum()), **areas, "median_degrees": float(np.median(values))}


def area_under_recall(errors: np.ndarray, limit: float) -> float:
    """Mean over thresholds from 0 to `limit` of the fraction of errors below, by trapezoids as in SuperGlue."""
    ordered = np.concatenate([[0.0], np.sort(errors)])
    recall = np.arange(len(ordered)) / max(len(errors), 1)
    last = int(np.searchsorted(ordered, limit))
    x = np.append(ordered[:last], limit)
    y = np.append(recall[:last], recall[last - 1])
    return float(np.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2) / limit)
