"""Hashes of bags and settings."""

import shutil

from replay_ros.result.provenance import hash_of_bag, hash_of_values


def test_the_hash_of_a_bag_depends_on_its_content_only(tmp_path):
    bag = tmp_path / "bag"
    bag.mkdir()
    (bag / "metadata.yaml").write_text("a")
    (bag / "bag_0.mcap").write_bytes(b"first")
    (bag / "bag_1.mcap").write_bytes(b"second")
    whole = hash_of_bag(bag)
    shutil.copytree(bag, tmp_path / "copy")
    (tmp_path / "copy" / "metadata.yaml").write_text("b")
    assert hash_of_bag(tmp_path / "copy") == whole
    (bag / "bag_1.mcap").write_bytes(b"another")
    assert hash_of_bag(bag) != whole
    assert hash_of_bag(bag / "bag_0.mcap") != hash_of_bag(bag / "bag_1.mcap")


def test_the_order_of_keys_does_not_matter():
    assert hash_of_values({"a": 1, "b": [1, 2]}) == hash_of_values({"b": [1, 2], "a": 1})
    assert hash_of_values({"a": 1}) != hash_of_values({"a": 2})
