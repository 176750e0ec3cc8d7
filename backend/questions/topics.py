"""Which codes cover a passage, and which passages a code covers: the way to find codes that stand for a topic.

A code covers a passage by the share of its positions at which it fires. A code that fires everywhere covers every
passage, so its share in the whole build stands beside it; a *topic code* covers a passage by more than a threshold and
at least `MIN_LIFT` times as densely as the build.
"""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pandas as pd

from backend.answers.meaning import Coverage, TopicItem
from backend.calls import count_rows
from backend.errors import BadInput
from backend.questions import places as windows
from backend.store import corpus
from backend.store.reader import Reader
from backend.types import CodeRef

MIN_LIFT = 3.0
MAX_PASSAGES = 100
ITEMS_AT_ONCE = 256


def passage_codes(reader: Reader, item: int, start: int = 0, stop: int | None = None, n: int = 50) -> pd.DataFrame:
    """Find the codes that cover a passage, positions `start` to `stop` of an item (None: to its end), most special first.

    A code that fires everywhere covers every passage by the largest share and says nothing of it; so the order is by
    `bits`: how often the code fires there, times log2 of its lift.

    Returns:
        `ref, site, count, fires` (positions of the passage), `share` (of them), `corpus_share, lift, bits, tag,
        tag_precision` (the item's tag that the code says most about, and the share of its activations that lie in
        items with it), `tag_share` (the share of all positions that do).
    """
    row = _row(reader, item)
    first, length = int(reader.items.first_pos[row]), int(_lengths(reader)[row])
    last = length if stop is None else stop
    if not 0 <= start < last <= length:
        raise BadInput(
            f"Item {item} has {length} positions; {start} to {last} is not a part of it. Give 0 <= start < stop."
        )
    positions = np.arange(first + start, first + last)
    fires, _ = corpus.count_codes(reader, positions)
    count_rows(len(positions) * len(corpus.columns(reader).offset))
    everywhere = corpus.totals(reader, None)
    share, corpus_share = fires / len(positions), everywhere / reader.positions
    lift = share / np.maximum(corpus_share, 1e-12)
    firing = np.flatnonzero(fires)
    bits = fires * np.log2(np.maximum(lift, 1e-12))
    best = firing[np.lexsort((firing, -fires[firing], -bits[firing]))][: max(0, n)]
    tag, precision, base = _tags_of(reader, row, best)
    refs = corpus.refs(reader, best)
    return pd.DataFrame(
        {
            "ref": pd.Series(refs, dtype=object),
            "site": [ref.site for ref in refs],
            "count": everywhere[best],
            "fires": fires[best],
            "share": share[best],
            "corpus_share": corpus_share[best],
            "lift": lift[best],
            "bits": bits[best],
            "tag": tag,
            "tag_precision": precision,
            "tag_share": base,
        }
    )


def covered_passages(reader: Reader, ref: CodeRef, min_share: float = 0.0, n: int = 10, cap: int = 400) -> Coverage:
    """Find the items of whose positions a code fires at the largest share, `min_share` at least; `cap` tokens of each."""
    if not 0 <= min_share <= 1 or not 1 <= n <= MAX_PASSAGES:
        raise BadInput(f"Give min_share from 0 to 1 and n from 1 to {MAX_PASSAGES}, not {min_share} and {n}.")
    site = reader.site_of(ref)
    sql = "SELECT pos FROM postings WHERE site_id = ? AND code = ?"
    fires = np.unique(reader.arrays(sql, [site.site_id, ref.code])["pos"])
    lengths = _lengths(reader)
    per_item = np.bincount(reader.items.index_of(fires), minlength=len(lengths))
    share = per_item / np.maximum(lengths, 1)
    covered = np.flatnonzero((per_item > 0) & (share >= min_share))
    best = covered[np.lexsort((covered, -share[covered]))][:n]
    tags = _tags(reader)
    table = pd.DataFrame(
        {
            "item": reader.items.item[best],
            "share": share[best],
            "fires": per_item[best],
            "positions": lengths[best],
            "half": reader.items.half[best],
            "tags": pd.Series([tags[row] for row in best], dtype=object),
        }
    )
    passages = windows.contexts_at(reader, reader.items.first_pos[best], 0, cap - 1, (site, ref.code))
    return Coverage(len(covered), int((lengths > 0).sum()), table, tuple(passages))


