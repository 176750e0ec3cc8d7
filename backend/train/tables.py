"""A comparison that `reproduce` makes, training included, as it is seen from the outside. Nothing heavy is imported here.

A family's `tables` door is a mapping from a table's name to a `Table`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.types import Progress

Record = dict[str, Any]  # what `results/TABLE.json` holds, without the commit


@dataclass(frozen=True)
class Measured:
    """What was measured of a model.

    Attributes:
        metrics: name -> value, low, high, n, seeds, definition.
        edits: `FIELD=VALUE` -> the edits, as commands write them, that steering was measured with.
    """

    metrics: Mapping[str, Mapping[str, Any]]
    edits: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Reproduction:
    """How a person wants a table made.

    Attributes:
        data_dir: where models, training states and the record go.
        measure: name of a model of the catalog, and whom to tell how far it is -> everything that `evaluate` says of it, with
            `seeds` seeds.
        fast: few steps and small batches: shows that everything runs, proves nothing. Names end in `-quick` then.
        seeds: of the evaluation.
        seed: of the training.
        device: `auto`, `cpu` or `cuda`.
        rows: names of the rows to make; all where it is empty.
        progress: called with (what, done, total).
    """

    data_dir: Path
    measure: Callable[[str, Progress], Measured]
    fast: bool = False
    seeds: int = 3
    seed: int = 0
    device: str = "auto"
    rows: tuple[str, ...] = ()
    progress: Progress | None = None


@dataclass(frozen=True)
class Table:
    """One comparison.

    Attributes:
        about: one line for people.
        rows: the names of its models, in the order in which they are made.
        make: trains and measures what is wanted; yields the record after every row, with the names of the rows that are
            still `missing` while there are some. Rows that are there with the very same settings are not trained again.
        alone: some rows can be made without the others.
    """

    about: str
    rows: tuple[str, ...]
    make: Callable[[Reproduction], Iterator[Record]]
    alone: bool = False
