from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.config import from_mapping, load_yaml, to_mapping
from perception_common.errors import InputError


@dataclass(frozen=True)
class Stage:
    width: int
    name: str = "stage"


@dataclass(frozen=True)
class Network:
    channels: tuple[int, ...]
    matching: Literal["dual_softmax", "sinkhorn"] = "dual_softmax"
    temperature: float = 0.1
    size: tuple[int, float] = (1, 2.0)
    stages: tuple[Stage, ...] = ()
    stage: Stage = Stage(3)
    threshold: float | None = None
    weights: Path | None = None
    blur: bool = False

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError("temperature must be positive")


def test_every_kind_of_field_is_read():
    network = from_mapping(
        Network,
        {
            "channels": [8, 16],
            "matching": "sinkhorn",
            "temperature": 1,  # an integer is accepted for a float
            "size": [3, 4],
            "stages": [{"width": 5}, {"width": 6, "name": "last"}],
            "stage": {"width": 7},
            "threshold": 0.5,
            "weights": "a/b",
            "blur": True,
        },
    )
    assert network == Network(
        (8, 16), "sinkhorn", 1.0, (3, 4.0), (Stage(5), Stage(6, "last")), Stage(7), 0.5, Path("a/b"), True
    )
    assert isinstance(network.temperature, float)


def test_missing_keys_take_the_default_of_the_dataclass():
    assert from_mapping(Network, {"channels": []}) == Network(channels=())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"chanels": [1]}, ["file.yaml", "'chanels'", "did you mean 'channels'"]),
        ({"zzz": 1}, ["'zzz'", "known are channels, matching"]),
        ({"stage": {"width": 1, "nmae": "x"}}, ["stage: ", "'nmae'", "'name'"]),
        ({"stages": [{"width": 1}, {}]}, ["stages[1]", "width"]),
        ({"stages": {"width": 1}}, ["stages", "list"]),
        ({"stage": None}, ["stage", "mapping"]),
        ({"channels": [8, 1.5]}, ["channels[1]", "whole number", "1.5"]),
        ({"channels": [True]}, ["channels[0]", "whole number", "True"]),
        ({"channels": "12"}, ["channels", "list"]),
        ({"size": [1, 2, 3]}, ["size", "2 values", "3"]),
        ({"temperature": True}, ["temperature", "number", "True"]),
        ({"temperature": "1e-3"}, ["temperature", "1.0e-3"]),
        ({"temperature": None}, ["temperature", "nothing"]),
        ({"temperature": -1.0}, ["file.yaml", "temperature must be positive"]),
        ({"matching": "softmax"}, ["matching", "dual_softmax, sinkhorn", "'softmax'"]),
        ({"blur": 1}, ["blur", "true or false", "1"]),
        ({"weights": 3}, ["weights", "path"]),
    ],
)
def test_errors_name_the_key_and_the_problem(change, words):
    with pytest.raises(InputError) as error:
        from_mapping(Network, {"channels": [1], **change}, "file.yaml")
    text = str(error.value)
    assert all(word in text for word in words), text
    assert "\n" not in text


def test_a_missing_required_key_is_named():
    with pytest.raises(InputError, match="required key missing: channels"):
        from_mapping(Network, {})


