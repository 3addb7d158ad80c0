"""The help of the evaluation commands under another program name."""

import pytest

from replay_ros.commands.evaluate import detection as evaluate_detection
from replay_ros.commands.evaluate import motion as evaluate_motion
from replay_ros.commands.evaluate import pairs as evaluate_pairs
from replay_ros.commands.evaluate import protocol as evaluate_protocol


@pytest.mark.parametrize("command", [evaluate_detection, evaluate_motion, evaluate_pairs, evaluate_protocol])
def test_examples_start_with_the_program_name(command):
    for prog in (command.NAME, "yolc evaluate"):
        text = command.build_parser(prog).format_help()
        examples = text.partition("\nexample:\n")[2].replace("\\\n", "").splitlines()
        assert len(examples) > 1
        assert all(line.startswith(f"  {prog} ") for line in examples)
