"""Writes matches in the format of hloc (cvg/Hierarchical-Localization), for the benchmarks Aachen and InLoc.

FOLDER holds the images. Pairs files have lines "NAME0 NAME1" with names relative to FOLDER, as in hloc's pairs/. Two
HDF5 files are written:
features.h5  NAME/keypoints (M, 2) float32 pixels, pixel centres at integers; NAME/score (M,) float32
matches.h5   NAME0/NAME1 with each "/" in a name as "-": keypoints0, keypoints1 (N, 2) float32 and scores (N,), the
             unmerged matches; matches0 (M0,) int32, matching_scores0 (M0,) float32: between keypoints
`hloc.triangulation`, `localize_sfm` and `localize_inloc` take them as --features and --matches. The images are shrunk
to a long side of 1024 pixels, as hloc does for LoFTR.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from loftr_ros.image_matcher import shrink, to_original
from perception_common.atomic_file import make_folder, output_file
from perception_common.errors import InputError
from perception_common.images.pictures.files import read_gray
from perception_common.paths import inner_path
from perception_common.text.text_files import read_text
from replay_ros.evaluation.pairs.predictions import Predictor
from replay_ros.protocols.keypoint_merging import MergingOptions, assign_matches, merge_keypoints

LONG_SIDE = 1024


@dataclass(frozen=True)
class ExportSummary:
    """The written files.

    images, pairs: their number. keypoints: mean of an image. matches_per_pair: mean of assigned matches.
    """

    features: Path
    matches: Path
    images: int
    pairs: int
    keypoints: float
    matches_per_pair: float


def read_pair_names(files: Sequence[Path]) -> list[tuple[str, str]]:
    """Read pairs files; a pair that occurs again, in either order, is skipped. Raises InputError."""
    pairs: dict[frozenset[str], tuple[str, str]] = {}
    for path in files:
        for number, line in enumerate(read_text(path).split("\n"), start=1):
            names = line.split()
            if not names:
                continue
            if len(names) != 2 or names[0] == names[1]:
                raise InputError(f"{path} line {number}: expected two image names, got {line.strip()[:60]!r}")
            pairs.setdefault(frozenset(names), (names[0], names[1]))
    if not pairs:
        raise InputError(f"{', '.join(map(str, files))} hold no pairs")
    return list(pairs.values())


def export_matches(
    folder: Path, pairs: Sequence[tuple[str, str]], output: Path, predictor: Predictor, merging: MergingOptions
) -> ExportSummary:
    """Match the pairs of images in `folder` and write features.h5 and matches.h5 to `output`.

    The matches are kept in the file, so memory holds the points of one image at a time. Raises InputError for missing
    images, an output that cannot be written, and without h5py.
    """
    h5py = _import_h5py()
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    for name in names:
        if not inner_path(folder, name).is_file():
            raise InputError(f"{folder / name} is missing; names in the pairs file are relative to {folder}")
    features_path, matches_path = output / "features.h5", output / "matches.h5"
    make_folder(output)
    with (
        output_file(features_path) as unfinished0,
        output_file(matches_path) as unfinished1,
        h5py.File(unfinished0, "w") as features,
        h5py.File(unfinished1, "w") as matches,
    ):
        for pair in tqdm(pairs, unit="pair", desc=f"{predictor.matcher.name}, matching", disable=None):
            _write_matches(matches.create_group(pair_key(*pair)), folder, pair, predictor)
        keypoints = _write_keypoints(features, matches, names, pairs, merging)
        matches_per_pair = _write_assignment(features, matches, pairs, merging)
    return ExportSummary(
        features=features_path,
        matches=matches_path,
        images=len(names),
        pairs=len(pairs),
        keypoints=keypoints,
        matches_per_pair=matches_per_pair,
    )


def pair_key(name0: str, name1: str) -> str:
    """Return the name of the pair's group in hloc's files."""
    return "/".join(name.replace("/", "-") for name in (name0, name1))


def _write_matches(group: Any, folder: Path, pair: tuple[str, str], predictor: Predictor) -> None:
    images = [read_gray(folder / name, upright=False) for name in pair]  # as hloc reads them
    small = [shrink(image, LONG_SIDE) for image in images]
    found = predictor.match(small[0], small[1])
    for k, points in enumerate((found.points_a, found.points_b)):
        (height, width), (rows, columns) = images[k].shape, small[k].shape
        group[f"keypoints{k}"] = to_original(points, (width / columns, height / rows))
    group["scores"] = found.confidence.astype(np.float32)


def _write_keypoints(
    features: Any, matches: Any, names: Iterable[str], pairs: Sequence[tuple[str, str]], merging: MergingOptions
) -> float:
    """Merge the points of each image over its pairs; return the mean number of keypoints of an image."""
    points_of: dict[str, list[tuple[str, str]]] = {name: [] for name in names}  # group and dataset, by image
    for pair in pairs:
        for k, name in enumerate(pair):
            points_of[name].append((pair_key(*pair), f"keypoints{k}"))
    counts = []
    for name, datasets in tqdm(points_of.items(), unit="image", desc="merging keypoints", disable=None):
        points = np.concatenate([matches[key][dataset][()] for key, dataset in datasets]).astype(np.float64)
        scores = np.concatenate([matches[key]["scores"][()] for key, _ in datasets]).astype(np.float64)
        merged = merge_keypoints(points, scores, merging)
        group = features.create_group(name)
        group["keypoints"] = merged.points.astype(np.float32)
        group["score"] = merged.scores.astype(np.float32)
        counts.append(len(merged.points))
    return float(np.mean(counts))


def _write_assignment(features: Any, matches: Any, pairs: Sequence[tuple[str, str]], merging: MergingOptions) -> float:
    """Assign the matches of each pair to keypoints; return the mean number of assigned matches."""
    counts = []
    for name0, name1 in tqdm(pairs, unit="pair", desc="assigning matches", disable=None):
        group = matches[pair_key(name0, name1)]
        points0, points1, scores = (group[key][()].astype(np.float64) for key in ("keypoints0", "keypoints1", "scores"))
        keypoints0, keypoints1 = (features[name]["keypoints"][()].astype(np.float64) for name in (name0, name1))
        found, confidence = assign_matches(points0, points1, scores, keypoints0, keypoints1, merging.radius)
        group["matches0"], group["matching_scores0"] = found, confidence
        counts.append(int((found >= 0).sum()))
    return float(np.mean(counts))


def _import_h5py() -> Any:
    if importlib.util.find_spec("h5py") is None:
        raise InputError("hloc's files are HDF5; install h5py to write them (pip install h5py)")
    import h5py

    return h5py