def next_topic(reader: Reader, after_item: int = -1, threshold: float = 0.5) -> TopicItem | None:
    """Find the next item that some topic code covers by more than `threshold`, from the start again behind the last."""
    if not 0 <= threshold < 1:
        raise BadInput(f"The threshold {threshold} is not a share. Give a number from 0 to less than 1.")
    items = reader.items.item
    start = int(np.searchsorted(items, after_item, side="right"))
    for begin, end in ((start, len(items)), (0, start)):
        for block in range(begin // ITEMS_AT_ONCE, -(-end // ITEMS_AT_ONCE)):
            key = (reader.path, "topic codes", threshold, block)
            share, code = reader.cache.get(key, partial(_densest, reader, block, threshold))
            first = block * ITEMS_AT_ONCE
            rows = np.flatnonzero(share > threshold) + first
            rows = rows[(rows >= begin) & (rows < end)]
            if len(rows):
                row = int(rows[0])
                number = int(code[row - first])
                everywhere = float(corpus.totals(reader, None)[number] / reader.positions)
                best = float(share[row - first])
                return TopicItem(
                    int(items[row]), corpus.refs(reader, np.array([number]))[0], best, everywhere, best / everywhere
                )
    return None


def _densest(reader: Reader, block: int, threshold: float) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Return the topic code that covers most of each of some items: its share (0: none does), its number, and the bytes."""
    lengths = _lengths(reader)[block * ITEMS_AT_ONCE : (block + 1) * ITEMS_AT_ONCE]
    share, code = np.zeros(len(lengths)), np.full(len(lengths), -1)
    everywhere = np.maximum(corpus.totals(reader, None) / reader.positions, 1e-12)
    for length in np.unique(lengths[lengths > 0]):  # items of one length at a time: they are one array
        rows = np.flatnonzero(lengths == length)
        row, number, fires = _covering(reader, rows + block * ITEMS_AT_ONCE, int(length), threshold)
        part = fires / length
        dense = part >= MIN_LIFT * everywhere[number]
        row, number, part = row[dense], number[dense], part[dense]
        order = np.lexsort((-number, part))  # the best of each item is written last, of equal ones the first code
        share[rows[row[order]]], code[rows[row[order]]] = part[order], number[order]
    count_rows(int(lengths.sum()) * len(corpus.columns(reader).offset))
    return (share, code), share.nbytes + code.nbytes


def _covering(
    reader: Reader, rows: np.ndarray, length: int, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which codes fire at more than a share of the positions of items of one length.

    A code that fires `need` times fills `need` neighbours of its codebook's sorted codes, so it equals the one
    `need - 1` places on; it does so once for every further time.

    Returns:
        For each such pair: place in `rows`, number of the code, how often it fires there.
    """
    layout, need = corpus.columns(reader), int(threshold * length) + 1
    positions = (reader.items.first_pos[rows][:, None] + np.arange(length)).ravel()
    codes = np.concatenate(
        [block.codes[positions[part] - block.start] for block, part in corpus.code_blocks(reader, positions)]
    ).reshape(len(rows), length, -1)
    pairs = [np.empty(0, np.int64)]
    for site in reader.sites.values():
        first = layout.first[site.site_id]
        chosen = np.sort(codes[:, :, first : first + site.info.slots].reshape(len(rows), -1), axis=1)
        row, at = np.nonzero(chosen[:, need - 1 :] == chosen[:, : chosen.shape[1] - need + 1])
        chosen_codes = chosen[row, at].astype(np.int64)
        real = chosen_codes != layout.empty
        pairs.append(row[real] * layout.total + layout.offset[first] + chosen_codes[real])
    pair, times = np.unique(np.concatenate(pairs), return_counts=True)
    return pair // layout.total, pair % layout.total, times + need - 1


def _tags_of(reader: Reader, row: int, codes: np.ndarray) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return for each code the tag of an item that it says most about.

    Returns:
        The tags; the share of each code's activations that lie in items with its tag; the share of all positions that do.
    """
    tags = _tags(reader)
    everywhere = corpus.totals(reader, None)[codes]
    name, precision, base = np.full(len(codes), "", object), np.full(len(codes), np.nan), np.full(len(codes), np.nan)
    for field, value in tags[row].items():
        same = np.array([other.get(field) == value for other in tags])
        if not 1 < same.sum() < len(tags):
            continue  # a name of its own, or what is true of everything, is nothing to be precise about
        inside = reader.cache.get((reader.path, "tagged", field, value), partial(_tagged, reader, same))[codes]
        share, chance = inside / np.maximum(everywhere, 1), _lengths(reader)[same].sum() / reader.positions
        better = ~(share / chance <= precision / base)  # NaN, where there is no tag yet, is beaten by all
        name[better], precision[better], base[better] = f"{field} = {value}", share[better], chance
    return name.tolist(), precision, base


def _tagged(reader: Reader, same: np.ndarray) -> tuple[np.ndarray, int]:
    """Return how often each code fires in some items."""
    starts, lengths = reader.items.first_pos[same], _lengths(reader)[same]
    positions = np.repeat(starts - np.append(0, np.cumsum(lengths)[:-1]), lengths) + np.arange(lengths.sum())
    counts, _ = corpus.count_codes(reader, positions)
    return counts, counts.nbytes


def _tags(reader: Reader) -> list[dict[str, str]]:
    """Return the truth about each item, in the order of `reader.items`."""

    def load() -> tuple[list[dict[str, str]], int]:
        texts = reader.arrays("SELECT tags FROM items ORDER BY first_pos")["tags"]
        return [json.loads(text or "{}") for text in texts], 4 * sum(map(len, texts)) + 300 * len(texts)

    return reader.cache.get((reader.path, "tags by item"), load)  # `tags.tags` keeps them the other way round


def _lengths(reader: Reader) -> np.ndarray:
    """Return positions of each item."""
    return np.diff(np.append(reader.items.first_pos, reader.positions))


def _row(reader: Reader, item: int) -> int:
    row = np.flatnonzero(reader.items.item == item)
    if not len(row):
        raise BadInput(f"The build of {reader.model!r} has no item {item}. It has {len(reader.items.item):,} items.")
    return int(row[0])
