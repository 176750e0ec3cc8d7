"""Runs the benchmarks of `tests/benchmarks`, each in a process of its own, and keeps the record `results/benchmarks.json`."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backend.catalog import ROOT
from backend.catalog.records import BENCHMARK_RECORD, read_record
from backend.errors import BadInput, CodescopeError
from backend.files import write_atomically
from backend.types import Progress

FOLDER = "tests/benchmarks"
FIELDS = ("name", "ratio", "value", "unit", "reference", "goal")
_PROGRAM = (
    "import importlib, json, sys; module = importlib.import_module(sys.argv[1]); "
    "print(json.dumps(module.BENCHMARKS[sys.argv[2]](sys.argv[3] == 'quick')))"
)
Row = dict[str, Any]


def benchmarks() -> dict[str, list[str]]:
    """List `build` -> the names in `BENCHMARKS` of the file `tests/benchmarks/bench_build.py`, for every file there."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    groups = [file.stem.removeprefix("bench_") for file in sorted((ROOT / FOLDER).glob("bench_*.py"))]
    return {group: list(importlib.import_module(_module(group)).BENCHMARKS) for group in groups}


def run_benchmarks(name: str | None, data_dir: Path, *, quick: bool, progress: Progress) -> list[Row]:
    """Run benchmarks; returns their rows, each with the `FIELDS`.

    Args:
        name: of one benchmark, or of one group; None: all.
        data_dir: where the record is written, rows of other benchmarks kept.
        quick: a fraction of the size, to see that it works; the record is left as it is.
        progress: called with (what, done, total).

    Raises:
        BadInput: there is no such benchmark.
        CodescopeError: one failed.
    """
    known = benchmarks()
    chosen = [(group, each) for group, names in known.items() for each in names if name in (None, group, each)]
    if not chosen:
        names = dict.fromkeys([*known, *(each for names in known.values() for each in names)])
        raise BadInput(f"There is no benchmark {str(name)[:40]!r}. Known: {', '.join(names) or 'none'}.")
    record = _record_file(data_dir)
    # read before anything is measured, so that a damaged record costs no time
    earlier = read_record(record)["benchmarks"] if name is not None and not quick and record.is_file() else []
    rows: list[Row] = []
    for done, (group, each) in enumerate(chosen):
        progress(f"benchmark, {group}: {each}", done, len(chosen))
        rows += [{field: row.get(field) for field in FIELDS} for row in _run(group, each, quick)]
    progress("benchmark", len(chosen), len(chosen))
    if not quick:
        _write_record(rows, earlier, record)
    return rows


def _record_file(data_dir: Path) -> Path:
    return data_dir / "results" / BENCHMARK_RECORD


def _write_record(rows: Sequence[Row], earlier: Sequence[Row], path: Path) -> None:
    """Write what was measured, when, and on what, in the place of the earlier rows of those names."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    fresh = {row["name"]: {**row, "measured": now} for row in rows}
    record = {
        "measured": now,
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "processor": platform.machine()},
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "duckdb", "numpy")}
        | {"python": platform.python_version()},
        "benchmarks": [*(fresh.pop(row["name"], row) for row in earlier), *fresh.values()],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(record, indent=1) + "\n")


def _module(group: str) -> str:
    return f"{FOLDER.replace('/', '.')}.bench_{group}"


def _run(group: str, name: str, quick: bool) -> Sequence[Mapping[str, Any]]:
    """Return the rows of one benchmark, measured in a fresh process: no other one's memory or caches are in them."""
    command = [sys.executable, "-c", _PROGRAM, _module(group), name, "quick" if quick else "full"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = process.stdout.splitlines()
    if process.returncode != 0 or not lines:
        errors = process.stderr.strip().splitlines()
        reason = errors[-1] if errors else "it printed nothing"
        raise CodescopeError(f"The benchmark {name!r} of {group!r} failed: {reason}.")
    rows: Sequence[Mapping[str, Any]] = json.loads(lines[-1])
    return rows
