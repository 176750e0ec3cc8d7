"""The records in `results/`: what `reproduce` and `bench` wrote, read with a look at everything that is shown of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.errors import CheckpointError

BENCHMARK_RECORD = "benchmarks.json"


def record_files(folder: Path) -> list[Path]:
    """List the records of a data directory."""
    return sorted((folder / "results").glob("*.json"))


def read_record(path: Path) -> dict[str, Any]:
    """Read one record: of a comparison, or `benchmarks.json`.

    Raises:
        CheckpointError: it is not JSON, or lacks what a record of its kind has.
    """
    command = "bench" if path.name == BENCHMARK_RECORD else f"reproduce {path.stem.removesuffix('-quick')}"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if path.name == BENCHMARK_RECORD:
            record["benchmarks"] = [{**row, "name": str(row["name"])} for row in record["benchmarks"]]
            return record
        if record["table"] != path.stem:
            raise ValueError(f"it is the record of {record['table']!r}")
        _check_comparison(record)
        return record
    except KeyError as error:
        raise CheckpointError(_explain_damage(path, f"there is no {error}", command)) from error
    except (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise CheckpointError(_explain_damage(path, str(error)[:200], command)) from error


def _check_comparison(record: Mapping[str, Any]) -> None:
    """Touch everything that is shown of a comparison, so that what is missing or of another kind raises here."""
    _ = str(record["finished"]), int(record["evaluation_seeds"]), len(record.get("missing", ()))
    for row in record["rows"]:
        _ = str(row["model"]), str(row["title"]), {**row["paper"]}, float(row["training"].get("seconds", 0))
        for metric in row["metrics"].values():
            _ = [float(metric[name]) for name in ("value", "low", "high", "n", "seeds")], str(metric["definition"])


def _explain_damage(path: Path, why: str, command: str) -> str:
    return f"The record {path} cannot be read ({why}). Delete it, or make it again with python -m backend {command}."
