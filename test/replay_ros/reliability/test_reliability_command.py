"""The command offers every run of docs/reliability.md with the options that the run takes."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from perception_common.errors import InputError
from replay_ros.commands.reliability import SUBJECTS, main
from replay_ros.reliability.report import ReliabilityReport

ROOT = Path(__file__).parents[3]


def test_every_run_of_the_documentation_is_offered():
    documented = re.findall(r"^\| `make (\w+)`", (ROOT / "docs" / "reliability.md").read_text(), re.MULTILINE)
    assert len(documented) >= 5
    assert set(documented) == set(SUBJECTS)


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_command_passes_on_the_options_that_a_run_takes(name, monkeypatch, tmp_path):
    subject = SUBJECTS[name]
    module = importlib.import_module(f"replay_ros.reliability.{subject.module}")
    taken = set(inspect.signature(getattr(module, subject.run)).parameters) & {"seed", "only"}
    assert taken == set(subject.takes)

    def run(amount, folder, **options):
        given.append((amount, options))
        return ReliabilityReport(name, "nothing ran", {}, [])

    given = []
    monkeypatch.setattr(module, subject.run, run)
    words = {"seed": ["--seed", "7"], "only": ["--only", "kill"]}
    options = [word for option in subject.takes for word in words[option]]
    assert main([name, "--amount", "3", "--folder", str(tmp_path), *options]) == 0
    values = {"seed": 7, "only": ["kill"]}
    assert given == [(3, {option: values[option] for option in subject.takes})]
    for option in words.keys() - taken:
        with pytest.raises(InputError, match=f"{name} has no use for --{option}"):
            main([name, "--folder", str(tmp_path), *words[option]])
