"""A small real store made through schema.sql, with everything it was made from at hand as plain Python and numpy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from backend.store import SCHEMA, SCHEMA_VERSION
from backend.types import CodeRef

MODEL = "toy-1.5"
BUILD = "20260101T000000-0123abcd"
SITES = [("L0.mlp", 12, 1), ("L1.attn/h0", 30, 3), ("L1.mlp", 9, 1)]  # site, codes, slots
WORDS = ["der", "Der", "größe", "naïve", "日本", "🙂", "e\u0301", "<b>", "a", "b", "ab", "x1", "42", "\t", "fin."]
NEURON_POSITIONS = 100


@dataclass
class Truth:
    """What the store was made from.

    Attributes:
        data_dir, path: where the store is.
        texts, halves, lengths: of each item.
        tokens: `(pos, item, place, char_start, char_end, token)` rows.
        grids: site -> int `[position, slot]`, -1 is empty; `scores`, `margins`: float alike.
        labels: `(field, value, pos)`.
        ranks: neuron site -> uint16 `[neuron, NEURON_POSITIONS]`: rank of each activation, 0 lowest.
    """

    data_dir: Path
    path: Path
    texts: list[str]
    halves: np.ndarray
    lengths: np.ndarray
    tokens: list[tuple[int, int, int, int, int, str]]
    grids: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]
    margins: dict[str, np.ndarray]
    labels: list[tuple[str, str, int]]
    ranks: dict[str, np.ndarray]

    @property
    def half_of(self) -> np.ndarray:
        """Half of each position."""
        return np.repeat(self.halves, self.lengths)

    def ref(self, site: str, code: int) -> CodeRef:
        """A code of the store."""
        return CodeRef(MODEL, site, code)

    def fires(self, site: str, code: int) -> np.ndarray:
        """Positions where a code fires, from the grid."""
        return np.flatnonzero((self.grids[site] == code).any(axis=1))


def make(
    data_dir: Path,
    *,
    model: str = MODEL,
    build: str = BUILD,
    items: int = 40,
    seed: int = 0,
    version: int = SCHEMA_VERSION,
) -> Truth:
    """Write a store into `data_dir/builds`."""
    rng = np.random.default_rng(seed)
    texts, tokens, lengths = [], [], []
    pos = 0
    for item in range(items):
        text, length = "", int(rng.integers(1, 14))
        for place in range(length):
            text += ["", " ", "  ", "·"][rng.integers(4)]  # belongs to no token
            word = WORDS[rng.integers(len(WORDS))]
            tokens.append((pos, item, place, len(text), len(text) + len(word), word))
            text += word
            pos += 1
        texts.append(text)
        lengths.append(length)
    halves = rng.integers(0, 2, items).astype(np.int8)
    grids, scores, margins = {}, {}, {}
    for site, size, slots in SITES:
        weights = 1 / np.arange(1, size - 1)  # the last two codes are dead
        draw = np.stack([rng.choice(size - 2, slots, replace=False, p=weights / weights.sum()) for _ in range(pos)])
        if slots > 1:
            draw[rng.random(pos) < 0.1, slots - 1] = -1
        grids[site] = draw
        scores[site] = -np.sort(-rng.random((pos, slots)).astype(np.float32), axis=1)
        margins[site] = scores[site] - scores[site].min(axis=1, keepdims=True) + rng.random((pos, 1)).astype(np.float32)
    # One code says something: code 11 of L0.mlp (dead otherwise) fires where the token is "der" or "Der", mostly.
    isder = np.array([t[5].lower() == "der" for t in tokens])
    grids["L0.mlp"][isder & (rng.random(pos) < 0.9), 0] = 11
    labels = [("word", t[5], t[0]) for t in tokens if t[5].isalpha()] + [
        ("even", str(p % 2 == 0), p) for p in range(pos)
    ]
    on = isder[:NEURON_POSITIONS]
    activations = rng.random((5, len(on))) + np.outer(np.arange(5) == 3, on) * 0.5
    ranks = {"L0.mlp": activations.argsort(axis=1).argsort(axis=1).astype(np.uint16)}
    path = data_dir / "builds" / f"{model}.{build}.duckdb"
    truth = Truth(
        data_dir, path, texts, halves, np.array(lengths), tokens, grids, scores, margins, sorted(labels), ranks
    )
    _write(truth, path, model, version)
    return truth


def _write(truth: Truth, path: Path, model: str, version: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = duckdb.connect(str(path))
    db.execute(SCHEMA.read_text())
    positions = len(truth.tokens)
    facts = {
        "schema_version": version,
        "model": model,
        "family": "toy",
        "kind": "text",
        "title": "A toy",
        "capabilities": ["encode"],
        "dataset": {"name": "words"},
        "finished": "2026-01-01T00:00:00+00:00",
        "items": len(truth.texts),
        "positions": positions,
        "neuron_positions": NEURON_POSITIONS,
    }
    rows: dict[str, list[tuple]] = {"facts": [(k, json.dumps(v)) for k, v in facts.items()]}
    rows["codebooks"] = [
        (i, site, site.split(".")[1][:4], int(site[1]), 0 if "h" in site else None, size, 4, slots, "cosine", "pca")
        for i, (site, size, slots) in enumerate(SITES)
    ]
    first = np.cumsum([0, *truth.lengths])[:-1]
    rows["items"] = [
        (i, int(first[i]), int(truth.lengths[i]), [int(truth.lengths[i])], int(truth.halves[i]), text, '{"n": "1"}')
        for i, text in enumerate(truth.texts)
    ]
    rows["tokens"] = [(pos, item, place, 7, a, b, token) for pos, item, place, a, b, token in truth.tokens]
    rows["fields"] = [(0, "even"), (1, "word")]
    rows["labels"] = [(["even", "word"].index(field), value, pos) for field, value, pos in truth.labels]
    postings, codes, neighbours, together = [], [], [], []
    item_of = np.repeat(np.arange(len(truth.texts)), truth.lengths)
    for i, (site, size, slots) in enumerate(SITES):
        grid = truth.grids[site]
        for p in range(positions):
            for s in range(slots):
                if grid[p, s] >= 0:
                    score, margin = float(truth.scores[site][p, s]), float(truth.margins[site][p, s])
                    postings.append((i, int(grid[p, s]), p, s, score, margin))
        for code in range(size):
            where = truth.fires(site, code)
            codes.append(
                (i, code, len(where), len(set(item_of[where])), len(where) / positions, 0.5, [float(code)] * 4)
                + ((0.1, 0.2) if len(where) else (None, None))
                + (0.3, 0.4)
            )
        neighbours += [(i, 0, rank, rank + 1, 1 - rank / 10) for rank in range(3)]
        together += [(i, 0, (i + 1) % 3, rank, 5, 2.0 - rank) for rank in range(3)]
    rows["postings"] = sorted(postings)
    rows["grid"] = sorted((p, i, s, c, score, margin, 1) for i, c, p, s, score, margin in postings)
    rows["codes"], rows["neighbours"], rows["cooccurrence"] = codes, neighbours, together
    rows["neurons"] = [
        (site, n, row.astype("<u2").tobytes()) for site, ranks in truth.ranks.items() for n, row in enumerate(ranks)
    ]
    rows["metrics"] = [("lm_loss", 1.5, 1.4, 1.6, 1000, 3, "Nats a token.")]
    for table, values in rows.items():
        columns = pa.table({f"c{i}": list(column) for i, column in enumerate(zip(*values, strict=True))})
        db.register("given", columns)
        db.execute(f"INSERT INTO {table} SELECT * FROM given")
        db.unregister("given")
    db.close()


def frame_of(truth: Truth) -> pd.DataFrame:
    """The tokens as a table."""
    return pd.DataFrame(truth.tokens, columns=["pos", "item", "place", "char_start", "char_end", "token"])
