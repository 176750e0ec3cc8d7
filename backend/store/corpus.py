"""The two things a search looks at everywhere, read in blocks and kept as compact arrays while there is room.

- `CodeBlock`: the codes of a run of positions, `[position, column]`; a column is one slot of one codebook.
- `TextBlock`: the texts of a run of items as UTF-8, and where each token lies in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from backend.calls import count_rows
from backend.store.reader import Reader, Site
from backend.types import CodeRef

BLOCK_BYTES = 8 << 20
BLOCK_POSITIONS = 1 << 17


@dataclass(frozen=True)
class Columns:
    """How the codes of all codebooks lie side by side.

    Attributes:
        offset: int64 `[column]`: number of code 0 of the column's codebook when all codes are counted through.
        first: site id -> its first column; `slots` columns follow.
        total: number of codes of all codebooks.
        empty: the value in a block that stands for an empty slot.
        dtype: of the blocks.
        block: positions in a block.
    """

    offset: np.ndarray
    first: dict[int, int]
    code_offset: dict[int, int]
    total: int
    empty: int
    dtype: np.dtype
    block: int


@dataclass(frozen=True)
class CodeBlock:
    """The codes of positions `start` to `start + len(codes)`: `[position, column]`."""

    start: int
    codes: np.ndarray
    has_empty: bool


@dataclass(frozen=True)
class TextBlock:
    """Some items: their texts in UTF-8, and the bytes of every token counted through all of them.

    Attributes:
        first_pos: position of the first token.
        texts: Arrow strings, one an item.
        data: the same texts end to end.
        base: int64 `[item + 1]`: where each text begins in `data`, and where the last one ends.
        first: int64 `[item]`: the first token of each item, counted from `first_pos`.
        start, end: int32 `[position]`: bytes of each token in `data`.
        marks: two control characters that occur nowhere in `data`; empty where there are no two.
    """

    first_pos: int
    texts: pa.LargeStringArray
    data: bytes
    base: np.ndarray
    first: np.ndarray
    start: np.ndarray
    end: np.ndarray
    marks: str


def columns(reader: Reader) -> Columns:
    """Return the columns of a build's code blocks."""
    return reader.cache.get((reader.path, "columns"), partial(_lay_out_columns, list(reader.sites.values())))


