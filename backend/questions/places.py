"""Places in the texts: examples of a code, the context of a position, whole items, and what fires there.

Context windows are joined with `unnest(range(...))` and an equality; joining on a range of positions is ten times
slower.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from backend.answers.stored import Context, Example, How, ItemView, Token
from backend.errors import BadInput
from backend.store import corpus
from backend.store.reader import Reader, Site
from backend.types import CodeRef

MAX_EXAMPLES = 1000
MAX_CONTEXT = 200
_HOWS = ("top", "random", "boundary")


def examples(
    reader: Reader,
    ref: CodeRef,
    how: How = "top",
    n: int = 10,
    seed: int = 0,
    context: int = 20,
    half: int | None = None,
) -> list[Example]:
    """Find places where the code fires.

    Args:
        reader: the model's build.
        ref: the code.
        how: `top`: highest score first; `random`: uniform over all activations, by `seed`; `boundary`: smallest
            margin to the runner-up first. Ties by position.
        n: how many, 1 to 1000.
        seed: of `random`.
        context: tokens before and after, 0 to 200.
        half: only items of this half.
    """
    context = _within("context", context, 0, MAX_CONTEXT)
    best = chosen_places(reader, ref, how=how, n=n, seed=seed, half=half)
    contexts = contexts_at(reader, best["pos"].to_numpy(), context, context, (reader.site_of(ref), ref.code))
    return [
        Example(
            item=place.item,
            pos=place.pos,
            place=place.place,
            before=place.before,
            token=place.token,
            after=place.after,
            score=float(row["score"]),
            margin=float(row["margin"]),
            slot=int(row["slot"]),
        )
        for place, row in zip(contexts, best.to_dict("records"), strict=True)
    ]


def chosen_places(reader: Reader, ref: CodeRef, *, how: How, n: int, seed: int, half: int | None) -> pd.DataFrame:
    """Return the chosen activations of a code, best first: `pos, slot, score, margin`.

    A running best n over batches, so that memory is bounded.

    Raises:
        UnknownCode: no such code.
        BadInput: an unknown `how`, or n out of range.
    """
    site = reader.site_of(ref)
    if how not in _HOWS:
        raise BadInput(f"{str(how)[:40]!r} is not a way to choose examples. Give one of {', '.join(_HOWS)}.")
    n = _within("n", n, 1, MAX_EXAMPLES)
    best = pd.DataFrame({"key": [], "pos": [], "slot": [], "score": [], "margin": []})
    sql = "SELECT pos, slot, score, margin FROM postings WHERE site_id = ? AND code = ?"
    for batch in reader.batches(sql, [site.site_id, ref.code]):
        if half is not None:
            inside = reader.items.half[reader.items.index_of(batch["pos"])] == half
            batch = {name: column[inside] for name, column in batch.items()}
        key = {"top": lambda b: -b["score"], "boundary": lambda b: b["margin"], "random": lambda b: _shuffle(b, seed)}[
            how
        ](batch)
        if len(key) > 4 * n:  # all that could be among the first n, ties included
            inside = key <= np.partition(key, n - 1)[n - 1]
            key, batch = key[inside], {name: column[inside] for name, column in batch.items()}
        best = (
            pd.concat([best, pd.DataFrame({"key": key, **batch})]) if len(best) else pd.DataFrame({"key": key, **batch})
        )
        best = best.sort_values(["key", "pos", "slot"], kind="stable").head(n)
    return best.astype({"pos": np.int64})


def _shuffle(batch: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """Return a pseudo-random number for each activation that depends on nothing but it and the seed (splitmix64)."""
    mixed = batch["pos"].astype(np.uint64) * np.uint64(64) + batch["slot"].astype(np.uint64)
    mixed += np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % (1 << 64))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def contexts_at(
    reader: Reader,
    positions: np.ndarray,
    before: int,
    after: int,
    code: tuple[Site, int] | None = None,
) -> list[Context]:
    """Return the context of each position, in the order given; labels filled; with `code`, where it fires too."""
    if not len(positions):
        return []
    items = reader.items
    row = items.index_of(positions)
    begin = items.first_pos[row]
    end = np.append(items.first_pos[1:], reader.positions)[row]
    low, high = np.maximum(positions - before, begin), np.minimum(positions + after + 1, end)
    wanted = np.unique(np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)]))
    tokens = _tokens(reader, wanted, code)
    at = np.searchsorted(wanted, positions)
    return [
        Context(
            item=int(items.item[row[i]]),
            pos=int(positions[i]),
            place=int(positions[i] - begin[i]),
            before=tokens[at[i] - (positions[i] - low[i]) : at[i]],
            token=tokens[at[i]],
            after=tokens[at[i] + 1 : at[i] + (high[i] - positions[i])],
        )
        for i in range(len(positions))
    ]


def _tokens(reader: Reader, wanted: np.ndarray, code: tuple[Site, int] | None = None) -> list[Token]:
    """Return the tokens at some sorted positions, with their labels; with `code` also how strongly it fires there."""
    if not len(wanted):
        return []
    places = wanted - reader.items.first_pos[reader.items.index_of(wanted)]
    labels = labels_at(reader, wanted)
    scores = _scores(reader, wanted, *code) if code is not None else {}
    return [
        Token(text, gap, pos, place, pos in scores, scores.get(pos, math.nan), labels.get(pos, {}))
        for (gap, text), pos, place in zip(
            corpus.texts_at(reader, wanted), wanted.tolist(), places.tolist(), strict=True
        )
    ]


def _scores(reader: Reader, wanted: np.ndarray, site: Site, code: int) -> dict[int, float]:
    """Return position -> score, where a code fires at some sorted positions."""
    scores: dict[int, float] = {}
    sql = "SELECT pos, score FROM postings WHERE site_id = ? AND code = ?"
    for batch in reader.batches(sql, [site.site_id, code]):
        at = np.minimum(np.searchsorted(wanted, batch["pos"]), len(wanted) - 1)
        here = wanted[at] == batch["pos"]
        scores.update(zip(batch["pos"][here].tolist(), batch["score"][here].tolist(), strict=True))
    return scores


def labels_at(reader: Reader, wanted: np.ndarray) -> dict[int, dict[str, str]]:
    """Return position -> field -> value, at some sorted positions."""
    names = {number: name for name, number in reader.fields.items()}
    if not names:
        return {}
    jump = np.flatnonzero(np.diff(wanted) > 1)  # the positions are a few runs
    low, high = wanted[np.append(0, jump + 1)], wanted[np.append(jump, len(wanted) - 1)] + 1
    rows = reader.arrays(
        "SELECT pos, field_id, value FROM labels JOIN (SELECT unnest(range(low, high)) AS pos FROM "
        "(SELECT unnest(?::BIGINT[]) AS low, unnest(?::BIGINT[]) AS high)) USING (pos) ORDER BY field_id",
        [low.tolist(), high.tolist()],
    )
    labels: dict[int, dict[str, str]] = {}
    for pos, field, value in zip(rows["pos"].tolist(), rows["field_id"].tolist(), rows["value"], strict=True):
        labels.setdefault(pos, {})[names[field]] = value
    return labels


def context(reader: Reader, pos: int, before: int = 20, after: int = 20) -> Context:
    """Return a position with the tokens around it in its item; labels filled. Raises `BadInput` outside the build."""
    before, after = _within("before", before, 0, MAX_CONTEXT), _within("after", after, 0, MAX_CONTEXT)
    _check_pos(reader, pos)
    return contexts_at(reader, np.array([pos], np.int64), before, after)[0]


def item(reader: Reader, index: int) -> ItemView:
    """Return one whole item. Raises `BadInput` where the build has none of that number."""
    first, positions = extent(reader, index)
    row = reader.table(
        "SELECT shape, half, text, tags FROM items WHERE first_pos = ? AND item = ?", [first, index]
    ).iloc[0]
    return ItemView(
        item=index,
        first_pos=first,
        shape=tuple(int(side) for side in row["shape"]),
        half=int(row["half"]),
        text=row["text"],
        tags=json.loads(row["tags"] or "{}"),
        tokens=_tokens(reader, np.arange(first, first + positions)) if positions else [],
    )


def codes_at(reader: Reader, pos: int, sites: Sequence[str] | None = None) -> pd.DataFrame:
    """Return what every codebook chose at a position: `ref, site, slot, code, score, margin, runner_up` (-1: none)."""
    _check_pos(reader, pos)
    table = _grid(reader, pos, pos + 1, sites)
    refs = [CodeRef(reader.model, site, int(code)) for site, code in zip(table["site"], table["code"], strict=True)]
    table.insert(0, "ref", pd.Series(refs, dtype=object))
    return table.drop(columns="pos")


def codes_of_item(reader: Reader, index: int, sites: Sequence[str] | None = None) -> pd.DataFrame:
    """Return what every codebook chose over one item: `place, site, slot, code, score, margin, runner_up`."""
    first, positions = extent(reader, index)
    table = _grid(reader, first, first + positions, sites)
    table.insert(0, "place", table["pos"] - first)
    return table.drop(columns="pos")


def _grid(reader: Reader, start: int, stop: int, sites: Sequence[str] | None) -> pd.DataFrame:
    ids = [site.site_id for site in reader.chosen(sites)]
    return reader.table(
        "SELECT pos, site, slot, code, score, margin, runner_up FROM grid JOIN codebooks USING (site_id) "
        "WHERE pos >= ? AND pos < ? AND code >= 0 AND list_contains(?::INTEGER[], site_id::INTEGER) "
        "ORDER BY pos, site_id, slot",
        [start, stop, ids],
    )


def extent(reader: Reader, index: int) -> tuple[int, int]:
    """Return first position and number of positions of an item."""
    items = reader.items
    row = np.flatnonzero(items.item == index) if isinstance(index, int | np.integer) else np.empty(0, int)
    if not len(row):
        raise BadInput(
            f"The build of {reader.model!r} has no item {str(index)[:40]}. It has {len(items.item):,} items, "
            f"{items.item.min() if len(items.item) else 0} to {items.item.max() if len(items.item) else 0}."
        )
    first = int(items.first_pos[row[0]])
    after = int(items.first_pos[row[0] + 1]) if row[0] + 1 < len(items.first_pos) else reader.positions
    return first, after - first


def _check_pos(reader: Reader, pos: int) -> None:
    if not isinstance(pos, int | np.integer) or not 0 <= pos < reader.positions:
        raise BadInput(f"The build has no position {str(pos)[:40]}. Give one from 0 to {reader.positions - 1}.")


def _within(name: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise BadInput(f"{name} = {value} is out of range. Give a number from {low} to {high}.")
    return int(value)
