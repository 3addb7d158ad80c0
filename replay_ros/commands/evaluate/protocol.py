"""Runs the evaluation protocols of published papers on the datasets' own folders."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from loftr_ros.image_matcher import MatcherSettings, Padding
from perception_common.atomic_file import check_writable
from perception_common.cli import number
from perception_common.errors import InputError
from perception_common.text.json_files import write_json
from perception_common.text.markdown import markdown_table
from replay_ros.commands.evaluate.device_options import add_device_options, runtime_choice
from replay_ros.evaluation.pairs.estimators import ESTIMATORS, PoseEstimator, choose_estimators
from replay_ros.evaluation.pairs.matchers import KEYPOINT_METHODS
from replay_ros.evaluation.pairs.predictions import MatcherOptions, load_predictors
from replay_ros.protocols import aachen, hpatches, inloc, megadepth, published, scannet
from replay_ros.protocols.hloc_export import export_matches, read_pair_names
from replay_ros.protocols.posed_pairs import evaluate_poses
from replay_ros.protocols.published import PublishedRow
from replay_ros.protocols.result import ProtocolResult, protocol_lines, protocol_result_to_mapping

NAME = "evaluate_protocol"
POSE_ESTIMATORS = ("opencv-ransac", "poselib")  # the papers' estimator and that of loftr_node


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Run the protocol of a paper on a dataset's folder and print the published figures for comparison.",
        epilog=f"""\
example:
  {prog} hpatches hpatches-sequences-release --cache matches --threshold 1 --threshold 3
  {prog} scannet scannet_test_1500 --index LoFTR/assets/scannet_test_1500 --matcher indoor_ds_new.ckpt \\
    --model loftr_indoor_ds_new --device cuda
  {prog} megadepth megadepth/test --index LoFTR/assets/megadepth_test_1500_scene_info --cache matches
  {prog} aachen aachen_v1.1/images_upright --pairs pairs-db-covis20.txt \\
    --pairs pairs-query-netvlad50.txt --output hloc
""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    protocols = parser.add_subparsers(dest="protocol", required=True, metavar="NAME")
    for name, module, summary, add_options in (
        ("hpatches", hpatches, "homography AUC@3/5/10 px on HPatches", _add_hpatches_options),
        ("scannet", scannet, "pose AUC@5/10/20 on ScanNet-1500", _add_pose_options),
        ("megadepth", megadepth, "pose AUC@5/10/20 on MegaDepth-1500, long sides 840 and 1200", _add_megadepth_options),
        ("aachen", aachen, "matches of Aachen Day-Night v1.1 for hloc", _add_export_options),
        ("inloc", inloc, "matches of InLoc for hloc", _add_export_options),
    ):
        protocol = protocols.add_parser(
            name, help=summary, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        _add_common_options(protocol)
        add_options(protocol)
    return parser


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the dataset")
    matcher = f"sift, orb, sift_mutual, a LoFTR variant or a weights FILE (default: {MatcherOptions().names[0]})"
    parser.add_argument(
        "--matcher", action="append", metavar="NAME", help=f"{matcher}; repeatable where figures are printed"
    )
    parser.add_argument("--model", metavar="NAME", help="network of a weights FILE (default: named in the file)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="write matches to this folder and reuse them")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N pairs, for a trial run")
    add_device_options(parser)


def _add_hpatches_options(parser: argparse.ArgumentParser) -> None:
    _add_threshold_and_json(parser, f"of RANSAC, pixels of the resized images (default: {hpatches.THRESHOLD:g})")


def _add_pose_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, metavar="FOLDER", help="folder of the index files (default: FOLDER)")
    described = "; ".join(f"{each.name}: {each.description}" for each in choose_estimators(tuple(ESTIMATORS)))
    estimator = f"of the pose (default: {' and '.join(POSE_ESTIMATORS)}); repeatable. {described}"
    parser.add_argument("--estimator", action="append", choices=ESTIMATORS, help=estimator)
    _add_threshold_and_json(parser, "of the estimator (default: see --estimator)")


def _add_megadepth_options(parser: argparse.ArgumentParser) -> None:
    _add_pose_options(parser)
    side = f"pixels (default: {' and '.join(map(str, megadepth.LONG_SIDES))}); repeatable"
    parser.add_argument("--long-side", type=int, action="append", metavar="N", help=side)
    padding = (
        "none: images at their own size; release: padded to squares, with the mass of padded cells in optimal "
        "transport, as LoFTR's released test does (default: none)"
    )
    parser.add_argument("--padding", choices=get_args(Padding), default="none", help=padding)


