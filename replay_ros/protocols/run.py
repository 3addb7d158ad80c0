"""The command `evaluate_protocol`: the protocols of the papers over the datasets' own folders."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from loftr_ros.image_matcher import MatcherSettings
from perception_common.backends.devices import choose_device
from perception_common.cli import run
from perception_common.errors import InputError
from perception_common.text.json_files import write_json
from perception_common.text.markdown import markdown_table
from replay_ros.evaluation.pairs.estimators import ESTIMATORS, THRESHOLDS, describe
from replay_ros.evaluation.pairs.matchers import UNRESIZED, load_matcher
from replay_ros.evaluation.pairs.predictions import Predictor
from replay_ros.protocols import aachen, hpatches, inloc, megadepth, published, scannet
from replay_ros.protocols.hloc_export import export, read_pairs
from replay_ros.protocols.keypoint_merging import Merging
from replay_ros.protocols.posed_pairs import evaluate_poses
from replay_ros.protocols.published import Published
from replay_ros.protocols.result import ProtocolResult, as_mapping, render

DEFAULT_MATCHER = "loftr_lite"
POSE_ESTIMATORS = ("opencv-ransac", "poselib")  # that of the papers, and ours

Run: TypeAlias = Callable[[argparse.Namespace], None]

_EXAMPLE = """\
example:
  evaluate_protocol hpatches hpatches-sequences-release --cache matches --threshold 1 --threshold 3
  evaluate_protocol scannet scannet_test_1500 --index LoFTR/assets/scannet_test_1500 --matcher indoor_ds_new.ckpt \\
    --model loftr_indoor_ds_new --device cuda
  evaluate_protocol megadepth megadepth/test --index LoFTR/assets/megadepth_test_1500_scene_info --cache matches
  evaluate_protocol aachen aachen_v1.1/images_upright --pairs pairs-db-covis20.txt \\
    --pairs pairs-query-netvlad50.txt --output hloc
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Raises InputError for folders, files and names that cannot be used."""
    options = _parse(argv)
    if not options.folder.is_dir():
        raise InputError(
            f"{options.folder} is no folder; give that of the dataset, see `evaluate_protocol NAME --help`"
        )
    run_protocol: Run = options.run
    run_protocol(options)
    return 0


def _hpatches(options: argparse.Namespace) -> None:
    pairs = hpatches.read_pairs(options.folder)[: options.limit]
    thresholds = options.threshold or [hpatches.THRESHOLD]
    predictors = _predictors(options, MatcherSettings(max_side=0, threshold=hpatches.CONFIDENCE))
    outcomes = [each for one in predictors for each in hpatches.evaluate(pairs, one, thresholds)]
    _report(options, outcomes, published.HPATCHES, hpatches.PAIRS)


def _scannet(options: argparse.Namespace) -> None:
    pairs = scannet.read_pairs(options.folder, options.index or options.folder, options.limit)
    outcomes = [
        each
        for one in _predictors(options, UNRESIZED)
        for each in evaluate_poses(pairs, one, _estimators(options), scannet.load, scannet.SETTING)
    ]
    _report(options, outcomes, published.SCANNET, scannet.PAIRS)


def _megadepth(options: argparse.Namespace) -> None:
    pairs = megadepth.read_pairs(options.folder, options.index or options.folder, options.limit)
    outcomes = [
        each
        for one in _predictors(options, UNRESIZED)
        for side in options.long_side or megadepth.LONG_SIDES
        for each in evaluate_poses(pairs, one, _estimators(options), megadepth.loader(side), megadepth.setting(side))
    ]
    _report(options, outcomes, published.MEGADEPTH, megadepth.PAIRS)


def _aachen(options: argparse.Namespace) -> None:
    _export(options, aachen.MERGING, aachen.COLUMNS, aachen.NEXT, published.AACHEN)


def _inloc(options: argparse.Namespace) -> None:
    _export(options, inloc.MERGING, inloc.COLUMNS, inloc.NEXT, published.INLOC)


def _export(
    options: argparse.Namespace, merging: Merging, columns: Sequence[str], following: str, rows: Sequence[Published]
) -> None:
    if len(options.matcher or ()) > 1:
        raise InputError("one --matcher at a time writes matches; use another --output for each")
    pairs = read_pairs(options.pairs)[: options.limit]
    predictor = _predictors(options, UNRESIZED)[0]
    found = export(options.folder, pairs, options.output, predictor, merging)
    print(f"{found.images} images, {found.keypoints:.0f} keypoints each; {found.pairs} pairs,", end=" ")
    print(f"{found.matches_per_pair:.0f} matches each, by {predictor.matcher.name}")
    print(following.format(folder=options.folder, features=found.features, matches=found.matches))
    print("\npublished, % of the queries:")
    print("\n".join(_published_table(columns, rows)))


def _published_table(columns: Sequence[str], rows: Sequence[Published]) -> Iterator[str]:
    yield from markdown_table(
        [("method", *columns, "source"), *((r.method, *(f"{v:g}" for v in r.values), r.source) for r in rows)]
    )


def _predictors(options: argparse.Namespace, settings: MatcherSettings) -> list[Predictor]:
    policy = choose_device(options.device)
    names = options.matcher or [DEFAULT_MATCHER]
    return [Predictor(load_matcher(name, options.model, policy, settings), options.cache) for name in names]


def _estimators(options: argparse.Namespace) -> list[tuple[str, float]]:
    return [
        (name, threshold)
        for name in options.estimator or POSE_ESTIMATORS
        for threshold in options.threshold or [THRESHOLDS[name]]
    ]


def _report(
    options: argparse.Namespace, outcomes: Sequence[ProtocolResult], rows: Sequence[Published], expected: int
) -> None:
    print("\n".join(render(outcomes, rows, expected)))
    if options.json:
        runs = [as_mapping(each) for each in outcomes]
        write_json(options.json, {"protocol": options.protocol, "folder": str(options.folder), "runs": runs})


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="evaluate_protocol",
        description="Run a protocol of the papers over a dataset's folder; the published figures stand beside ours.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    protocols = parser.add_subparsers(dest="protocol", required=True, metavar="NAME")

    def add(name: str, module: ModuleType, run_protocol: Run, about: str) -> argparse.ArgumentParser:
        one = protocols.add_parser(
            name, help=about, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        one.set_defaults(run=run_protocol)
        _add_common(one)
        return one

    _add_hpatches(add("hpatches", hpatches, _hpatches, "homography AUC@3/5/10 px on HPatches"))
    _add_posed(add("scannet", scannet, _scannet, "pose AUC@5/10/20 on ScanNet-1500"))
    sized = add("megadepth", megadepth, _megadepth, "pose AUC@5/10/20 on MegaDepth-1500, long sides 840 and 1200")
    _add_posed(sized)
    sized.add_argument("--long-side", type=int, action="append", metavar="N", help="pixels (840 and 1200); repeatable")
    _add_export(add("aachen", aachen, _aachen, "matches of Aachen Day-Night v1.1 for hloc"))
    _add_export(add("inloc", inloc, _inloc, "matches of InLoc for hloc"))
    options = parser.parse_args(argv)
    for name in ("threshold", "limit", "long_side"):
        given = getattr(options, name, None)
        if not all(value > 0 for value in (given if isinstance(given, list) else [given]) if value is not None):
            raise InputError(f"--{name.replace('_', '-')} must be above 0")
    return options


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the dataset")
    parser.add_argument(
        "--matcher",
        action="append",
        metavar="NAME",
        help=f"sift, orb, a LoFTR variant or a weights FILE ({DEFAULT_MATCHER}); repeatable where figures are printed",
    )
    parser.add_argument("--model", metavar="NAME", help="network of a weights FILE (what the file says)")
    parser.add_argument(
        "--cache", type=Path, metavar="FOLDER", help="keep matches there, and take those that are there"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="the first N pairs only, for a trial")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")


def _add_hpatches(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threshold",
        type=float,
        action="append",
        metavar="PX",
        help=f"of RANSAC, pixels of the resized images ({hpatches.THRESHOLD:g}); repeatable",
    )
    _add_json(parser)


def _add_posed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, metavar="FOLDER", help="of the index files (the dataset's FOLDER)")
    described = "; ".join(f"{name}: {describe(name, THRESHOLDS[name])}" for name in ESTIMATORS)
    parser.add_argument(
        "--estimator",
        action="append",
        choices=ESTIMATORS,
        help=f"of the pose ({' and '.join(POSE_ESTIMATORS)}); repeatable. {described}",
    )
    parser.add_argument(
        "--threshold", type=float, action="append", metavar="PX", help="of the estimator (as above); repeatable"
    )
    _add_json(parser)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pairs", type=Path, action="append", required=True, metavar="FILE", help="lines of two names; repeatable"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="for the HDF5 files")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and every pair there too")


if __name__ == "__main__":
    run(main)
