"""A toy data set of a new kind of items: boards of cells with pieces on them, no text and no picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.data.source import DataSource
from backend.types import Item

SIDE = 5
FEATURES = 6
PIECES = ("", "rook", "knight", "<b>queen</b>")  # the last one must be shown and never drawn bold
OWNERS = ("white", "black")


class Boards:
    """Board i of a seed is the same in any range; a cell's features are its piece's, its owner's and some noise."""

    def __init__(self) -> None:
        """Draw what each piece and owner looks like."""
        generator = np.random.default_rng(11)
        self._looks = generator.normal(size=(len(PIECES), FEATURES)).astype(np.float32)
        self._owners = generator.normal(size=(len(OWNERS), FEATURES)).astype(np.float32)

    def items(self, start: int, stop: int, seed: int) -> Sequence[Item]:
        """Return boards with what is true of each cell and of the whole board."""
        return [self._board(index, seed) for index in range(start, stop)]

    def _board(self, index: int, seed: int) -> Item:
        generator = np.random.default_rng([seed, index])
        cells = SIDE * SIDE
        pieces = generator.choice(len(PIECES), cells, p=[0.4, 0.3, 0.2, 0.1])
        owners = generator.integers(0, len(OWNERS), cells)
        noise = 0.3 * generator.normal(size=(cells, FEATURES)).astype(np.float32)
        features = self._looks[pieces] + (pieces > 0)[:, None] * self._owners[owners] + noise
        labels = {
            "piece": [PIECES[piece] for piece in pieces],
            "owner": [OWNERS[owner] if piece else "" for piece, owner in zip(pieces, owners, strict=True)],
        }
        white = int(((pieces > 0) & (owners == 0)).sum())
        leader = "white" if 2 * white > int((pieces > 0).sum()) else "black"
        return Item(index, (SIDE, SIDE), features, labels=labels, tags={"leader": leader})


SOURCE = DataSource("boards", "board", "boards with pieces", "Boards", lambda settings, folder: Boards())
