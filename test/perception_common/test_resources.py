from pathlib import Path

import pytest

from perception_common import resources
from perception_common.errors import InputError


def make_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.fixture
def source_tree(tmp_path, monkeypatch):
    make_files(
        tmp_path,
        "perception_common/__init__.py",
        "config/perception.yaml",
        "config/models/loftr_lite.yaml",
        "config/models/loftr_indoor_ds.yaml",
        "config/models/yolc_lite.yaml",
        "weights/loftr_lite.safetensors",
    )
    monkeypatch.setattr(resources, "find_share", lambda: tmp_path)
    return tmp_path


def test_a_source_tree_has_its_data_beside_the_package(tmp_path):
    make_files(tmp_path, "perception_common/__init__.py", "config/models/loftr_lite.yaml")
    assert resources.find_share(tmp_path / "perception_common") == tmp_path


@pytest.mark.parametrize("folder", ["lib/python3.12/site-packages", "local/lib/python3.12/dist-packages"])
def test_an_installed_package_has_its_data_in_share(tmp_path, folder):
    make_files(tmp_path, f"{folder}/perception_common/__init__.py", "share/yolc_ros/config/models/loftr_lite.yaml")
    assert resources.find_share(tmp_path / folder / "perception_common") == tmp_path / "share" / "yolc_ros"


def test_a_package_without_data_is_an_error(tmp_path):
    with pytest.raises(InputError, match="install the package"):
        resources.find_share(tmp_path / "perception_common")


def test_this_package_finds_its_own_data():
    assert resources.find_config("fastdds_large_images.xml").is_file()


def test_a_configuration_is_found_by_name(source_tree):
    assert resources.find_config("models/loftr_lite.yaml") == source_tree / "config" / "models" / "loftr_lite.yaml"


def test_an_unknown_configuration_lists_the_existing_ones(source_tree):
    with pytest.raises(InputError, match=r"'models/lofter\.yaml'.*models/loftr_lite\.yaml.*perception\.yaml"):
        resources.find_config("models/lofter.yaml")


def test_shipped_weights_are_found_by_model(source_tree):
    assert resources.find_weights("loftr_lite") == source_tree / "weights" / "loftr_lite.safetensors"
    assert resources.find_weights("loftr_indoor_ds") is None


def test_models_are_listed_by_prefix(source_tree):
    assert resources.list_models("loftr_") == ["indoor_ds", "lite"]
    assert resources.list_models("yolc_") == ["lite"]
    assert resources.list_models("other_") == []


def test_weights_can_be_the_shipped_ones_a_file_or_none(source_tree):
    assert resources.choose_weights("loftr_lite", "default") == source_tree / "weights" / "loftr_lite.safetensors"
    assert resources.choose_weights("yolc_lite", "default") is None  # none are shipped
    assert resources.choose_weights("loftr_lite", "~/mine.ckpt") == Path.home() / "mine.ckpt"
    assert resources.choose_weights("loftr_lite", "none") is None
    assert resources.choose_weights("loftr_lite", None) is None
