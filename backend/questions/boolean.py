"""Boolean queries over codes: together at a position, one without the other, one after the other.

The positions of each code are read sorted; a clause is an intersection, a difference, or a look-up of the next position
of the other code. All counts are exact.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from backend.answers.stored import Clause, QueryResult
from backend.errors import BadInput
from backend.questions import places as windows
from backend.questions.search import positions_of
from backend.store import corpus
from backend.store.reader import Reader
from backend.types import CodeRef

MAX_CLAUSES = 8
MAX_WITHIN = 1000
_OPERATORS = ("and", "and not", "then")


def query(
    reader: Reader,
    clauses: Sequence[Clause],
    *,
    field: str | None = None,
    value: str | None = None,
    pattern: str = "",
    n: int = 10,
    context: int = 20,
    seed: int = 0,
) -> QueryResult:
    """Find where codes fire together, without each other, or after each other; exact counts, and examples.

    Clauses are taken from left to right: the first names the code that fires at the position, each further one
    keeps the positions for which its operator holds. `field, value` and `pattern` keep the positions with that
    label and those that match.

    Example:
        `query(m, [Clause("L0.mlp", 4), Clause("L1.mlp", 7, "then", within=3)])`
    """
    started = time.perf_counter()
    if not 1 <= len(clauses) <= MAX_CLAUSES:
        raise BadInput(f"{len(clauses)} clauses were given. Give 1 to {MAX_CLAUSES}.")
    if not 0 <= n <= windows.MAX_EXAMPLES or not 0 <= context <= windows.MAX_CONTEXT:
        raise BadInput(f"Give n from 0 to {windows.MAX_EXAMPLES} and context from 0 to {windows.MAX_CONTEXT}.")
    left, steps = _fires(reader, clauses[0]), []
    steps.append((f"{clauses[0].site}:{clauses[0].code}", len(left)))
    for clause in clauses[1:]:
        left = _apply(reader, left, clause)
        steps.append((_described(clause), len(left)))
    if pattern or field is not None or value is not None:
        left = np.intersect1d(left, positions_of(reader, pattern, field, value).positions, assume_unique=True)
        what = [f"{field} = {value}"] * (field is not None) + [f"/{pattern}/"] * bool(pattern)
        steps.append((" and ".join(what), len(left)))
    shown = np.sort(np.random.default_rng(seed).permutation(len(left))[:n])
    first = reader.site_of(CodeRef(reader.model, clauses[0].site, clauses[0].code))
    return QueryResult(
        count=len(left),
        items=len(np.unique(reader.items.index_of(left))),
        held_out=int((corpus.halves(reader, left) == 1).sum()),
        positions=reader.positions,
        steps=pd.DataFrame(steps, columns=["step", "count"]),
        examples=windows.contexts_at(reader, left[shown], context, context, (first, clauses[0].code)),
        seconds=time.perf_counter() - started,
    )


def _described(clause: Clause) -> str:
    within = f" within {clause.within}" if clause.operator == "then" else ""
    return f"{clause.operator}{within} {clause.site}:{clause.code}"


def _fires(reader: Reader, clause: Clause) -> np.ndarray:
    """Return positions at which a clause's code fires: int64, ascending, each once."""
    site = reader.site_of(CodeRef(reader.model, clause.site, clause.code))
    pos = reader.arrays("SELECT pos FROM postings WHERE site_id = ? AND code = ?", [site.site_id, clause.code])["pos"]
    return np.unique(pos)


def _apply(reader: Reader, left: np.ndarray, clause: Clause) -> np.ndarray:
    if clause.operator not in _OPERATORS:
        raise BadInput(f"{str(clause.operator)[:40]!r} is not an operator. Give one of {', '.join(_OPERATORS)}.")
    other = _fires(reader, clause)
    if clause.operator == "and":
        return np.intersect1d(left, other, assume_unique=True)
    if clause.operator == "and not":
        return np.setdiff1d(left, other, assume_unique=True)
    if not 1 <= clause.within <= MAX_WITHIN:
        raise BadInput(f"within = {clause.within} is out of range. Give a number from 1 to {MAX_WITHIN}.")
    after = np.append(other, np.iinfo(np.int64).max)[np.searchsorted(other, left, side="right")]  # the next one behind
    ends = np.append(reader.items.first_pos[1:], reader.positions)
    last = np.minimum(left + clause.within, ends[reader.items.index_of(left)] - 1)
    return left[after <= last]
