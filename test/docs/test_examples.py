"""Every example in a help text, the README and docs/ is a valid command line, and the cheap ones run."""

import dataclasses
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from loftr_ros.bridges.rtabmap import RtabmapParameters
from loftr_ros.bridges.swarm_slam import SwarmSlamParameters
from loftr_ros.parameters import LoftrParameters
from perception_common.node.parameter_file import read_parameters
from replay_ros.commands import yolc
from replay_ros.commands.yolc import COMMANDS, NODES
from yolc_ros.parameters import YolcParameters

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
PARAMETERS = {
    "yolc_node": (YolcParameters,),
    "loftr_node": (LoftrParameters,),
    "perception": (YolcParameters, LoftrParameters),
    "rtabmap_bridge": (RtabmapParameters,),
    "swarm_slam_bridge": (SwarmSlamParameters,),
    "vision_msgs_bridge": (),
}
MODULES = {key: importlib.import_module(command.module) for key, command in COMMANDS.items()}
PARSERS = {f"yolc {key}": module.build_parser(f"yolc {key}") for key, module in MODULES.items()}
PARSERS |= {module.NAME: module.build_parser() for module in MODULES.values()}
SEPARATORS = re.compile(r"\s+#|\s{2,}|\s+&&\s+|\s+\|\s+|\s+>+\s+")


def command_lines(text):
    """The lines of a text that begin with one of our commands: a line that ends in a backslash goes on in the next."""
    for line in text.replace("\\\n", " ").splitlines():
        line = line.strip().removeprefix("example: ").removeprefix("time ")
        line = re.sub(r"(?<=\S)\s{2,}(?=--)", " ", line)  # the indentation of a continued line
        for part in SEPARATORS.split(line):
            if re.match(r"export \w+=", part):
                continue  # of the shell, which has a command of the name of one of ours
            if part.split(" ")[0] in ("yolc", "ros2", *NODES, *PARSERS):
                yield part


def check(line):
    """Parse a command line with the parser of its command; nodes with their parameters."""
    words = shlex.split(line)
    if words[:2] == ["yolc", "run"] or words[:3] == ["ros2", "run", "yolc_ros"]:
        words = words[2:] if words[0] == "yolc" else words[3:]
    if words[0] == "ros2":
        return check_ros2(words)
    if words[0] in NODES:
        return check_node(words[0], words[1:])
    if words[:2] == ["yolc", "completion"]:
        assert words[2:] in [[shell] for shell in yolc.SHELLS]
        return None
    if words in (["yolc"], ["yolc", "--help"]):
        return None
    name = max((name for name in PARSERS if words[: len(name.split())] == name.split()), key=len)
    return PARSERS[name].parse_args(words[len(name.split()) :])


def check_node(node, words):
    """The parameters are those of the node and have valid values; the remapped names occur in its code."""
    arguments = iter(words)
    given = {}
    for word in arguments:
        if word == "-p":
            name, value = next(arguments).split(":=", 1)
            given[name] = value
        elif word == "-r":
            name = next(arguments).split(":=")[0]
            assert name == "__ns" or is_name_in_code(name), name
        else:
            assert word in ("--ros-args", "--help", "--log-level", "debug"), word
    kinds = PARAMETERS[node]
    known = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    assert {name for name in given if not name.startswith("qos_overrides.")} <= known
    for kind in kinds:
        names = {field.name: field for field in dataclasses.fields(kind)}
        values = {name: parsed(value, names[name].default) for name, value in given.items() if name in names}
        read_parameters(None, node, kind, values)


def parsed(text, default):
    if isinstance(default, bool):
        return {"true": True, "false": False}[text]
    return type(default)(text)


def is_name_in_code(name):
    return any(
        f'"{name}"' in path.read_text()
        for package in ("perception_common", "yolc_ros", "loftr_ros")
        for path in (REPOSITORY / package).rglob("*.py")
    )


def check_ros2(words):
    """Arguments of our launch files exist; other uses of ros2 are not ours."""
    if words[1:3] == ["launch", "yolc_ros"]:
        text = (REPOSITORY / "launch" / words[3]).read_text()
        for argument in words[4:]:
            assert f'"{argument.split(":=")[0]}"' in text, argument


# --- help texts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PARSERS)
def test_the_examples_of_a_help_text_are_valid(name):
    text = PARSERS[name].epilog
    indented = re.findall(r"^(?:  |example: ).*$", text.replace("\\\n", " "), re.MULTILINE)  # the rest is prose
    examples = list(command_lines("\n".join(indented)))
    assert [line for line in examples if line.startswith(f"{name} ") or line == name], text
    for line in examples:
        check(line)


@pytest.mark.parametrize(
    "path",
    [
        *(REPOSITORY / "yolc_ros/ros/node.py", REPOSITORY / "loftr_ros/ros/node.py", REPOSITORY / "scripts/perception"),
        *sorted((REPOSITORY / "loftr_ros" / "bridges").glob("*.py")),
        *sorted((REPOSITORY / "yolc_ros" / "bridges").glob("*.py")),
    ],
    ids=lambda path: str(path.relative_to(REPOSITORY)),
)
def test_the_example_of_a_node_is_valid(path):
    for line in re.findall(r'(?i)\bexample = "(.*)"', path.read_text()):
        check(line)


# --- pages ----------------------------------------------------------------------------------------------------------


def shell_blocks(page):
    return [block for _, block in re.findall(r"^```(|bash|sh)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_command_lines_of_a_page_are_valid(page):
    for block in shell_blocks(page):
        for line in command_lines(block):
            words = line.split()
            assert words[0] in ("yolc", "ros2"), f"{line}: only yolc is on the PATH"
            check(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_commands_in_the_text_of_a_page_exist(page):
    """`yolc ...` between backquotes may leave arguments out or shorten them; its subcommand exists."""
    for span in re.findall(r"`(yolc [^`\n]+)`", page.read_text()):
        words = span.split()[1:]
        known = {*COMMANDS, *(key.split()[0] for key in COMMANDS), yolc.RUN, yolc.COMPLETION, "--help", "COMMAND"}
        assert " ".join(words[:2]) in known or words[0] in known or words[0] == "...", span


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_targets_of_make_exist(page):
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([a-z][a-z-]*)", page.read_text(), re.MULTILINE):
        assert re.search(rf"^(?:[a-z-]+ )*{target}(?: [a-z-]+)*:", makefile, re.MULTILINE), target


# --- the cheap ones run -----------------------------------------------------------------------------------------------


def run(*words, cwd):
    command = [sys.executable, "-c", "from replay_ros.commands.yolc import script; script()", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.slow
def test_a_small_flight_and_what_is_in_it(tmp_path):
    """The example of `yolc flight`, shorter and smaller, then that of `yolc bag info`."""
    (example,) = [line for line in command_lines(PARSERS["yolc flight"].epilog) if line.startswith("yolc flight ")]
    small = ["--duration", "1", "--rate", "2", "--size", "160", "120"]
    made = run(*shlex.split(example)[1:], *small, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    (bag,) = tmp_path.iterdir()
    told = run("bag", "info", bag.name, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "camera/image" in told.stdout


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["evaluate"], ["run"], ["bag", "make", "--help"], ["completion", "bash"]]
)
@pytest.mark.slow
def test_what_needs_no_data_runs(tmp_path, words):
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "yolc" in done.stdout
