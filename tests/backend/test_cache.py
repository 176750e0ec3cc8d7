"""What is kept of builds: one thread makes a thing while others make other things; what is remembered outlives its reader."""

from __future__ import annotations

import threading
import time

from backend.store.cache import ByteCache


def test_one_thread_makes_a_thing_and_all_others_get_it() -> None:
    cache, made = ByteCache(100), []

    def make() -> tuple[str, int]:
        made.append(threading.get_ident())
        time.sleep(0.1)
        return "block", 10

    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(cache.get(("a", 1), make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["block"] * 8 and len(made) == 1


def test_nobody_waits_for_what_another_makes() -> None:
    cache, started, go_on = ByteCache(100), threading.Event(), threading.Event()

    def slow() -> tuple[str, int]:
        started.set()
        assert go_on.wait(10)
        return "slow", 10

    thread = threading.Thread(target=lambda: cache.get(("a", "slow"), slow))
    thread.start()
    assert started.wait(10)
    assert cache.get(("a", "quick"), lambda: ("quick", 10)) == "quick"
    assert cache.remember(("a", "name"), lambda: "name") == "name"
    go_on.set()
    thread.join(10)
    assert cache.get(("a", "slow"), lambda: ("made twice", 10)) == "slow"


def test_a_failure_is_not_kept_and_does_not_lock_anybody_out() -> None:
    cache = ByteCache(100)
    for _ in range(2):
        try:
            cache.get("key", lambda: 1 // 0)
        except ZeroDivisionError:
            pass
    assert cache.get("key", lambda: ("now", 1)) == "now" and not cache._making


def test_what_is_small_is_remembered_when_its_build_was_let_go() -> None:
    cache = ByteCache(100)
    assert cache.remembered(("a", "names")) is None
    cache.remember(("a", "names"), lambda: "first")
    cache.get(("a", "block"), lambda: ("block", 10))
    cache.drop("a")
    assert cache.used == 0
    assert cache.remember(("a", "names"), lambda: "second") == "first" == cache.remembered(("a", "names"))
