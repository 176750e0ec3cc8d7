"""A comparison is found behind its family's door, and its record is on the disk after every row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.catalog import SHIPPED, read_spec
from backend.catalog.records import read_record
from backend.data.machines import Machine
from backend.errors import UsageError
from backend.families.transformer import tables
from backend.families.transformer.tables import Comparison, Row
from backend.families.transformer.training.recipe import Recipe
from backend.families.transformer.training.shapes import Shape
from backend.jobs import reproduce as job
from backend.nn.insertion.placement import Placement

TINY = Comparison(
    "tiny",
    "a machine of nine states",
    Machine(states=9, edges=3, length=24).settings,
    Shape(dim=16, heads=2, mlp=32),
    (
        Row("tiny-base", "without codebooks", (), Recipe(steps=50, batch=8, save_every=0)),
        Row("tiny-codes", "with codebooks", (Placement("mlp", codes=20),), Recipe(steps=50, batch=8, distill=True)),
    ),
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "TABLES", {"tiny": tables.table_of(TINY)})


def test_the_record_is_written_after_every_row_and_names_what_is_missing_until_all_are_there(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records: list[dict[str, Any]] = []
    write = job.write_record

    def watch(record: dict[str, Any], data_dir: Path) -> Path:
        path = write(record, data_dir)
        records.append(read_record(path))
        return path

    monkeypatch.setattr(job, "write_record", watch)
    record = job.reproduce("tiny", tmp_path, fast=True, seeds=1, device="cpu")
    first, second = records
    assert [row["model"] for row in first["rows"]] == ["tiny-base-quick"] and first["missing"] == ["tiny-codes-quick"]
    assert [row["model"] for row in second["rows"]] == ["tiny-base-quick", "tiny-codes-quick"]
    assert second == json.loads(json.dumps(record)) and "missing" not in record
    assert record["table"] == "tiny-quick" and record["settings"]["quick"] and record["evaluation_seeds"] == 1
    assert record["settings"]["dataset"] == TINY.dataset
    assert record["rows"][1]["training"]["base"] == "tiny-base-quick"
    assert record["rows"][1]["training"]["recipe"]["steps"] == 20
    assert {"lm_loss", "lm_loss_above_base", "transition_accuracy"} <= record["rows"][1]["metrics"].keys()


def test_a_table_that_is_not_there_and_rows_that_build_on_each_other_are_refused_before_any_work(
    tiny: None, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no table 'tinny'. Known: tiny, utilization"):
        job.reproduce("tinny", tmp_path)
    with pytest.raises(UsageError, match="rows of tiny build on each other"):
        job.reproduce("tiny", tmp_path, rows=("tiny-base",))
    with pytest.raises(UsageError, match="no rows scenes-none"):
        job.reproduce("utilization", tmp_path, fast=True, rows=("scenes-none",))
    assert not list(tmp_path.iterdir())


def test_the_names_of_rows_are_known_without_making_any() -> None:
    known = job.tables()
    assert list(known) == ["tokfsm", "tokfsm-small", "stories", "python-source", "utilization"]
    assert known["tokfsm"].rows[:2] == ("tokfsm-base", "tokfsm-attn-mlp-k1")
    assert {name for name, table in known.items() if table.alone} == {"utilization"}
    names: Iterator[str] = (row for table in known.values() for row in table.rows)
    assert len(set(names)) == sum(len(table.rows) for table in known.values())


def test_the_tables_give_their_models_the_places_that_the_shipped_catalog_gives_them() -> None:
    from backend.families.image_tokenizer.tables import DEMOS, ROWS
    from backend.families.transformer.tables import PYTHON, SMALL, STORIES, TOKFSM

    places = {row.model: row.demo for table in (TOKFSM, SMALL, STORIES, PYTHON) for row in table.rows}
    places |= {row.model: DEMOS.get(row.model, 0) for row in ROWS}
    shipped = {path.stem: read_spec(path).demo for path in SHIPPED.glob("*.toml")}
    assert {name: place for name, place in places.items() if place != shipped.get(name, 0)} == {}
