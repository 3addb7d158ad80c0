import threading

import pytest

from perception_common.training.prefetch import prefetch


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_items_come_in_order(threads):
    assert list(prefetch(lambda n: n * n, range(20), threads)) == [n * n for n in range(20)]


def test_a_bounded_number_of_items_is_made_in_advance():
    made = []
    third = threading.Event()

    def make(number):
        made.append(number)
        if number == 2:
            third.set()
        return number

    items = prefetch(make, range(100), threads=1, ahead=2)
    next(items)
    assert third.wait(10)
    items.close()
    assert len(made) <= 4


def test_an_error_is_raised_when_the_item_is_due():
    def make(number):
        if number == 2:
            raise ValueError("no item 2")
        return number

    items = prefetch(make, range(5), threads=2)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(ValueError, match="no item 2"):
        next(items)
