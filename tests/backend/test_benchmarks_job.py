"""`bench` keeps its record: rows that were not measured again stay, a quick run leaves it as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.catalog.records import read_record
from backend.errors import BadInput, CheckpointError
from backend.jobs import benchmarks


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, bool]]:
    """What was measured; no benchmark is really run."""
    runs: list[tuple[str, str, bool]] = []

    def run(group: str, name: str, quick: bool) -> list[dict[str, Any]]:
        runs.append((group, name, quick))
        row = {"name": name, "ratio": 0.1 * len(runs), "value": 1, "unit": "s", "reference": "none", "goal": "<= 1"}
        return [row | {"else": 3}]

    monkeypatch.setattr(benchmarks, "_run", run)
    return runs


def run(name: str | None, data: Path, quick: bool = False) -> list[dict[str, Any]]:
    return benchmarks.run_benchmarks(name, data, quick=quick, progress=lambda what, done, total: None)


def test_rows_of_other_benchmarks_stay_and_a_quick_run_writes_nothing(
    measured: list[tuple[str, str, bool]], tmp_path: Path
) -> None:
    record = tmp_path / "results" / "benchmarks.json"
    run("queries", tmp_path, quick=True)
    assert measured == [("store", "queries", True)] and not record.exists()
    (row,) = run("queries", tmp_path)
    assert tuple(row) == benchmarks.FIELDS
    run("steer", tmp_path)  # a group
    assert measured[2:] == [("steer", "generate-one", False), ("steer", "generate-many", False)]
    run("queries", tmp_path)
    rows = read_record(record)["benchmarks"]
    assert [row["name"] for row in rows] == ["queries", "generate-one", "generate-many"]
    assert rows[0]["ratio"] == pytest.approx(0.5) and all(row["measured"] for row in rows)


def test_what_is_not_there_and_a_damaged_record_are_said_before_anything_is_measured(
    measured: list[tuple[str, str, bool]], tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="no benchmark 'nope'. Known: build, .*queries"):
        run("nope", tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "benchmarks.json").write_text(json.dumps({"benchmarks": [{"ratio": 1}]}))
    with pytest.raises(CheckpointError, match="benchmarks.json"):
        run("queries", tmp_path)
    assert measured == []
