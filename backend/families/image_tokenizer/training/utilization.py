"""Makes the rows of the table `utilization`: trains each unless that is done, and measures it from its checkpoint.

A row that is there with these very settings is not trained again, a stopped one goes on, and after every row the record is
whole: it holds the rows of earlier runs too, and names those that are still missing.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.analysis.measures import Measures
from backend.catalog.cards import Card, read_card, write_card
from backend.errors import UsageError
from backend.families import open_family
from backend.families.image_tokenizer.measure import is_measured, measure_images
from backend.families.image_tokenizer.training.recipe import quick
from backend.families.image_tokenizer.training.tokenizer_models import make_tokenizer_model, trained_with
from backend.families.image_tokenizer.training.work import work_of
from backend.train.recipes import MEASURING
from backend.train.runs import Run, measuring_device
from backend.train.stages import Staged, Stages, parts
from backend.train.tables import Record, Reproduction

if TYPE_CHECKING:
    from backend.families.image_tokenizer.tables import ImageRow

REBUILT = 256  # held-out pictures a seed of the evaluation
LARGEST_QUICK = 5000  # codes of a row that a fast run makes
LARGEST_WITH_SEEDS = 16_384  # codes of a row that is measured with several seeds
Rows = dict[str, dict[str, Any]]  # model -> what the record says of it


def make_utilization(rows: Sequence[ImageRow], request: Reproduction) -> Iterator[Record]:
    """Train and measure rows; yields the record at once and after every row, see `backend.train.tables.Table`.

    A fast run takes a fiftieth of the steps on few pictures, no large table, one seed each: it shows that it runs.

    Raises:
        UsageError: there is no row of such a name.
    """
    if request.fast:
        request, rows = dataclasses.replace(request, seeds=1), _quick(rows)
    names = [row.model for row in rows]
    if unknown := sorted(set(request.rows) - set(names)):
        raise UsageError(f"There are no rows {', '.join(unknown)[:200]}. Known: {', '.join(names)}.")
    finished: Rows = {row.model: entry for row in rows if (entry := _finished(row, request))}
    missing = [row for row in rows if row.model not in finished and (not request.rows or row.model in request.rows)]
    yield _record(rows, finished, request)
    work = {row.model: work_of(row.recipe, _seeds(row, request)) for row in missing}
    stages = Stages(request.progress, parts(work))
    for row in missing:
        finished[row.model] = _make(row, request, stages.part(row.model))
        yield _record(rows, finished, request)


def _quick(rows: Sequence[ImageRow]) -> Sequence[ImageRow]:
    small = [row for row in rows if row.recipe.codes <= LARGEST_QUICK and not row.seed]
    return [dataclasses.replace(row, model=f"{row.model}-quick", recipe=quick(row.recipe), paper={}) for row in small]


def _record(rows: Sequence[ImageRow], finished: Rows, request: Reproduction) -> Record:
    entries = [finished[row.model] for row in rows if row.model in finished]
    return {
        "table": "utilization-quick" if request.fast else "utilization",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(sum(entry["training"]["seconds"] for entry in entries), 1),
        "evaluation_seeds": request.seeds,
        "settings": {"dataset": rows[0].recipe.dataset, "quick": request.fast},
        "rows": entries,
        "missing": [row.model for row in rows if row.model not in finished],
    }


def _seeds(row: ImageRow, request: Reproduction) -> int:
    return 1 if row.recipe.codes > LARGEST_WITH_SEEDS else request.seeds


def _finished(row: ImageRow, request: Reproduction) -> dict[str, Any] | None:
    """Return what the record says of a row that was trained and measured with these very settings; None: it was not."""
    training = trained_with(row.spec, row.recipe, row.seed, request.data_dir, half=True)
    if training is None:
        return None
    metrics = read_card(catalog.inside(request.data_dir, row.spec.checkpoint)).metrics
    if not is_measured(metrics, _seeds(row, request), row.tokens_a_code):
        return None
    catalog.write_spec(row.spec, request.data_dir)
    return _entry(row, metrics, training)


def _make(row: ImageRow, request: Reproduction, stages: Staged) -> dict[str, Any]:
    """Train (unless that is done) and measure one model."""
    spec, seeds = row.spec, _seeds(row, request)
    run = Run(row.seed, request.device, resume=True, stages=stages)
    training = make_tokenizer_model(spec, row.recipe, run, request.data_dir, half=True)
    family = open_family(spec, request.data_dir, measuring_device(request.device))
    measures, progress = Measures(), stages.stage(MEASURING)
    for number in range(seeds):
        progress("measuring", number, seeds)
        measure_images(family, measures, number, REBUILT, row.tokens_a_code)
    metrics = {key: dataclasses.asdict(metric) for key, metric in measures.metrics().items()}
    write_card(catalog.inside(request.data_dir, spec.checkpoint), Card(metrics, training))
    return _entry(row, metrics, training)


def _entry(row: ImageRow, metrics: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model": row.model,
        "title": row.spec.title,
        "method": row.recipe.method,
        "codes": row.recipe.codes,
        "training_seed": row.seed,
        "note": row.note,
        "metrics": metrics,
        "paper": dict(row.paper),
        "training": training,
    }
