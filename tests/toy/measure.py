"""What is measured of a toy model: how many of its codes are used, and how well the pieces can be told from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from backend.analysis.measures import Measures
from backend.analysis.seeds import HELD_OUT_SEED
from backend.families.kind import Other, Request
from tests.toy.model import BOOKS


def measure(coder: Any, other: Other, request: Request, into: Measures) -> None:
    """Add every figure of the model, of each seed."""
    for seed in range(request.seeds):
        request.tell(f"evaluating {coder.spec.name}, seed {seed}", seed, request.seeds)
        boards = coder.items(0, request.items, HELD_OUT_SEED + seed)
        codes = coder.encode(boards).grids["cell"].codes[:, 0]
        pieces = np.array([piece for board in boards for piece in board.labels["piece"]])
        used, total = len(np.unique(codes)), BOOKS["cell"][0]
        into.add(
            "utilization", used / total, len(codes), f"share of the {total} codes of cell that n held-out cells chose"
        )
        right = 0
        for code in np.unique(codes):
            right += int(np.unique(pieces[codes == code], return_counts=True)[1].max())
        into.add(
            "piece_accuracy", right / len(codes), len(codes), "share of held-out cells of their code's usual piece"
        )
