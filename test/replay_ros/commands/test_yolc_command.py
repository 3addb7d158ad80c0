"""The command `yolc`: it finds the subcommand, imports nothing else, and names the nearest one for a typing error."""

import argparse
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from perception_common.errors import InputError
from replay_ros.commands import yolc
from replay_ros.commands.yolc import COMMANDS, NODES, Command, build_parser, main


@pytest.fixture
def commands(monkeypatch):
    """A table of two subcommands, whose modules record what they are called with in `calls`."""

    def stub(name):
        module = ModuleType(name)

        def parser(prog=name):
            result = argparse.ArgumentParser(prog=prog, description=f"Does {name}.")
            result.add_argument("bag", type=Path)
            result.add_argument("--storage", choices=("mcap", "sqlite3"))
            return result

        def run(arguments=None, prog=name):
            calls.append((prog, parser(prog).parse_args(arguments)))
            return 7

        module.NAME, module.build_parser, module.main = name, parser, run
        monkeypatch.setitem(sys.modules, name, module)

    calls = []
    for name in ("make_bag", "replay"):
        stub(name)
    table = {"bag make": Command("make_bag", "makes a bag"), "replay": Command("replay", "plays a bag")}
    return table, calls


@pytest.mark.parametrize(
    ("arguments", "prog"),
    [(["bag", "make", "out", "--storage", "mcap"], "yolc bag make"), (["replay", "out"], "yolc replay")],
)
def test_a_subcommand_gets_its_arguments_and_full_name(commands, arguments, prog):
    table, calls = commands
    assert main(arguments, commands=table) == 7
    ((called, given),) = calls
    assert called == prog
    assert given.bag == Path("out")


def test_an_error_of_a_subcommand_names_it_in_full(commands, capsys):
    table, _ = commands
    with pytest.raises(SystemExit) as end:
        main(["bag", "make"], commands=table)
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("yolc bag make: error:")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_all_subcommands_are_listed(capsys, arguments):
    assert main(arguments) == 0
    listed = [line.strip().split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert [each for each in listed if each in COMMANDS] == list(COMMANDS)
    assert {"run", "completion"} <= set(listed)


@pytest.mark.parametrize("arguments", [["evaluate"], ["evaluate", "--help"]])
def test_the_subcommands_of_a_group_are_listed(capsys, arguments):
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: yolc evaluate COMMAND")
    assert "evaluate motion" in out
    assert "bag make" not in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rport"], "yolc: there is no command 'rport': did you mean `yolc report`?"),
        (["make_bag", "x"], "yolc: there is no command 'make_bag': did you mean `yolc bag make`?"),
        (["loftr_node"], "yolc: there is no command 'loftr_node': did you mean `yolc run loftr_node`?"),
        (["bag", "inof"], "yolc bag: there is no command 'inof': did you mean `yolc bag info`?"),
        (["bag", "zzz"], "yolc bag: there is no command 'zzz': see `yolc bag --help`"),
        (["--verbose"], "yolc: there is no command '--verbose': see `yolc --help`"),
        (["run", "percepton"], "yolc run: there is no node 'percepton': did you mean `yolc run perception`?"),
    ],
)
def test_an_unknown_word_is_one_line_with_the_nearest_name(capsys, arguments, line):
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", line + "\n")


@pytest.mark.slow
def test_help_imports_no_library(repository):
    code = (
        "import sys; from replay_ros.commands.yolc import main; main(['--help']); main(['bag']); "
        "sys.exit(' '.join({'torch', 'cv2', 'numpy', 'rclpy', 'yaml'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_missing_package_is_one_line_that_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("no_such_library", "no_such_msgs"):
        (tmp_path / f"needs_{name}.py").write_text(f"import {name}\n")
    table = {"demo": Command("needs_no_such_library", ""), "flight": Command("needs_no_such_msgs", "")}
    with pytest.raises(InputError, match=r"^demo needs no_such_library: run `pip install"):
        main(["demo"], commands=table)
    with pytest.raises(InputError, match=r"^flight needs ROS \(no_such_msgs is missing\): run `make`"):
        main(["flight"], commands=table)
    with pytest.raises(ModuleNotFoundError):  # a defect of ours keeps its traceback
        main(["demo"], commands={"demo": Command("replay_ros.commands.no_such_command", "")})


def test_a_node_replaces_the_process(monkeypatch):
    monkeypatch.setattr(yolc, "find_executable", lambda name: Path("/lib") / name)
    called = []
    monkeypatch.setattr(yolc.os, "execv", lambda path, arguments: called.append((path, arguments)))
    main(["run", "perception", "--ros-args", "-p", "model:=x"])
    assert called == [(sys.executable, [sys.executable, "/lib/perception", "--ros-args", "-p", "model:=x"])]


def test_the_nodes_are_listed(capsys):
    assert main(["run"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in NODES)


def test_the_combined_parser_parses_as_the_subcommand_does(commands):
    table, calls = commands
    given = build_parser("yolc", table).parse_args(["bag", "make", "out", "--storage", "mcap"])
    main(["bag", "make", "out", "--storage", "mcap"], commands=table)
    assert calls[0][1] == given


COMPLETE = """
source /dev/stdin
COMP_WORDS=({words} "{last}") COMP_CWORD={count}
_shtab_yolc
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "last", "expected"),
    [
        (["yolc"], "", {"bag", "replay", "run", "completion"}),
        (["yolc", "bag"], "", {"make"}),
        (["yolc", "replay"], "--st", {"--storage"}),
        (["yolc", "replay", "--storage"], "s", {"sqlite3"}),
        (["yolc", "run"], "yolc_", {"yolc_node"}),
    ],
)
@pytest.mark.slow
def test_bash_completes_words(commands, capsys, words, last, expected):
    table, _ = commands
    assert main(["completion", "bash"], commands=table) == 0
    script = COMPLETE.format(words=" ".join(words), last=last, count=len(words))
    shell = ["bash", "-c", script.replace("source /dev/stdin", "source /dev/stdin || exit 1")]
    done = subprocess.run(shell, input=capsys.readouterr().out, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_a_script(commands, capsys, shell):
    table, _ = commands
    assert main(["completion", shell], commands=table) == 0
    assert "replay" in capsys.readouterr().out


def test_every_executable_is_a_subcommand_or_a_node(repository):
    """CMakeLists.txt gives the same module to the executable as the table gives to the subcommand."""
    text = (repository / "CMakeLists.txt").read_text().split("set(executables")[1].split(")")[0]
    executables = dict(entry.split("=") for entry in text.split())
    modules = {command.module for command in COMMANDS.values()} | {yolc.__name__}
    assert {name for name, module in executables.items() if module not in modules} == set(NODES) - {"perception"}
    assert modules <= set(executables.values())