def _lay_out_columns(sites: Sequence[Site]) -> tuple[Columns, int]:
    first: dict[int, int] = {}
    code_offset: dict[int, int] = {}
    offset: list[int] = []
    total = 0
    for site in sites:
        first[site.site_id], code_offset[site.site_id] = len(offset), total
        offset += [total] * site.info.slots
        total += site.info.num_codes
    small = max((site.info.num_codes for site in sites), default=0) < 0xFFFF
    dtype = np.dtype(np.uint16 if small else np.int32)
    block = max(1024, min(BLOCK_POSITIONS, BLOCK_BYTES // (max(1, len(offset)) * dtype.itemsize)))
    layout = Columns(np.array(offset, np.int64), first, code_offset, total, 0xFFFF if small else -1, dtype, block)
    return layout, layout.offset.nbytes + 200 * len(sites)


def code_blocks(reader: Reader, positions: np.ndarray) -> Iterator[tuple[CodeBlock, slice]]:
    """Yield the blocks that hold any of the sorted positions `positions`, each with the slice of them that lies in it."""
    layout = columns(reader)
    for start in range(0, reader.positions, layout.block):
        stop = min(start + layout.block, reader.positions)
        low, high = np.searchsorted(positions, (start, stop))
        if low == high:
            continue
        part = slice(int(low), int(high))
        yield reader.cache.get((reader.path, "codes", start), partial(_load_codes, reader, start, stop)), part


def _load_codes(reader: Reader, start: int, stop: int) -> tuple[CodeBlock, int]:
    layout = columns(reader)
    width = len(layout.offset)
    codes = np.full((stop - start) * width, layout.empty, layout.dtype)
    at = 0
    complete = reader.arrays("SELECT count(*) AS n FROM grid WHERE pos >= ? AND pos < ?", [start, stop])["n"][0] == len(
        codes
    )
    if complete:  # then the rows, sorted as they are, are the block
        for batch in reader.batches("SELECT code FROM grid WHERE pos >= ? AND pos < ?", [start, stop]):
            codes[at : at + len(batch["code"])] = batch["code"]  # -1 becomes `empty`
            at += len(batch["code"])
    else:
        first = np.zeros(max(layout.first, default=0) + 1, np.int64)
        first[list(layout.first)] = list(layout.first.values())
        sql = "SELECT pos, site_id, slot, code FROM grid WHERE pos >= ? AND pos < ?"
        for batch in reader.batches(sql, [start, stop]):
            where = (batch["pos"] - start) * width + first[batch["site_id"]] + batch["slot"]
            codes[where] = batch["code"].astype(layout.dtype)
    has_empty = bool((codes == layout.empty).any())
    return CodeBlock(start, codes.reshape(stop - start, width), has_empty), codes.nbytes + 200


def count_codes(reader: Reader, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many of some sorted positions each code fires at: int64 `[total]`, of both halves and of half 1."""
    layout = columns(reader)
    by_half = np.zeros((2, layout.total), np.int64)
    for block, part in code_blocks(reader, positions):
        codes = block.codes[positions[part] - block.start]
        held_out = halves(reader, positions[part]) == 1
        for half, inside in enumerate((~held_out, held_out)):
            by_half[half] += _count_block(layout, block, codes[inside])
    return by_half.sum(axis=0), by_half[1]


def codes_of_site(reader: Reader, site: Site) -> np.ndarray:
    """Return what one codebook chose at every position: `[position, slot]`; `num_codes` stands for an empty slot."""
    layout = columns(reader)
    first = layout.first[site.site_id]
    chosen = np.empty((reader.positions, site.info.slots), layout.dtype)
    for block, part in code_blocks(reader, np.arange(reader.positions)):
        chosen[part] = block.codes[:, first : first + site.info.slots]
        if block.has_empty:
            chosen[part][chosen[part] == layout.empty] = site.info.num_codes
    return chosen


def refs(reader: Reader, numbers: np.ndarray) -> list[CodeRef]:
    """Return the codes of some numbers, all codes of all codebooks being counted through."""
    sites, layout = list(reader.sites.values()), columns(reader)
    begins = np.array([layout.code_offset[site.site_id] for site in sites], np.int64)
    of_site = np.searchsorted(begins, numbers, side="right") - 1
    return [
        CodeRef(reader.model, sites[s].info.site, int(number - begins[s]))
        for s, number in zip(of_site, numbers, strict=True)
    ]


def _count_block(layout: Columns, block: CodeBlock, codes: np.ndarray) -> np.ndarray:
    numbered = codes + layout.offset  # int64 [positions, columns]
    if block.has_empty:
        return np.bincount(numbered[codes != layout.empty], minlength=layout.total)
    return np.bincount(numbered.ravel(), minlength=layout.total)


def totals(reader: Reader, half: int | None) -> np.ndarray:
    """Return how many positions of a half (None: of all) each code fires at: int64 `[total]`."""

    def all_totals() -> tuple[tuple[np.ndarray, np.ndarray], int]:
        both, held_out = count_codes(reader, np.arange(reader.positions))
        return (both, held_out), both.nbytes * 2

    both, held_out = reader.cache.get((reader.path, "totals"), all_totals)
    return both if half is None else held_out if half == 1 else both - held_out


def halves(reader: Reader, positions: np.ndarray) -> np.ndarray:
    """Return the half of each position: int8."""
    return reader.items.half[reader.items.index_of(positions)]


def text_blocks(reader: Reader, positions: np.ndarray | None = None) -> Iterator[TextBlock]:
    """Yield the texts of all items, in order; with sorted `positions` only the blocks that hold any of them."""
    items = reader.items
    # A block begins with the first item at or behind every multiple of BLOCK_POSITIONS.
    first = np.unique(np.searchsorted(items.first_pos, np.arange(0, reader.positions, BLOCK_POSITIONS)))
    starts = [int(items.first_pos[item]) for item in first if item < len(items.first_pos)]
    for start, stop in zip(starts, [*starts[1:], reader.positions], strict=True):
        if positions is None or np.diff(np.searchsorted(positions, (start, stop)))[0]:
            yield reader.cache.get((reader.path, "text", start), partial(_load_text, reader, start, stop))


def texts_at(reader: Reader, positions: np.ndarray) -> list[tuple[str, str]]:
    """Return the exact text between the token before and each token, and of the token, at some sorted positions."""
    texts: list[tuple[str, str]] = []
    for block in text_blocks(reader, positions):
        low, high = np.searchsorted(positions, (block.first_pos, block.first_pos + len(block.start)))
        at = positions[low:high] - block.first_pos
        start, end = block.start[at], block.end[at]
        item = np.searchsorted(block.first, at, side="right") - 1
        behind = np.where(at == block.first[item], block.base[item], block.end[at - 1])
        data = block.data
        texts += [
            (data[c:a].decode() if c < a else "", data[a:b].decode())
            for a, b, c in zip(start.tolist(), end.tolist(), behind.tolist(), strict=True)
        ]
    count_rows(len(texts))
    return texts


def _load_text(reader: Reader, start: int, stop: int) -> tuple[TextBlock, int]:
    items = reader.arrays(
        "SELECT text, first_pos FROM items WHERE first_pos >= ? AND first_pos < ? ORDER BY first_pos", [start, stop]
    )
    tokens = reader.arrays(
        "SELECT char_start, char_end FROM tokens WHERE pos >= ? AND pos < ? ORDER BY pos", [start, stop]
    )
    begin, end = tokens["char_start"].astype(np.int64), tokens["char_end"].astype(np.int64)
    texts = [text.encode("utf-8") for text in items["text"]]
    bounds = np.append(items["first_pos"], stop) - start
    base = np.cumsum([0, *map(len, texts)])
    for number, text in enumerate(texts):
        part = slice(bounds[number], bounds[number + 1])
        if len(text) != len(items["text"][number]):  # characters are not bytes here
            begins = np.frombuffer(text, np.uint8) & 0xC0 != 0x80
            at = np.append(np.flatnonzero(begins), len(text))
            begin[part], end[part] = at[begin[part]], at[end[part]]
        begin[part] += base[number]
        end[part] += base[number]
    data = b"".join(texts)
    used = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    free = [chr(byte) for byte in range(1, 32) if not used[byte]][:2]
    block = TextBlock(
        first_pos=start,
        texts=pa.array(texts, pa.large_binary()).cast(pa.large_string()),
        data=data,
        base=base,
        first=bounds[:-1],
        start=begin.astype(np.int32),
        end=end.astype(np.int32),
        marks="".join(free) if len(free) == 2 else "",
    )
    return block, 2 * len(data) + 24 * len(base) + 8 * (stop - start)
