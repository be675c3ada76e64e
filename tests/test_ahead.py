"""Work in a thread: order, errors, and that it ends."""

from __future__ import annotations

import threading

import pytest

from josiecodec.coding.ahead import MOST, PIXELS, Ahead, pictures_ahead


def test_items_come_in_order_and_not_too_many_are_made():
    made, most = [], 0
    with Ahead((made.append(n) or n for n in range(200)), 3) as items:
        for n, item in enumerate(items):
            assert item == n
            most = max(most, len(made) - n)
    assert most <= 5
    assert len(made) == 200


def test_errors_come_where_the_item_would_have():
    def broken():
        yield 1
        yield 2
        raise ValueError("third")

    found = []
    with pytest.raises(ValueError, match="third"), Ahead(broken(), 4) as items:
        found.extend(items)
    assert found == [1, 2]


def test_it_ends_when_nobody_wants_more():
    before = threading.active_count()
    with pytest.raises(KeyError), Ahead(iter(int, 1), 2) as items:
        for _ in items:
            raise KeyError
    assert threading.active_count() == before


def test_few_large_pictures_wait():
    assert pictures_ahead(240, 416) == MOST
    assert pictures_ahead(4000, 8000) == 1
    assert pictures_ahead(1080, 1920) * 1080 * 1920 <= PIXELS
