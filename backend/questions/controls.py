"""The control of a claim about a code: other codes of its codebook, measured on the same claim.

A code is not a control of its twin: two codes that fire together say much the same. So, for a code,

1. live codes of the same codebook, those that fire most nearly as often first;
2. without those that fire at more of the code's own positions than chance has them, by a tenth of the way to all of them;
3. eight of the first forty of these, drawn by the seed and the code alone: the same on every page, whatever the claim is.

What stands beside a claim is their mean, the lowest and the highest.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from backend.store import corpus
from backend.store.reader import Reader, Site
from backend.types import CodeRef

CONTROLS = 8
POOL = 40  # codes near in frequency that the controls are drawn from
MAX_TOGETHER = 0.1  # of the way from chance (0: independent) to firing wherever the code does (1)
SAMPLED = 128  # positions of a code, about, at which its twins are looked for
CELLS = 1 << 22  # of a table that is counted at once


def controls(reader: Reader, refs: Sequence[CodeRef], seed: int = 0) -> np.ndarray:
    """Draw the controls of some codes.

    Args:
        reader: the model's build.
        refs: the codes.
        seed: another one draws others.

    Returns:
        Numbers of codes, all codes of all codebooks being counted through: int64 `[refs, CONTROLS]`; -1 behind the last
        where a codebook has fewer.
    """
    by_site: dict[str, list[int]] = {}
    for ref in refs:
        by_site.setdefault(ref.site, []).append(ref.code)
    for name, codes in by_site.items():
        site, known = reader.sites[name], _known(reader, name, seed)
        new = np.array(sorted(set(codes) - known.keys()), np.int64)
        step = max(1, CELLS // site.info.num_codes)
        for begin in range(0, len(new), step):
            part = new[begin : begin + step]
            known.update(zip(part.tolist(), _drawn(reader, site, part, seed), strict=True))
    rows = [_known(reader, ref.site, seed)[ref.code] for ref in refs]
    return np.array(rows, np.int64).reshape(len(refs), CONTROLS)


def _known(reader: Reader, site: str, seed: int) -> dict[int, np.ndarray]:
    """Return the controls of a codebook's codes that were drawn before; whoever draws more puts them in."""
    bytes_at_most = reader.sites[site].info.num_codes * (8 * CONTROLS + 100)
    return reader.cache.get((reader.path, "controls", site, seed), lambda: ({}, bytes_at_most))


def controls_of(reader: Reader, ref: CodeRef, seed: int = 0) -> list[CodeRef]:
    """Draw the controls of one code."""
    numbers = controls(reader, [ref], seed)[0]
    return corpus.refs(reader, numbers[numbers >= 0])


def add_controls(table: pd.DataFrame, reader: Reader, numbers: np.ndarray, hits: np.ndarray, fires: np.ndarray) -> None:
    """Add what the controls of a table's codes reach: `control, controls, control_precision, control_low, control_high`.

    Args:
        table: one row a claim; changed in place. `control` names the codes, with spaces between them; `controls` says how
            many have a precision, which is then their mean, lowest and highest.
        reader: the model's build.
        numbers: what `controls` has drawn for the rows' codes: int64 `[rows, CONTROLS]`.
        hits: how often each of these fires where the row's claim is true, of the same shape.
        fires: how often each fires, of the same shape.
    """
    measured = (numbers >= 0) & (fires > 0)
    some = measured.any(1)
    precision = np.where(measured, hits / np.maximum(fires, 1), 0.0)
    table["control"] = [" ".join(map(str, corpus.refs(reader, drawn[drawn >= 0]))) for drawn in numbers]
    table["controls"] = measured.sum(1)
    table["control_precision"] = np.where(some, precision.sum(1) / np.maximum(measured.sum(1), 1), np.nan)
    table["control_low"] = np.where(some, np.where(measured, precision, np.inf).min(1, initial=np.inf), np.nan)
    table["control_high"] = np.where(some, precision.max(1, initial=0.0), np.nan)


def _drawn(reader: Reader, site: Site, codes: np.ndarray, seed: int) -> np.ndarray:
    """Return the controls of some codes of one codebook."""
    begin, size = corpus.columns(reader).code_offset[site.site_id], site.info.num_codes
    count = corpus.totals(reader, None)[begin : begin + size]
    live, rank = reader.cache.get((reader.path, "by count", site.site_id), partial(_by_count, count))
    together = _together(reader, site, codes, count)  # [codes, codes of the codebook]: share of a code's positions
    drawn = np.full((len(codes), CONTROLS), -1, np.int64)
    for row, code in enumerate(codes.tolist()):
        if rank[code] < 0:
            continue
        for reach in (2 * POOL, len(live)):  # nearly always the nearest are enough
            low = max(0, rank[code] - reach)
            near = live[low : rank[code] + reach + 1]
            near = near[np.argsort(np.abs(np.arange(len(near)) + low - rank[code]), kind="stable")[1:]]  # not itself
            if together is not None:
                chance = count[near] / reader.positions
                near = near[together[row, near] - chance < MAX_TOGETHER * (1 - chance)]
            if len(near) >= POOL:
                break
        pool, name = near[:POOL], f"{seed} {reader.model}/{site.info.site}/{code}"
        chosen = np.random.default_rng(zlib.crc32(name.encode())).permutation(len(pool))[:CONTROLS]
        drawn[row, : len(chosen)] = begin + pool[chosen]
    return drawn


def _together(reader: Reader, site: Site, codes: np.ndarray, count: np.ndarray) -> np.ndarray | None:
    """Return the share of each code's positions at which each code of the codebook fires too, on some `SAMPLED` of each.

    None where a codebook chooses one code a position: no two can fire together.
    """
    if site.info.slots == 1:
        return None
    layout = corpus.columns(reader)
    first, size, slots = layout.first[site.site_id], site.info.num_codes, site.info.slots
    values = max(size, 0xFFFF) + 1  # of a code in a block, those of empty slots included; the last one is theirs
    row_of, part = np.full(values, -1), np.zeros(values, np.float32)
    row_of[codes], part[codes] = np.arange(len(codes)), SAMPLED / np.maximum(count[codes], 1)
    wanted = part > 0
    most, at_once = float(part.max(initial=0.0)), CELLS // slots + 1
    counts, looked = np.zeros((len(codes), size), np.int64), np.zeros(len(codes), np.int64)
    for block, _ in corpus.code_blocks(reader, np.arange(reader.positions)):
        # Whether a position is looked at for a code depends on nothing but this number, so the answer is always the same.
        luck = np.random.default_rng(block.start).random(len(block.codes), np.float32)
        chosen, luck = block.codes[luck < most, first : first + slots], luck[luck < most]
        fires = np.flatnonzero(wanted[chosen])
        code, place = chosen.ravel()[fires], fires // slots
        lucky = luck[place] < part[code]
        place, row = place[lucky], row_of[code[lucky]]
        looked += np.bincount(row, minlength=len(codes))
        for begin in range(0, len(row), at_once):
            others = chosen[place[begin : begin + at_once]]
            cell = row[begin : begin + at_once, None] * size + others
            counts += np.bincount(cell[others != layout.empty], minlength=counts.size).reshape(counts.shape)
    return counts / np.maximum(looked, 1)[:, None]


def _by_count(count: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Return the live codes of a codebook by ascending count, and each one's place among them; and the bytes that takes."""
    order = np.argsort(count, kind="stable")
    live = order[count[order] > 0]
    rank = np.full(len(count), -1)
    rank[live] = np.arange(len(live))
    return (live, rank), live.nbytes + rank.nbytes