def test_a_yaml_file_is_read(tmp_path):
    file = tmp_path / "network.yaml"
    file.write_text("channels: [8]  # widths\nstage: {width: 2}\n")
    assert load_yaml(Network, file) == Network((8,), stage=Stage(2))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"channels: [8\nblur: true\n", "line 2"),
        (b"channels: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        (b"- 1\n", "must be a mapping"),
        (b"", "required key missing: channels"),
        (b"\xff\xfe\x00", "not a text file"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path, content, words):
    file = tmp_path / "network.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        load_yaml(Network, file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        load_yaml(Network, tmp_path / "none.yaml")


@dataclass(frozen=True)
class Residual:
    kind: Literal["residual"] = "residual"
    depth: int = 18


@dataclass(frozen=True)
class Plain:
    kind: Literal["plain"] = "plain"
    widths: tuple[int, ...] = ()


@dataclass(frozen=True)
class Model:
    backbone: Residual | Plain = Residual()
    second: Residual | Plain | None = None


def test_the_key_kind_chooses_between_the_dataclasses_of_a_union():
    content = {"backbone": {"kind": "plain", "widths": [1, 2]}, "second": {"kind": "residual"}}
    model = from_mapping(Model, content)
    assert model == Model(Plain(widths=(1, 2)), Residual())
    assert from_mapping(Model, to_mapping(model)) == model
    assert from_mapping(Model, {"second": None}) == Model()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backbone": {"depth": 18}}, ["file.yaml: backbone: ", "'kind'", "residual, plain"]),
        ({"backbone": None}, ["backbone: ", "'kind'", "residual, plain"]),
        ({"backbone": {"kind": "hourglass"}}, ["backbone.kind: ", "residual, plain", "'hourglass'"]),
        ({"backbone": {"kind": ["plain"]}}, ["backbone.kind: ", "residual, plain", "['plain']"]),
        ({"backbone": {"kind": "plain", "depth": 18}}, ["backbone: ", "unknown key 'depth'", "known are kind, widths"]),
        ({"second": {"kind": "residual", "depth": "18"}}, ["second.depth: ", "whole number"]),
    ],
)
def test_errors_in_a_union_name_the_kinds(change, words):
    with pytest.raises(InputError) as error:
        from_mapping(Model, change, "file.yaml")
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_union_of_dataclasses_without_kinds_is_a_defect():
    @dataclass(frozen=True)
    class Bad:
        value: Stage | Plain = Plain()

    with pytest.raises(TypeError, match="value"):
        from_mapping(Bad, {"value": {"kind": "plain"}})


@dataclass(frozen=True)
class Figures:
    by_name: dict[str, tuple[int, float]]
    free: dict[str, Any]
    best: Literal["high", "low"] | float = "high"


def test_mappings_and_words_or_a_number_are_read():
    read = from_mapping(Figures, {"by_name": {"a": [1, 2]}, "free": {"x": [None, {}]}, "best": 1})
    assert read == Figures({"a": (1, 2.0)}, {"x": [None, {}]}, 1.0)
    assert from_mapping(Figures, {"by_name": {}, "free": {}, "best": "low"}).best == "low"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"by_name": ["a"]}, "by_name: must be a mapping, not ['a']"),
        ({"by_name": {"a": ["x", 2]}}, "by_name.a[0]: must be a whole number, not 'x'"),
        ({"by_name": {5: [1, 2]}}, "by_name: has the key 5, which is no text"),
        ({"best": "middle"}, "best: must be one of high, low, not 'middle'"),
        ({"best": None}, "best: must be a number, not nothing"),
    ],
)
def test_errors_in_mappings_name_the_place(change, words):
    with pytest.raises(InputError) as error:
        from_mapping(Figures, {"by_name": {}, "free": {}} | change)
    assert words in str(error.value)


def test_an_unsupported_field_type_is_a_type_error():
    @dataclass(frozen=True)
    class Bad:
        value: int | str = 0

    with pytest.raises(TypeError, match="value"):
        from_mapping(Bad, {"value": 1})


numbers = st.floats(0.001, 1e6)
stages = st.builds(Stage, width=st.integers(), name=st.text())
networks = st.builds(
    Network,
    channels=st.lists(st.integers()).map(tuple),
    matching=st.sampled_from(["dual_softmax", "sinkhorn"]),
    temperature=numbers,
    size=st.tuples(st.integers(), numbers),
    stages=st.lists(stages).map(tuple),
    stage=stages,
    threshold=st.none() | numbers,
    weights=st.none() | st.just(Path("some/file")),
    blur=st.booleans(),
)


@settings(deadline=None, max_examples=50)
@given(networks)
def test_a_written_configuration_is_read_back_unchanged(network):
    assert from_mapping(Network, yaml.safe_load(yaml.safe_dump(to_mapping(network)))) == network
