import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from perception_common.errors import InputError
from perception_common.weights import save_weights
from yolc_ros.network.config import HrnetConfig, YolcConfig
from yolc_ros.network.yolc import Yolc, initialise
from yolc_ros.training.initial_weights import load_initial_weights

SMALL = YolcConfig(
    class_names=("bus", "car", "person"),
    backbone=HrnetConfig(8, 4, 1, (4, 8, 16, 32), (1, 1, 1), 1),
    neck_width=16,
    heatmap_width=2,
    box_width=8,
)


def network(*classes: str, seed: int) -> Yolc:
    made = Yolc(replace(SMALL, class_names=classes))
    initialise(made, seed)
    return made.eval()


@pytest.fixture
def known(tmp_path: Path) -> tuple[Yolc, Path]:
    """A network with three classes, and its file."""
    made = network(*SMALL.class_names, seed=1)
    save_weights(
        made.state_dict(), tmp_path / "known.safetensors", {"model": json.dumps({"class_names": SMALL.class_names})}
    )
    return made, tmp_path / "known.safetensors"


@torch.no_grad()
def test_classes_in_another_order_have_the_heatmaps_of_their_sources(known):
    old, path = known
    new = network("walker", "lorry", "van", seed=2)
    load_initial_weights(new, path, ("person", "bus", "car"))
    image = torch.rand(1, 3, 64, 96)
    assert torch.allclose(new(image).heatmap, old(image).heatmap[:, [2, 0, 1]], atol=1e-5)


def test_fewer_and_repeated_classes_take_the_layers_of_their_sources(known):
    old, path = known
    new = network("walker", "rider", "van", "lorry", seed=2)
    load_initial_weights(new, path, ("person", "person", "car", "bus"))
    last = [name for name in new.state_dict() if name.startswith("bbox_head.local_head")][-1]
    assert torch.equal(new.state_dict()[last], old.state_dict()[last][[2, 2, 1, 0]])
    load_initial_weights(network("walker", seed=2), path, ("person",))


def test_without_sources_the_classes_must_be_the_same(known):
    old, path = known
    same = network(*SMALL.class_names, seed=2)
    load_initial_weights(same, path, ())
    assert all(torch.equal(a, b) for a, b in zip(old.state_dict().values(), same.state_dict().values(), strict=True))
    with pytest.raises(InputError, match="does not fit Yolc"):
        load_initial_weights(network("walker", seed=2), path, ())


@pytest.mark.parametrize(
    ("sources", "words"),
    [(("boat",), "has no boat; its classes are bus, car, person"), (("car", "car"), "2 names for 1 classes")],
)
def test_sources_that_do_not_fit_are_named(known, sources, words):
    with pytest.raises(InputError, match=words):
        load_initial_weights(network("walker", seed=2), known[1], sources)


def test_a_file_without_class_names_is_named(tmp_path):
    save_weights(network("car", seed=1).state_dict(), tmp_path / "bare.safetensors", {})
    with pytest.raises(InputError, match="does not say its classes"):
        load_initial_weights(network("car", seed=1), tmp_path / "bare.safetensors", ("car",))
