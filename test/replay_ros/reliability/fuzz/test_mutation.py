import random

from hypothesis import given, settings
from hypothesis import strategies as st

from replay_ros.reliability.fuzz.mutation import mutate

SEEDS = st.lists(st.binary(max_size=200), min_size=1, max_size=4)


@settings(deadline=None)  # a busy machine makes them late
@given(SEEDS, st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_mutation(corpus, seed):
    first, second = (mutate(corpus[0], corpus, random.Random(seed)) for _ in range(2))
    assert first == second


def test_mutations_differ_and_reach_binary_and_text():
    rng = random.Random(0)
    corpus = [b'{"a": 1.5, "b": [2, 3]}']
    mutated = {mutate(corpus[0], corpus, rng) for _ in range(500)}
    assert len(mutated) > 350
    assert any(b"nan" in data for data in mutated)
    assert any(len(data) < 5 for data in mutated)
    assert any(len(data) > 3000 for data in mutated)


def test_an_empty_input_can_grow():
    rng = random.Random(0)
    assert any(mutate(b"", [b""], rng) for _ in range(50))
