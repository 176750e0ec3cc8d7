"""Opening builds: the newest valid one, read-only, by many threads, while others come and go."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import duckdb
import numpy as np
import pytest

from backend.errors import NoBuild, StoreError, StoreVersion, UnknownModel
from backend.explorer import Explorer
from backend.store import corpus
from backend.store.cache import ByteCache
from backend.store.reader import Library
from tests.backend import tiny_store
from tests.backend.tiny_store import MODEL, SITES

OLD, NEW, NEWER = "20250101T000000-aaaaaaaa", "20260101T000000-0123abcd", "20260102T000000-00000000"


def test_the_newest_build_is_opened_and_a_newer_one_is_noticed(tmp_path: Path) -> None:
    tiny_store.make(tmp_path, build=OLD, items=3)
    library = Library(tmp_path)
    assert library.reader(MODEL).build == OLD
    kept = library.reader(MODEL)
    assert library.reader(MODEL) is kept
    tiny_store.make(tmp_path, build=NEW, items=4)
    assert library.reader(MODEL).build == NEW
    assert len(kept.items.item) == 3, "an open reader goes on reading its own build"


def test_without_a_build_the_error_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(NoBuild, match=f"python -m backend build {MODEL}"):
        Library(tmp_path).reader(MODEL)
    with pytest.raises(UnknownModel):
        Explorer(tmp_path).codebooks("nonsense/../x")


def test_a_damaged_newer_build_is_passed_over_and_named(tmp_path: Path) -> None:
    truth = tiny_store.make(tmp_path, build=OLD, items=3)
    newer = truth.path.with_name(f"{MODEL}.{NEW}.duckdb")
    newer.write_bytes(truth.path.read_bytes()[:5000])
    truth.path.with_name(f"{MODEL}.{NEWER}.duckdb").write_text("not a store")
    library = Library(tmp_path)
    assert library.reader(MODEL).build == OLD
    assert newer.name in library.problem(MODEL)
    table = Explorer(tmp_path).models()
    row = table[table["model"] == MODEL].iloc[0]
    assert row["built"] == OLD and NEWER in row["problem"]
    truth.path.unlink()
    with pytest.raises(StoreError, match="Delete the file"):
        library.reader(MODEL)


def test_a_store_of_another_version_asks_for_a_new_build(tmp_path: Path) -> None:
    tiny_store.make(tmp_path, items=2, version=999)
    with pytest.raises(StoreVersion, match=r"999.*python -m backend build"):
        Library(tmp_path).reader(MODEL)
    tiny_store.make(tmp_path, build=OLD, items=2)
    assert Library(tmp_path).reader(MODEL).build == OLD


def test_other_files_and_models_with_dots_are_told_apart(tmp_path: Path) -> None:
    tiny_store.make(tmp_path, model="toy", items=2)
    tiny_store.make(tmp_path, model="toy.b", items=3)
    (tmp_path / "builds" / "toy.partial").mkdir()
    (tmp_path / "builds" / "toy.duckdb").write_text("")
    assert {model: len(found) for model, found in Library(tmp_path).builds().items()} == {"toy": 1, "toy.b": 1}


def test_an_open_build_can_neither_be_written_nor_left(tmp_path: Path) -> None:
    tiny_store.make(tmp_path, items=2)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    cursor = Library(tmp_path).reader(MODEL).cursor()
    for sql in (
        "DELETE FROM codes",
        f"SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')",
        f"COPY codes TO '{tmp_path / 'out.csv'}'",
        f"ATTACH '{tmp_path / 'other.duckdb'}'",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            cursor.execute(sql)
    assert not (tmp_path / "out.csv").exists()


def test_many_threads_get_the_answers_of_one(tmp_path: Path) -> None:
    truth = tiny_store.make(tmp_path)
    explorer = Explorer(tmp_path)
    refs = [truth.ref("L0.mlp", code) for code in range(8)]
    expected = [[e.pos for e in explorer.examples(ref, "random", 5)] for ref in refs]
    matches = explorer.search(MODEL, "a").matches
    fresh, wrong = Explorer(tmp_path), []

    def ask(number: int) -> None:
        for turn in range(8):
            which = (number + turn) % 8
            if [e.pos for e in fresh.examples(refs[which], "random", 5)] != expected[which]:
                wrong.append(which)
            if fresh.search(MODEL, "a").matches != matches:
                wrong.append(-1)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_code_blocks_hold_the_grid_whatever_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = tiny_store.make(tmp_path)
    reader = Library(tmp_path).reader(MODEL)
    layout = corpus.columns(reader)
    monkeypatch.setattr(corpus, "columns", lambda _: corpus.Columns(**{**vars(layout), "block": 100}))
    positions = np.arange(0, len(truth.tokens), 3)
    both, held_out = corpus.count_codes(reader, positions)
    for index, (site, size, _) in enumerate(SITES):
        begin = layout.code_offset[index]
        for code in range(size):
            fires = np.intersect1d(truth.fires(site, code), positions)
            assert both[begin + code] == len(fires)
            assert held_out[begin + code] == (truth.half_of[fires] == 1).sum()


def test_complete_grids_are_read_without_their_positions_and_give_the_same(tmp_path: Path) -> None:
    truth = tiny_store.make(tmp_path)
    reader = Library(tmp_path).reader(MODEL)
    assert len(truth.grids["L1.attn/h0"][truth.grids["L1.attn/h0"] < 0]) > 0, "this store has empty slots"
    other = tmp_path / "complete"
    path = other / "builds" / truth.path.name
    path.parent.mkdir(parents=True)
    path.write_bytes(truth.path.read_bytes())
    with duckdb.connect(str(path)) as db:  # the same with a row for every empty slot
        db.execute(
            "CREATE TEMP TABLE every AS SELECT t.pos, c.site_id, s.range AS slot FROM tokens t CROSS JOIN codebooks c "
            "CROSS JOIN range(3) s WHERE s.range < c.slots"
        )
        db.execute(
            "CREATE TEMP TABLE whole AS SELECT e.pos, e.site_id, e.slot, coalesce(code, -1), coalesce(score, 0), "
            "coalesce(margin, 0), coalesce(runner_up, -1) FROM every e LEFT JOIN grid g ON g.pos = e.pos AND "
            "g.site_id = e.site_id AND g.slot = e.slot ORDER BY e.pos, e.site_id, e.slot"
        )
        db.execute("DELETE FROM grid")
        db.execute("INSERT INTO grid SELECT * FROM whole")
    whole = Library(other).reader(MODEL)
    for (block, _), (again, _) in zip(
        corpus.code_blocks(reader, np.arange(reader.positions)),
        corpus.code_blocks(whole, np.arange(whole.positions)),
        strict=True,
    ):
        assert (block.codes == again.codes).all() and block.has_empty and again.has_empty


def test_the_cache_keeps_to_its_bytes_and_forgets_the_oldest_use() -> None:
    cache, made = ByteCache(100), []

    def make(name: str, size: int) -> tuple[str, int]:
        made.append(name)
        return name, size

    for name in ("a", "b", "a", "c", "a", "b"):
        assert cache.get((name, 1), lambda n=name: make(n, 40)) == name
    assert made == ["a", "b", "c", "b"]
    cache.get(("huge", 1), lambda: make("huge", 101))
    assert cache.used <= 100
    cache.drop("a")
    cache.get(("a", 1), lambda: make("a", 40))
    assert made[-1] == "a"


def test_a_folder_that_appears_later_is_noticed(tmp_path: Path) -> None:
    library = Library(tmp_path)
    assert library.builds() == {}
    tiny_store.make(tmp_path, items=2)
    assert list(library.builds()) == [MODEL]
    os.utime(tmp_path / "builds", (0, 0))
    assert list(library.builds()) == [MODEL]