def _add_threshold_and_json(parser: argparse.ArgumentParser, threshold: str) -> None:
    parser.add_argument("--threshold", type=number, action="append", metavar="PX", help=f"{threshold}; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures of all pairs to this file")


def _add_export_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pairs", type=Path, action="append", required=True, metavar="FILE", help="lines of two names; repeatable"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="folder for the HDF5 files")


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. Raises InputError for folders, files and names that cannot be used."""
    given = build_parser(prog).parse_args(arguments)
    _check_numbers(given)
    if not given.folder.is_dir():
        raise InputError(f"{given.folder} is not a folder; give that of the dataset, see `{prog} NAME --help`")
    check_writable(getattr(given, "json", None))
    names = tuple(given.matcher or MatcherOptions().names)
    matchers = MatcherOptions(
        names, model=given.model, device=given.device, cache=given.cache, runtime=runtime_choice(given)
    )
    if given.protocol == "hpatches":
        planes = hpatches.read_pairs(given.folder)[: given.limit]
        results = hpatches.evaluate_hpatches(planes, matchers, given.threshold or (hpatches.THRESHOLD,))
        _report(given, results, published.HPATCHES, hpatches.PAIRS)
    elif given.protocol == "scannet":
        pairs = scannet.read_pairs(given.folder, given.index or given.folder, given.limit)
        results = evaluate_poses(pairs, matchers, scannet.SETTINGS, _estimators(given))
        _report(given, results, published.SCANNET, scannet.PAIRS)
    elif given.protocol == "megadepth":
        pairs = megadepth.read_pairs(given.folder, given.index or given.folder, given.limit)
        settings = [megadepth.setting(side, given.padding) for side in given.long_side or megadepth.LONG_SIDES]
        padded = MatcherSettings(max_side=0, padding=given.padding)
        if given.padding != "none" and (unpadded := [name for name in names if name in KEYPOINT_METHODS]):
            raise InputError(f"--padding {given.padding} is of LoFTR; leave it or --matcher {unpadded[0]} out")
        results = evaluate_poses(pairs, matchers, settings, _estimators(given), padded)
        _report(given, results, published.MEGADEPTH, megadepth.PAIRS)
    else:
        _export(given, matchers)
    return 0


def _check_numbers(given: argparse.Namespace) -> None:
    for name in ("threshold", "limit", "long_side"):
        value = getattr(given, name, None)
        if not all(number > 0 for number in (value if isinstance(value, list) else [value]) if number is not None):
            raise InputError(f"--{name.replace('_', '-')} must be above 0")


def _estimators(given: argparse.Namespace) -> tuple[PoseEstimator, ...]:
    return choose_estimators(given.estimator or POSE_ESTIMATORS, given.threshold)


def _report(
    given: argparse.Namespace, results: Sequence[ProtocolResult], rows: Sequence[PublishedRow], pairs: int
) -> None:
    """Print the results beside the published rows and write the JSON file. pairs: of the whole protocol."""
    print("\n".join(protocol_lines(results, rows, pairs)))
    if given.json:
        runs = [protocol_result_to_mapping(each) for each in results]
        write_json(given.json, {"protocol": given.protocol, "folder": str(given.folder), "runs": runs})


def _export(given: argparse.Namespace, matchers: MatcherOptions) -> None:
    """Write the files for hloc, and print the next steps and the published figures."""
    if len(matchers.names) > 1:
        raise InputError("one --matcher at a time writes matches; use another --output for each")
    benchmark, rows = (aachen, published.AACHEN) if given.protocol == "aachen" else (inloc, published.INLOC)
    pairs = read_pair_names(given.pairs)[: given.limit]
    predictor = load_predictors(matchers)[0]
    found = export_matches(given.folder, pairs, given.output, predictor, benchmark.MERGING)
    print(f"{found.images} images, {found.keypoints:.0f} keypoints each; {found.pairs} pairs,", end=" ")
    print(f"{found.matches_per_pair:.0f} matches each, by {predictor.matcher.name}")
    print(benchmark.NEXT_STEPS.format(folder=given.folder, features=found.features, matches=found.matches))
    print("\npublished, % of the queries:")
    table = [(row.method, *(f"{value:g}" for value in row.values), row.source) for row in rows]
    print("\n".join(markdown_table([("method", *benchmark.COLUMNS, "source"), *table])))
