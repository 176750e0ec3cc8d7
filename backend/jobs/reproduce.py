"""Whole comparisons with their training: `python -m backend reproduce TABLE`, the record that the pages and the README show.

What a table compares, and how its rows are made, is known by the family behind whose `tables` door it stands; here the record
is written, after every row. A run that was stopped goes on from the rows and training states it finds.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend import catalog, families
from backend.errors import UsageError
from backend.families.kind import Request
from backend.files import write_atomically
from backend.train.tables import Measured, Record, Reproduction, Table
from backend.types import Progress


def tables() -> dict[str, Table]:
    """Return every table that can be made, by its name."""
    return {name: table for _, known in families.doors("tables") for name, table in known.items()}


def reproduce(
    name: str,
    data_dir: Path,
    *,
    fast: bool = False,
    seeds: int = 3,
    seed: int = 0,
    device: str = "auto",
    rows: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Record:
    """Train and measure every row of a table; returns the record, which is also in `results/NAME.json`.

    The trained models join the catalog of the data directory, a fast run's under names that end in `-quick`.

    Args:
        name: key of `tables`.
        data_dir: where models, training states and the record go.
        fast: few steps and small batches; the record says so and is called `NAME-quick`.
        seeds: of the evaluation.
        seed: of the training.
        device: `auto`, `cpu` or `cuda`.
        rows: names of the rows to make, of a table whose rows stand alone; all by default.
        progress: called with (what, done, total).

    Raises:
        UsageError: there is no such table or row, or its rows cannot be chosen.
    """
    known = tables()
    if name not in known:
        raise UsageError(f"There is no table {name[:60]!r}. Known: {', '.join(known)}.")
    table = known[name]
    if rows and not table.alone:
        raise UsageError(f"The rows of {name} build on each other: they cannot be chosen.")

    def measure(model: str, progress: Progress) -> Measured:
        from backend.jobs.evaluate import evaluate
        from backend.train.runs import measuring_device

        measures = evaluate(model, data_dir, Request(seeds, progress=progress), measuring_device(device))
        metrics = {key: dataclasses.asdict(metric) for key, metric in measures.metrics().items()}
        return Measured(metrics, measures.edits)

    record: Record = {}
    for rows_so_far in table.make(Reproduction(data_dir, measure, fast, seeds, seed, device, rows, progress)):
        record = {"table": rows_so_far["table"], "commit": _commit()} | rows_so_far
        write_record(record, data_dir)
    return record


def write_record(record: Mapping[str, Any], data_dir: Path) -> Path:
    """Write `results/TABLE.json` at once or not at all."""
    path = catalog.inside(data_dir, Path("results") / f"{record['table']}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(record, indent=1) + "\n")
    return path


def _commit() -> str:
    """Return the commit of the code, with `+` where files differ from it; empty outside a repository."""
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            cwd=catalog.ROOT,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip()
