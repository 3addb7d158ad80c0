"""The command flight: options and exit status."""

import pytest

from perception_common.errors import InputError
from replay_ros.bags.reader import open_bag
from replay_ros.commands.flight import build_parser, main


def test_options_reach_the_bag(tmp_path, capsys):
    arguments = ["--seed", "3", "--duration", "1", "--rate", "1", "--size", "320", "180", "--encoding", "mono8"]
    assert main([str(tmp_path / "bag"), *arguments]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'bag'}: 2 frames of seed 3\n"
    with open_bag(tmp_path / "bag") as bag:
        image = bag.first_message("camera/image")
    assert (image.width, image.height, image.encoding) == (320, 180, "mono8")


def test_numbers_that_must_be_positive(tmp_path):
    with pytest.raises(InputError, match="--rate must be positive"):
        main([str(tmp_path / "bag"), "--rate", "0"])


def test_the_help_shows_the_name_it_is_called_by():
    assert "example:\n  yolc flight city_bag" in build_parser("yolc flight").format_help()
