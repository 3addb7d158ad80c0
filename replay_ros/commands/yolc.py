"""The command `yolc`: one command with a subcommand for each tool of the package.

Only the module of the chosen subcommand is imported, so `yolc --help` is instant.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from perception_common.cli import quick_imports, run
from perception_common.errors import InputError
from replay_ros.live.processes import find_executable

NAME = "yolc"


@dataclass(frozen=True)
class Command:
    """A subcommand. module: has NAME, build_parser(prog) and main(arguments, prog). help: one line."""

    module: str
    help: str


_COMMANDS = "replay_ros.commands"
COMMANDS: Mapping[str, Command] = {
    "demo": Command(f"{_COMMANDS}.demo", "run a simulated flight, or your own, through both nodes"),
    "bag make": Command(f"{_COMMANDS}.make_bag", "make a bag of images, a video or a dataset's sequence"),
    "bag info": Command(f"{_COMMANDS}.bag_info", "list what is in a bag, and what of it is usable"),
    "flight": Command(f"{_COMMANDS}.flight", "make a bag of a simulated flight with exact ground truth"),
    "replay": Command(f"{_COMMANDS}.replay", "run a bag through the networks, or through the live nodes"),
    "report": Command(f"{_COMMANDS}.report", "show a replay as one HTML file"),
    "compare": Command(f"{_COMMANDS}.compare", "compare the results of two replays"),
    "fleet": Command(f"{_COMMANDS}.fleet", "replay or evaluate many bags, on this machine or on a Ray cluster"),
    "evaluate pairs": Command(f"{_COMMANDS}.evaluate.pairs", "measure pose and homography errors on image pairs"),
    "evaluate make-pairs": Command(
        f"{_COMMANDS}.evaluate.make_pairs", "make image pairs with homographies of photographs"
    ),
    "evaluate detection": Command(f"{_COMMANDS}.evaluate.detection", "measure average precision on labelled images"),
    "evaluate motion": Command(f"{_COMMANDS}.evaluate.motion", "compare the poses in a bag with the ground truth"),
    "evaluate protocol": Command(f"{_COMMANDS}.evaluate.protocol", "run a published protocol, such as HPatches"),
    "train yolc": Command("yolc_ros.training.train", "train the detection network"),
    "train loftr": Command("loftr_ros.training.train", "train the matching network"),
    "export": Command(f"{_COMMANDS}.export", "write a network as ONNX files, checked against torch"),
    "benchmark": Command(f"{_COMMANDS}.benchmark", "measure speed and memory beside a peer, in one run"),
    "reliability": Command(f"{_COMMANDS}.reliability", "run the nodes under long load, faults and hostile input"),
}
NODES: Mapping[str, str] = {
    "perception": "detection and matching in one process",
    "yolc_node": "detection",
    "loftr_node": "matching",
    "rtabmap_bridge": "add relative poses to RTAB-Map's graph",
    "swarm_slam_bridge": "match keyframes for Swarm-SLAM",
    "vision_msgs_bridge": "publish detections as vision_msgs",
}
RUN, COMPLETION = "run", "completion"  # the two subcommands that are defined in this file
SHELLS = ("bash", "zsh", "tcsh")
_OWN_HELP = {RUN: "run a node: run NODE --ros-args ...", COMPLETION: "print the completion script of a shell"}
_HELP_FLAGS = ("-h", "--help")
_EXAMPLES = """
examples:
  {prog} demo
  {prog} bag info flight_bag
  {prog} run perception --ros-args -r image:=/camera/image -r camera_info:=/camera/camera_info
"""
_PACKAGES = ("perception_common", "yolc_ros", "loftr_ros", "flight_sim", "replay_ros")


def main(arguments: list[str] | None = None, prog: str = NAME, commands: Mapping[str, Command] = COMMANDS) -> int:
    """Run the subcommand that the arguments name and return its exit status, 2 for an unknown one.

    Without a subcommand, or for a group such as `bag`, list the subcommands. Raises InputError as the subcommand does.
    """
    given = sys.argv[1:] if arguments is None else arguments
    for count in (2, 1):
        key = " ".join(given[:count])
        if key in commands:
            full_name = f"{prog} {key}"
            return _load(commands[key], key).main(given[count:], prog=full_name)
    if given[:1] == [RUN]:
        return _run_node(given[1:], f"{prog} {RUN}")
    if given[:1] == [COMPLETION]:
        return _print_completion(given[1:], prog, commands)
    return _list_commands(given, prog, commands)


def build_parser(prog: str = NAME, commands: Mapping[str, Command] = COMMANDS) -> argparse.ArgumentParser:
    """Build one parser of all subcommands, for shell completion. Imports every subcommand, which takes seconds."""
    parser = argparse.ArgumentParser(prog=prog, description="The tools of yolc_ros.")
    top = parser.add_subparsers(metavar="COMMAND", required=True)
    groups: dict[str, argparse._SubParsersAction] = {}
    for key, command in commands.items():
        group, _, name = key.rpartition(" ")
        if group and group not in groups:
            parent = top.add_parser(group, help=", ".join(_members(group, commands)))
            groups[group] = parent.add_subparsers(metavar="COMMAND", required=True)
        own = _load(command, key).build_parser(f"{prog} {key}")
        (groups[group] if group else top).add_parser(
            name, parents=[own], add_help=False, prog=own.prog, help=command.help, description=own.description
        )
    node = top.add_parser(RUN, help=_OWN_HELP[RUN])
    node.add_argument("node", choices=NODES, help="; ".join(f"{name}: {about}" for name, about in NODES.items()))
    node.add_argument("arguments", nargs="*", metavar="...", help="for the node, as --ros-args ...")
    top.add_parser(COMPLETION, help=_OWN_HELP[COMPLETION]).add_argument("shell", choices=SHELLS)
    return parser


def script() -> NoReturn:
    """Run `yolc` as the script that pip installs."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads must not occupy the CPU
    run(main)


