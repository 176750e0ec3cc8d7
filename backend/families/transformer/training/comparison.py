"""Makes the rows of a comparison: each trained from the same base, measured from its checkpoint, put beside the paper's."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.catalog.cards import Card, read_card, write_card
from backend.data.datasets import open_text, source_of
from backend.data.texts.bpe import TOKENIZER
from backend.families.transformer.checkpoint import save_checkpoint, tokenizer_in
from backend.families.transformer.training import work
from backend.families.transformer.training.batches import batches_of
from backend.families.transformer.training.runs import train_base, train_codebooks
from backend.families.transformer.training.tokenizing import make_tokenizer
from backend.train.recipes import MEASURING
from backend.train.runs import Run
from backend.train.stages import Staged, Stages, parts
from backend.train.states import read_log
from backend.train.tables import Record, Reproduction
from backend.types import ModelSpec

if TYPE_CHECKING:
    from backend.families.transformer.tables import Comparison, Row


def make_comparison(comparison: Comparison, request: Reproduction) -> Iterator[Record]:
    """Train and measure every row; yields the record after each, see `backend.train.tables.Table`."""
    began = time.monotonic()
    stages = Stages(request.progress, parts({row.model: _work(row, comparison, request) for row in comparison.rows}))
    rows: list[dict[str, Any]] = []
    for row in comparison.rows:
        spec, part = _spec(row, comparison), stages.part(row.model)
        training = _train(row, spec, comparison, request, part)
        measured = request.measure(spec.name, part.stage(MEASURING))
        write_card(request.data_dir / spec.checkpoint, Card(measured.metrics, training, measured.edits))
        rows.append(
            {
                "model": spec.name,
                "title": row.title,
                "metrics": measured.metrics,
                "paper": dict(row.paper),
                "training": training,
            }
        )
        missing = [later.model for later in comparison.rows[len(rows) :]]
        yield {
            "table": comparison.name,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(time.monotonic() - began, 1),
            "training_seed": request.seed,
            "evaluation_seeds": request.seeds,
            "settings": {
                "dataset": dict(comparison.dataset),
                "shape": dataclasses.asdict(comparison.shape),
                "quick": request.fast,
            },
            "rows": list(rows),
        } | ({"missing": missing} if missing else {})


def _spec(row: Row, comparison: Comparison) -> ModelSpec:
    base = comparison.rows[0].model
    return ModelSpec(
        name=row.model,
        family="transformer",
        kind="text",
        title=row.title,
        dataset=comparison.dataset,
        checkpoint=f"checkpoints/{row.model}",
        base="" if row.model == base else base,
        published=row.paper,
        demo=row.demo,
    )


def _work(row: Row, comparison: Comparison, request: Reproduction) -> dict[str, float]:
    """Return the stages of a row, each with about how long it takes."""
    length = int(comparison.dataset["length"])
    size = work.size_of(comparison.shape, comparison.vocabulary or work.SMALL_VOCABULARY)
    books = work.codebooks_of(row.placements, comparison.shape)
    stages: dict[str, float] = {}
    if comparison.vocabulary:
        stages |= {work.TEXT: work.READING if not books else 1.0, work.CORPUS: work.CUTTING}
    if books:
        stages[work.CODES] = work.first_codes(books, size)
    stages[work.TRAINING] = work.training(row.recipe, length, size, books)
    trial = source_of(comparison.dataset).trial
    searches = len(trial.behaviours) if trial and books else 0
    measuring = work.measuring(size, length, request.seeds, books)
    return stages | {MEASURING: measuring + searches * work.SEARCH}


def _train(row: Row, spec: ModelSpec, comparison: Comparison, request: Reproduction, stages: Staged) -> dict[str, Any]:
    """Train one row unless its checkpoint is there with these very settings; returns what the card says of it."""
    data_dir, length = request.data_dir, int(comparison.dataset["length"])
    folder = catalog.inside(data_dir, spec.checkpoint)
    about: dict[str, Any] = {
        "recipe": dataclasses.asdict(row.recipe),
        "placements": [dataclasses.asdict(p) for p in row.placements],
        "shape": dataclasses.asdict(comparison.shape),
        "dataset": dict(comparison.dataset),
        "seed": request.seed,
        "base": spec.base,
    }
    about = json.loads(json.dumps(about))
    if (training := read_card(folder).trained_as(about)) is not None:
        catalog.write_spec(spec, data_dir)
        return training
    place = catalog.inside(data_dir, Path("training") / spec.name)
    place.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    run = Run(request.seed, request.device, place / "state.pt", True, log=place / "log.jsonl", stages=stages)
    base = catalog.inside(data_dir, Path("checkpoints") / (spec.base or spec.name))
    if not spec.base and comparison.vocabulary and not (place / TOKENIZER).exists():
        make_tokenizer(comparison.dataset, comparison.vocabulary, place, stages.stage(work.TEXT))
    source = base if spec.base else place
    batches = batches_of(open_text(comparison.dataset, source), length)
    if comparison.vocabulary:
        batches.prepare(stages.stage(work.CORPUS))
    if row.placements:
        model = train_codebooks(base, batches, row.placements, row.recipe, "kmeans", run)
    else:
        config = comparison.shape.config(batches.vocabulary, length, batches.bos)
        model = train_base(config, batches, row.recipe, run)
    about["seconds"] = round(time.monotonic() - began, 1)
    if lines := read_log(run.log):
        about["log"] = lines
    save_checkpoint(model, folder, Card(training=about), tokenizer_in(source))
    catalog.write_spec(spec, data_dir)
    shutil.rmtree(place, ignore_errors=True)
    return about
