"""Files that cannot be written are refused before the work, not after it."""

import pytest

from perception_common.errors import InputError
from replay_ros.commands import benchmark, reliability, replay
from replay_ros.commands.evaluate import detection, motion, pairs, protocol

COMMANDS = {
    benchmark: ["--only", "lite"],
    reliability: ["fuzz", "--amount", "1"],
    replay: ["no_bag", "answers"],
    detection: ["no_labels.json"],
    motion: ["no_bag"],
    pairs: ["no_pairs.json"],
    protocol: ["hpatches", "."],
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda module: module.NAME)
def test_json_is_checked_first(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/x.json cannot be written \(Not a directory\)"):
        command.main([*COMMANDS[command], "--json", "file/x.json"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