def _load(command: Command, key: str) -> ModuleType:
    """Import the module of a subcommand. Raises InputError when a package that it needs is missing."""
    try:
        with quick_imports():
            return importlib.import_module(command.module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        package = missing.split(".")[0]
        is_message = missing in ("yolc_ros.msg", "yolc_ros.srv") or package.endswith(("_msgs", "_interfaces"))
        if package == "rclpy" or is_message:
            raise InputError(f"{key} needs ROS ({missing} is missing): run `make`, then `source setup.bash`") from error
        if package in _PACKAGES:
            raise  # a defect
        raise InputError(f"{key} needs {package}: run `pip install '.[evaluation]'` in the checkout") from error


def _members(group: str, keys: Mapping[str, object]) -> list[str]:
    return [key.removeprefix(f"{group} ") for key in keys if key.startswith(f"{group} ")]


def _list_commands(given: list[str], prog: str, commands: Mapping[str, Command]) -> int:
    """Print the subcommands, of a group where one is given. Refuse an unknown word with status 2."""
    table = {key: command.help for key, command in commands.items()} | _OWN_HELP
    group = given[0] if given and _members(given[0], table) else ""
    rest = given[1:] if group else given
    place = f"{prog} {group}".rstrip()
    if rest and rest[0] not in _HELP_FLAGS:
        known = {name: f"{place} {name}" for name in _members(group, table)}
        if not group:
            known = {command.module.rpartition(".")[2]: f"{prog} {key}" for key, command in commands.items()}
            known |= {node: f"{prog} {RUN} {node}" for node in NODES}
            known |= {word: f"{prog} {word}" for key in table for word in (key, key.split()[0])}
        return _refuse(place, "command", rest[0], known)
    print(f"usage: {place} COMMAND ...\n")
    _print_table({key: about for key, about in table.items() if not group or key.startswith(f"{group} ")})
    print(f"\n`{place} COMMAND --help` explains a command." if group else _EXAMPLES.format(prog=prog))
    return 0


def _print_table(table: Mapping[str, str]) -> None:
    width = max(map(len, table))
    for name, about in table.items():
        print(f"  {name:{width}}  {about}")


def _refuse(place: str, what: str, word: str, known: Mapping[str, str]) -> int:
    """Report an unknown word in one line. known: what to suggest for each word. Returns the exit status 2."""
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean `{known[near[0]]}`?" if near else f"see `{place} --help`"
    print(f"{place}: there is no {what} {word!r}: {hint}", file=sys.stderr)
    return 2


def _run_node(arguments: list[str], place: str) -> int:
    """Replace this process by the executable of a node. Raises InputError when the ROS package is not built."""
    if not arguments or arguments[0] in _HELP_FLAGS:
        print(f"usage: {place} NODE ...\n")
        _print_table(NODES)
        print(f"\nexample:\n  {place} perception --ros-args -r image:=/camera/image -p image_transport:=compressed")
        return 0
    name = arguments[0]
    if name not in NODES:
        return _refuse(place, "node", name, {node: f"{place} {node}" for node in NODES})
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, str(find_executable(name)), *arguments[1:]])
    return 0  # not reached


def _print_completion(arguments: list[str], prog: str, commands: Mapping[str, Command]) -> int:
    parser = argparse.ArgumentParser(
        prog=f"{prog} {COMPLETION}",
        description="Print the script that completes the command line in a shell.",
        epilog=f"example:\n  {prog} {COMPLETION} bash > ~/.local/share/bash-completion/completions/{NAME}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS)
    shell = parser.parse_args(arguments).shell
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise InputError(f"{parser.prog} needs shtab: pip install shtab") from error
    combined = build_parser(prog, commands)
    _prepare_for_shtab(combined, shtab.FILE)
    print(shtab.complete(combined, shell))
    return 0


def _prepare_for_shtab(parser: argparse.ArgumentParser, files: object) -> None:
    """Complete paths by file names (shtab reads the attribute `complete`); shtab takes a dict for subparsers."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                _prepare_for_shtab(each, files)
        elif action.choices is not None:
            action.choices = tuple(action.choices)
        elif action.type is Path:
            action.complete = files  # type: ignore[attr-defined]
