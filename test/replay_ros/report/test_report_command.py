"""The command line of `report`."""

import pytest

from perception_common.errors import InputError
from replay_ros.commands.report import build_parser, main


def test_the_command_writes_a_report(answers, tmp_path, capsys):
    out = tmp_path / "new" / "report.html"
    assert main([str(answers), "--out", str(out), "--pictures", "3"]) == 0
    assert out.is_file()
    assert "12 frames" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(answers, tmp_path):
    with pytest.raises(InputError, match="at least 1"):
        main([str(answers), "--pictures", "0"])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another path"):
        main([str(answers), "--out", str(tmp_path / "file" / "report.html")])


def test_examples_start_with_the_program_that_was_called():
    examples = build_parser("yolc report").epilog.splitlines()[1:]
    assert all(line.startswith("  yolc re") for line in examples)
    assert "&& yolc report answers" in examples[0]
