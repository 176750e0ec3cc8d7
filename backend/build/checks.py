"""The self-check of a finished store, before it is published: does it say what the model says?

    1. `counts`: rows of `grid`, `postings` and the sum of `codes.count` are items x positions x slots, less empty
       slots; positions are numbered without a gap
    2. `two orders`: `postings` and `grid` hold the same activations
    3. `encoded again`: at least 1 % of the items, in the batches they were encoded in, give the same texts and tokens,
       the same codes and (within 1e-4) the same scores; a code may differ only where the runner-up was within 1e-4
    4. `pictures`: those of the same items are in the store as the model was shown them, to the last bit
    5. `labels`: the hits of every code at the places of one label, joined with the grid in SQL, are those of the freshly
       encoded items
    6. `regex`: one regular expression over the texts in the store, joined with the grid in SQL, gives the same hits of
       every code as Python's `re` on freshly encoded items

The first difference raises `CheckFailed`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import duckdb
import numpy as np
import re2

from backend.analysis.pixels import to_bytes
from backend.build.engines import Job
from backend.build.shards import Shard, check_encoded, is_picture, storable
from backend.build.writer import Tick
from backend.data.images.png import decode_png
from backend.errors import CheckFailed
from backend.types import Family, Item

SHARE = 0.01
TOLERANCE = 1e-4


def check_store(
    connection: duckdb.DuckDBPyConnection, job: Job, family: Family, shards: Sequence[Shard], tick: Tick
) -> dict[str, str]:
    """Check a store against the model and against itself.

    Args:
        connection: the finished store.
        job: how the items were batched.
        family: the model.
        shards: all shards, in the order of their items.
        tick: told the checks done.

    Returns:
        Name of the check -> what was compared, in words.

    Raises:
        CheckFailed: a difference was found.
    """
    checks, items = {}, shards[-1].stop
    tick("check", 0, 6)
    checks["counts"] = _check_counts(connection, shards, items)
    tick("check", 1, 6)
    checks["two orders"] = _check_orders(connection)
    tick("check", 2, 6)
    batches = _sample([b for shard in shards for b in job.batches(shard.start, shard.stop)], items, job.seed)
    fresh = []
    for first, last in batches:
        encoded_items = family.items(first, last, job.seed)
        positions = sum(item.positions for item in encoded_items)
        fresh.append((encoded_items, check_encoded(family.encode(encoded_items), family.codebooks(), positions)[:2]))
    checks["encoded again"] = _check_encoded(connection, family, fresh, items)
    tick("check", 3, 6)
    for name, check in (("pictures", _check_pictures), ("labels", _check_labels), ("regex", _check_regex)):
        summary = check(connection, family, fresh)
        if summary:  # not every model has texts, pictures or labels
            checks[name] = summary
    tick("check", 6, 6)
    return checks


def _sample(batches: list[tuple[int, int]], items: int, seed: int) -> list[tuple[int, int]]:
    """Return whole batches, drawn by seed, that together hold at least `SHARE` of the items."""
    missing, drawn = max(1, int(np.ceil(items * SHARE))), []
    for number in np.random.default_rng([seed, items]).permutation(len(batches)):
        drawn.append(batches[number])
        missing -= batches[number][1] - batches[number][0]
        if missing <= 0:
            break
    return sorted(drawn)


def _fail(what: str, actual: object, expected: object) -> CheckFailed:
    return CheckFailed(
        f"The self-check of {what} found {actual} where {expected} was expected. Nothing was published and the build "
        f"before this one stays in use. Build again; if that fails too, the model's family is at fault."
    )


def _fetch_row(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[object] = ()) -> tuple:
    row = connection.execute(sql, list(values)).fetchone()
    assert row is not None
    return row


def _check_counts(connection: duckdb.DuckDBPyConnection, shards: Sequence[Shard], items: int) -> str:
    positions = sum(shard.positions for shard in shards)
    activations = sum(shard.activations for shard in shards)
    (slots,) = _fetch_row(connection, "SELECT coalesce(sum(slots), 0)::BIGINT FROM codebooks")
    empty = positions * slots - activations
    expected = {
        "items": (items, "SELECT count(DISTINCT item) FROM items WHERE item BETWEEN 0 AND ? - 1", [items]),
        "positions of items": (positions, "SELECT sum(positions)::BIGINT FROM items", []),
        "tokens": (positions, "SELECT count(*) FROM tokens", []),
        "first token": (0, "SELECT min(pos) FROM tokens", []),
        "last token": (positions - 1, "SELECT max(pos) FROM tokens", []),
        "numbers of tokens": (positions, "SELECT count(DISTINCT pos) FROM tokens", []),
        "rows of grid": (activations, "SELECT count(*) FROM grid", []),
        "rows of postings": (activations, "SELECT count(*) FROM postings", []),
        "activations of codes": (activations, "SELECT coalesce(sum(count), 0)::BIGINT FROM codes", []),
        "tokens outside their item": (
            0,
            "SELECT count(*) FROM tokens JOIN items USING (item) WHERE pos <> first_pos + place OR place >= positions",
            [],
        ),
    }
    for what, (number, sql, values) in expected.items():
        (actual,) = _fetch_row(connection, sql, values)
        if actual != number:
            raise _fail(what, actual, number)
    return f"{positions} positions x {slots} slots - {empty} empty = {activations} activations"


def _check_orders(connection: duckdb.DuckDBPyConnection) -> str:
    sums = [
        _fetch_row(connection, f"SELECT count(*), sum(hash(site_id, code, pos, slot, score, margin)) FROM {table}")
        for table in ("grid", "postings")
    ]
    if sums[0] != sums[1]:  # a sum of hashes does not depend on the order of rows
        raise _fail("postings against grid", f"count and checksum {sums[1]}", sums[0])
    return f"{sums[0][0]} activations have the same checksum by position and by code"


Fresh = Sequence[tuple[Sequence[Item], tuple[np.ndarray, np.ndarray]]]


def _check_encoded(connection: duckdb.DuckDBPyConnection, family: Family, fresh: Fresh, items: int) -> str:
    slots = [info.slots for info in family.codebooks()]
    first_slot = np.cumsum([0, *slots])
    compared = ties = 0
    for again, (codes, scores) in fresh:
        first, last = again[0].index, again[-1].index
        stored = connection.execute(
            "SELECT item, text FROM items WHERE item BETWEEN ? AND ? ORDER BY item", [first, last]
        ).fetchall()
        if stored != [(item.index, storable(item.text)[0]) for item in again]:
            raise _fail("texts encoded again", "another text", f"the text of items {first} to {last}")
        start, stop = _fetch_row(
            connection, "SELECT min(pos), max(pos) + 1 FROM tokens WHERE item BETWEEN ? AND ?", [first, last]
        )
        tokens = connection.execute(
            "SELECT token_id FROM tokens WHERE pos >= ? AND pos < ? ORDER BY pos", [start, stop]
        ).fetchnumpy()["token_id"]
        payload = [i.payload if i.payload.shape == (i.positions,) else np.full(i.positions, -1) for i in again]
        if not np.array_equal(tokens, np.concatenate(payload)):
            raise _fail("tokens encoded again", "other tokens", f"those of items {first} to {last}")
        rows = connection.execute(
            "SELECT pos, site_id, slot, code, score, margin FROM grid WHERE pos >= ? AND pos < ?", [start, stop]
        ).fetchnumpy()
        stored_codes = np.full(codes.shape, -1, np.int32)
        score, margin = np.zeros(codes.shape, np.float32), np.zeros(codes.shape, np.float32)
        place = rows["pos"] - start, first_slot[rows["site_id"]] + rows["slot"]
        stored_codes[place], score[place], margin[place] = rows["code"], rows["score"], rows["margin"]
        # Rounding differs between processors: two slots of nearly the same score may change places, or a code and the
        # runner-up. Then the scores still agree, and nothing is wrong.
        differs = stored_codes != codes
        close = np.abs(score - scores) <= TOLERANCE * np.maximum(1, np.abs(scores))
        tie = close & ((margin <= TOLERANCE) | _in_row(codes, stored_codes, slots))
        wrong = np.where(differs, ~tie, (stored_codes >= 0) & ~close)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise _fail(
                f"items {first} to {last} encoded again, position {start + row}",
                f"code {stored_codes[row, column]} (score {score[row, column]:.6g}) in the store",
                f"code {codes[row, column]} (score {scores[row, column]:.6g})",
            )
        codes[differs] = stored_codes[differs]  # ties: the counts of `_check_regex` take the store's choice
        compared += codes.size
        ties += int(differs.sum())
    sampled = sum(len(again) for again, _ in fresh)
    return f"{sampled} of {items} items encoded again: {compared} codes agree" + (
        f", {ties} of them ties" if ties else ""
    )


def _in_row(codes: np.ndarray, stored_codes: np.ndarray, slots: Sequence[int]) -> np.ndarray:
    """Return which of `codes`, a bool each `codes`: the stored code is among those now chosen in its codebook."""
    inside = np.zeros(codes.shape, bool)
    for first, size in zip(np.cumsum([0, *slots]).tolist(), slots, strict=False):
        part = slice(first, first + size)
        inside[:, part] = (stored_codes[:, part, None] == codes[:, None, part]).any(axis=2)
    return inside


def _check_pictures(connection: duckdb.DuckDBPyConnection, family: Family, fresh: Fresh) -> str:
    pictures = {item.index: to_bytes(item.payload) for again, _ in fresh for item in again if is_picture(item)}
    rows = connection.execute(
        "SELECT item, png FROM pictures WHERE item IN (SELECT unnest(?))", [list(pictures)]
    ).fetchall()
    stored = {item: decode_png(png) for item, png in rows}
    for item, picture in pictures.items():
        if item not in stored or not np.array_equal(stored[item], picture):
            raise _fail("pictures", "another one" if item in stored else "none", f"the picture of item {item}")
    return f"{len(pictures)} pictures are those the model was shown" if pictures else ""


def _check_labels(connection: duckdb.DuckDBPyConnection, family: Family, fresh: Fresh) -> str:
    """Check the label that occurs most often in the sample."""
    items = [item for again, _ in fresh for item in again]
    counts = Counter(
        (field, storable(value)[0])
        for item in items
        for field, values in item.labels.items()
        for value in values
        if value
    )
    if not counts:
        return ""
    (field, value), _ = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
    brute: Counter[tuple[int, int]] = Counter()
    places = 0
    site_of_slot = np.repeat(np.arange(len(family.codebooks())), [i.slots for i in family.codebooks()])
    for again, (codes, _) in fresh:
        labels = [v for item in again for v in item.labels.get(field, [""] * item.positions)]
        rows = codes[[storable(label)[0] == value for label in labels]]
        places += len(rows)
        for row in rows.tolist():
            brute.update((site, code) for site, code in zip(site_of_slot.tolist(), row, strict=True) if code >= 0)
    hits = connection.execute(
        "SELECT site_id, code, count(*) FROM grid JOIN labels USING (pos) JOIN fields USING (field_id) "
        "JOIN tokens USING (pos) WHERE field = ? AND value = ? AND item IN (SELECT unnest(?)) GROUP BY ALL",
        [field, value, [item.index for item in items]],
    ).fetchall()
    if {(site, code): n for site, code, n in hits} != dict(brute):
        raise _fail(f"the label {field} = {value!r}", f"hits of {len(hits)} codes", f"other hits of {len(brute)}")
    return f"{field} = {value!r}: {places} positions, hits of {len(hits)} codes equal a brute-force count"


def _check_regex(connection: duckdb.DuckDBPyConnection, family: Family, fresh: Fresh) -> str:
    """Search for two tokens that follow each other in the sample, the second one captured."""
    pattern = _choose_pattern([item for again, _ in fresh for item in again])
    if pattern is None:
        return ""
    brute: Counter[tuple[int, int]] = Counter()
    matches = 0
    site_of_slot = np.repeat(np.arange(len(family.codebooks())), [i.slots for i in family.codebooks()])
    for again, (codes, _) in fresh:
        row = 0
        for item in again:
            assert item.spans is not None
            starts = {m.start(1) for m in re.finditer(pattern, storable(item.text)[0])}
            for place, (a, b) in enumerate(item.spans.tolist()):
                if any(a <= start < b for start in starts):
                    matches += 1
                    here = zip(site_of_slot.tolist(), codes[row + place].tolist(), strict=True)
                    brute.update((site, code) for site, code in here if code >= 0)
            row += item.positions
    numbers = [item.index for again, _ in fresh for item in again]
    texts = connection.execute("SELECT item, text FROM items WHERE item IN (SELECT unnest(?))", [numbers]).fetchall()
    starts_in_store = [(item, m.start(1)) for item, text in texts for m in re2.finditer(pattern, text)]
    hits = connection.execute(
        """WITH matched AS (SELECT unnest(?) AS item, unnest(?) AS start),
                places AS (SELECT DISTINCT pos FROM tokens JOIN matched USING (item)
                           WHERE start >= char_start AND start < char_end)
           SELECT site_id, code, count(*) FROM grid JOIN places USING (pos) GROUP BY ALL""",
        [[item for item, _ in starts_in_store], [at for _, at in starts_in_store]],
    ).fetchall()
    if {(site, code): n for site, code, n in hits} != dict(brute):
        raise _fail(f"the regular expression {pattern!r}", f"hits of {len(hits)} codes", f"other hits of {len(brute)}")
    return f"{pattern!r}: {matches} tokens, hits of {len(hits)} codes equal a brute-force count"


def _choose_pattern(items: Sequence[Item]) -> str | None:
    for item in items:
        if item.text and item.spans is not None and len(item.spans) >= 2:
            for (a, b), (c, d) in zip(item.spans[:-1].tolist(), item.spans[1:].tolist(), strict=True):
                text = storable(item.text)[0]
                if a < b <= c < d <= len(text) and b - a < 50 and d - b < 50 and "\0" not in text[a:d]:
                    return f"{re.escape(text[a:c])}({re.escape(text[c:d])})"
    return None
