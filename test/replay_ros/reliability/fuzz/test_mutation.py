import random
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from replay_ros.reliability.fuzz import mutation
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


class Repeating(random.Random):
    """Chooses as many mutations, and as many repetitions of as much of the input, as there can be."""

    def choice(self, items):
        return mutation._repeat if mutation._repeat in items else items[-1]

    def randrange(self, *arguments):
        self.is_end = not getattr(self, "is_end", True)
        return arguments[0] - 1 if self.is_end else 0


def test_repeated_repetitions_take_no_more_memory_than_one():
    tracemalloc.start()
    try:
        data = mutate(bytes(30_000), [b""], Repeating())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(data) == mutation._LARGEST
    assert peak < 64 * mutation._LARGEST
