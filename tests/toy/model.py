"""A toy family of a new kind of items: each cell of a board gets the code whose vector is nearest to its features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from backend.data.datasets import open_dataset
from backend.types import CodebookInfo, CodeGrid, Edit, Encoded, Item, ModelSpec
from tests.toy.boards import FEATURES, Boards

WEIGHTS = "model.safetensors"
BOOKS = {"cell": (12, 1), "cell.pair": (20, 2)}  # codebook -> codes, slots


class BoardCoder:
    """Codebooks over the features of cells."""

    capabilities = frozenset({"encode"})

    def __init__(self, spec: ModelSpec, tables: Mapping[str, np.ndarray], boards: Boards) -> None:
        """Take the tables by codebook, float32 `[codes, FEATURES]`."""
        self.spec, self.tables, self.boards = spec, tables, boards

    def codebooks(self) -> Sequence[CodebookInfo]:
        """Return both, in order."""
        return [
            CodebookInfo(site, codes, FEATURES, slots, None, None, "cell", "euclidean")
            for site, (codes, slots) in BOOKS.items()
        ]

    def table(self, site: str) -> np.ndarray:
        """Return the code vectors."""
        return self.tables[site]

    def items(self, start: int, stop: int, seed: int) -> Sequence[Item]:
        """Return boards."""
        return self.boards.items(start, stop, seed)

    def encode(
        self, items: Sequence[Item], edits: Iterable[Edit] = (), *, logits: bool = False, neurons: bool = False
    ) -> Encoded:
        """Return the nearest codes of every cell."""
        features = np.concatenate([item.payload for item in items])
        grids = {}
        for info in self.codebooks():
            away = ((features[:, None] - self.tables[info.site][None]) ** 2).sum(-1)
            order = np.argsort(away, axis=1, kind="stable")[:, : info.slots + 1].astype(np.int32)
            scores = -np.sqrt(np.take_along_axis(away, order, axis=1)).astype(np.float32)
            grids[info.site] = CodeGrid(info.site, order[:, :-1], scores[:, :-1], order[:, -1], scores[:, -1])
        return Encoded(grids)


def learn(boards: Boards, seed: int) -> dict[str, np.ndarray]:
    """Return tables learnt by some rounds of k-means over the cells of a few boards."""
    features = np.concatenate([item.payload for item in boards.items(0, 60, seed)])
    tables = {}
    for site, (codes, _) in BOOKS.items():
        table = features[np.random.default_rng(seed).choice(len(features), codes, replace=False)]
        for _ in range(8):
            nearest = ((features[:, None] - table[None]) ** 2).sum(-1).argmin(1)
            table = np.stack(
                [features[nearest == code].mean(0) if (nearest == code).any() else table[code] for code in range(codes)]
            )
        tables[site] = table.astype(np.float32)
    return tables


def save(tables: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(tables), str(folder / WEIGHTS))


def open_coder(spec: ModelSpec, folder: Path, device: str, other: object) -> BoardCoder:
    """Open the door `open`."""
    return BoardCoder(spec, load_file(str(folder / WEIGHTS)), open_dataset(spec.dataset, folder))


class LiveBoards:
    """What pages and commands may ask of an opened toy model."""

    def __init__(self, coder: BoardCoder) -> None:
        """Take the opened model."""
        self.coder = coder

    def codes_of(self, board: int) -> np.ndarray:
        """Return the codes `[cell, slot]` of a board of the data set."""
        return self.coder.encode(self.coder.items(board, board + 1, 0)).grids["cell"].codes


def open_live(coder: BoardCoder, other: object) -> LiveBoards:
    """Open the door `live`."""
    return LiveBoards(coder)
