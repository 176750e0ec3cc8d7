"""Turns on a model: in order of arrival, one at a time, handed on whatever happens."""

from __future__ import annotations

import threading
import time

import pytest

from backend.nn.turns import Turns


def test_those_who_wait_come_in_in_order_of_arrival_before_the_first_comes_again() -> None:
    turns, seen, inside = Turns(), [], []
    started = threading.Event()

    def person(name: int) -> None:
        for _ in range(5):
            with turns.taken():
                inside.append(name)
                assert len(inside) == 1
                seen.append(name)
                started.wait()
                time.sleep(0.001)
                inside.remove(name)

    threads = []
    for name in range(4):
        threads.append(threading.Thread(target=person, args=(name,)))
        threads[-1].start()
        while len(turns._waiting) + len(inside) <= name:
            time.sleep(0.001)
    started.set()
    for thread in threads:
        thread.join(20)
    assert seen[:4] == [0, 1, 2, 3]
    # A thread comes again only a moment after it has handed on, so it may miss one round, but it never waits for two.
    for name in range(4):
        places = [place for place, one in enumerate(seen) if one == name]
        assert len(places) == 5 and max(b - a for a, b in zip(places, places[1:], strict=False)) <= 7


def test_a_turn_is_handed_on_after_an_error_and_does_not_nest() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.taken():
        raise ZeroDivisionError
    with turns.taken(), pytest.raises(RuntimeError, match="nest"), turns.taken():
        pass
    with turns.taken():
        pass
