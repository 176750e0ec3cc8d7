"""The table `utilization`: every method at several sizes of table, with seeds and ablations, the settings as data.

Each row is trained with the same network, pictures, order of pictures, steps and schedule (tables of 102,400 codes all with
fewer steps; one, `...-long`, with sixteen times as many), then measured from its checkpoint. A row that is there with these
very settings is not trained again, a stopped one goes on, and after every row the record is whole: it names the rows that are
still missing. The papers' figures are those of ImageNet at 256 pixels with another network: they stand in their own column.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend import catalog
from backend.analysis.measures import Measures
from backend.errors import UsageError
from backend.families import open_family
from backend.families.image_tokenizer.measure import TOKENS_A_CODE, is_measured, measure_images
from backend.families.image_tokenizer.training.tokenizer_models import (
    make_tokenizer_model,
    tokenizer_name,
    tokenizer_spec,
    trained_with,
)
from backend.families.image_tokenizer.training.tokenizers import TokenizerRecipe, quick
from backend.families.transformer.checkpoint import read_card, write_card
from backend.train.runs import Run, measuring_device
from backend.types import ModelSpec, Progress

SCENES = {"name": "scenes", "size": 32}
STEPS, LARGE_STEPS = 1500, 800
SIZES = (1024, 4096, 16_384)
LARGE = 102_400
REBUILT = 256  # held-out pictures a seed of the evaluation
DEMOS = {  # order in which the explorer builds them on first start
    "scenes-fvq-1024": 7,
    "scenes-vq-1024": 8,
    "scenes-fvq-4096": 9,
    "scenes-fvq-16384": 10,
    "scenes-lc-16384": 11,
    "scenes-fvq-102400": 12,
}


@dataclass(frozen=True)
class ImageRow:
    """One trained tokenizer of the comparison.

    Attributes:
        model: its name; seeds after the first end it with `-seed1` and so on.
        recipe: how it is trained.
        seed: of the training.
        paper: published figures of this kind of model at this size or the nearest, with `source`.
        note: what is special about it; empty for the methods as they are.
        tokens_a_code: tokens that its use is counted over, for each code.
    """

    model: str
    recipe: TokenizerRecipe
    seed: int = 0
    paper: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    tokens_a_code: int = TOKENS_A_CODE

    @property
    def spec(self) -> ModelSpec:
        """Its catalog entry."""
        found = tokenizer_spec(self.model, self.recipe, self.paper, DEMOS.get(self.model, 0))
        return dataclasses.replace(found, title=f"{found.title}; {self.note}") if self.note else found


def _paper(source: str, utilization: float, rfid: float | None = None) -> dict[str, Any]:
    figures: dict[str, Any] = {"source": f"{source}, ImageNet 256", "utilization": utilization / 100}
    return figures if rfid is None else {**figures, "rfid": rfid}


_LC = "VQGAN-LC paper (arXiv 2406.11837)"
_FVQ = "FVQ paper (arXiv 2509.10140)"
_VQ_16K = _paper(f"VQGAN, 16,384 codes, {_FVQ}", 5.9, 4.98)
_FVQ_16K = _paper(f"FVQ, 16,384 codes, 40 epochs, {_FVQ}", 100.0, 1.30)
PAPER: dict[tuple[str, int], dict[str, Any]] = {
    **{("vq", codes): _VQ_16K for codes in SIZES},
    ("vq", LARGE): _paper(f"VQGAN, 100,000 codes, {_LC}", 0.5, 5.44),
    **{("fvq", codes): _FVQ_16K for codes in SIZES},
    ("fvq", LARGE): _paper(f"FVQ, 65,536 codes, 120 epochs, {_FVQ}", 100.0, 1.00),
    ("lc", 1024): _paper(f"VQGAN-LC, 1,000 codes, {_LC}", 100.0, 4.98),
    ("lc", 4096): _paper(f"VQGAN-LC, 10,000 codes, {_LC}", 99.8, 3.80),
    ("lc", 16_384): _paper(f"VQGAN-LC, 16,384 codes, {_LC}", 99.9, 3.01),
    ("lc", LARGE): _paper(f"VQGAN-LC, 100,000 codes, {_LC}", 99.9, 2.62),
    ("fc", 16_384): _paper(f"VQGAN-FC, 16,384 codes, {_LC}", 11.2, 4.29),
    ("ema", 16_384): _paper(f"VQGAN-EMA, 16,384 codes, {_LC}", 83.2, 3.41),
}


def _row(method: str, codes: int, seed: int = 0) -> ImageRow:
    steps = LARGE_STEPS if codes == LARGE else STEPS
    recipe = TokenizerRecipe(SCENES, method, codes, steps=steps)
    suffix = f"-seed{seed}" if seed else ""
    return ImageRow(tokenizer_name(recipe) + suffix, recipe, seed, PAPER.get((method, codes), {}))


def _ablation(name: str, note: str, method: str, paper: Mapping[str, Any] | None = None, **changes: Any) -> ImageRow:
    recipe = dataclasses.replace(_row(method, 4096).recipe, **changes)
    return ImageRow(f"scenes-{name}-4096", recipe, paper=paper or {}, note=note)


def _longer(method: str, steps: int, tokens_a_code: int) -> ImageRow:
    """The table of 102,400 codes trained longer and counted over more tokens: is what is unused dead, or rare?"""
    row = _row(method, LARGE)
    return dataclasses.replace(
        row,
        model=f"{row.model}-long",
        recipe=dataclasses.replace(row.recipe, steps=steps),
        note=f"{steps:,} steps, counted over {tokens_a_code} tokens a code",
        tokens_a_code=tokens_a_code,
    )


# in the order in which they are made, what tells most first
ROWS: tuple[ImageRow, ...] = (
    *(_row(method, codes) for codes in SIZES for method in ("fvq", "vq")),
    *(_row(method, LARGE) for method in ("fvq", "lc", "vq")),
    *(_row("lc", codes) for codes in reversed(SIZES)),
    _ablation("fvq-constant-lr", "without annealing", "fvq", anneal=False),
    _ablation("fvq-random-init", "last layer of the bridge not zero", "fvq", settings={"zero": False}),
    _ablation(
        "lc-random",
        "frozen random codes, with projector",
        "lc",
        _paper(f"frozen random codes, {_LC}", 5.4),
        features="random",
    ),
    _ablation(
        "lc-no-projector",
        "frozen features without projector",
        "lc",
        _paper(f"Table 10, {_LC}", 3.9),
        settings={"projector": False},
    ),
    *(_row(method, codes, seed) for seed in (1, 2) for codes in (1024, 4096) for method in ("fvq", "vq")),
    *(_row(method, 4096) for method in ("ema", "reset", "fc", "simvq")),
    *(_row(method, 16_384, seed) for seed in (1, 2) for method in ("fvq", "vq")),
    _row("fsq", 4375),
    _row("rvq", 1024),
    _ablation("simvq-constant-lr", "without annealing", "simvq", anneal=False),
    *(_row(method, codes) for codes in (16_384, 1024) for method in ("ema", "reset", "fc", "simvq")),
    _longer("lc", 16 * LARGE_STEPS, 100),
)


def reproduce_utilization(
    data_dir: Path,
    *,
    fast: bool = False,
    seeds: int = 3,
    device: str = "auto",
    only: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Iterator[dict[str, Any]]:
    """Train and measure rows; yields the record, for `backend.jobs.reproduce.write_record`, at once and after every row.

    The record holds every row that is there, also from earlier runs, and the names of those that are `missing`.

    Args:
        data_dir: where models, training states and the record go.
        fast: a fiftieth of the steps on few pictures, no row above 5,000 codes, one seed each: shows that it runs.
        seeds: of the evaluation; rows above 16,384 codes are measured with one.
        device: `auto`, `cpu` or `cuda`.
        only: names of the rows to make; all by default.
        progress: called with (what, done, total).

    Raises:
        UsageError: there is no row of such a name.
    """
    rows = ROWS
    if fast:
        seeds = 1
        small = [row for row in ROWS if row.recipe.codes <= 5000 and not row.seed]
        rows = tuple(
            dataclasses.replace(row, model=f"{row.model}-quick", recipe=quick(row.recipe), paper={}) for row in small
        )
    names = [row.model for row in rows]
    if unknown := sorted(set(only) - set(names)):
        raise UsageError(f"There are no rows {', '.join(unknown)[:200]}. Known: {', '.join(names)}.")
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if done := _finished(row, data_dir, _evaluation_seeds(row, seeds)):
            found[row.model] = done
    wanted = [row for row in rows if row.model not in found and (not only or row.model in only)]
    yield _record(names, found, fast, seeds)
    for row in wanted:
        found[row.model] = _make(row, data_dir, _evaluation_seeds(row, seeds), device, progress)
        yield _record(names, found, fast, seeds)


def _record(names: Sequence[str], found: Mapping[str, dict[str, Any]], fast: bool, seeds: int) -> dict[str, Any]:
    rows = [found[name] for name in names if name in found]
    return {
        "table": "utilization-quick" if fast else "utilization",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(sum(row["training"]["seconds"] for row in rows), 1),
        "evaluation_seeds": seeds,
        "settings": {"dataset": SCENES, "quick": fast},
        "rows": rows,
        "missing": [name for name in names if name not in found],
    }


def _evaluation_seeds(row: ImageRow, seeds: int) -> int:
    return 1 if row.recipe.codes > 16_384 else seeds


def _finished(row: ImageRow, data_dir: Path, seeds: int) -> dict[str, Any] | None:
    """What the record says of a row that was trained and measured with these very settings; None: it was not."""
    training = trained_with(row.spec, row.recipe, row.seed, data_dir, half=True)
    if training is None:
        return None
    metrics = read_card(catalog.inside(data_dir, row.spec.checkpoint)).get("metrics", {})
    if not is_measured(metrics, seeds, row.tokens_a_code):
        return None
    catalog.write_spec(row.spec, data_dir)
    return _about(row, metrics, training)


def _make(row: ImageRow, data_dir: Path, seeds: int, device: str, progress: Progress | None) -> dict[str, Any]:
    """Train (unless that is done) and measure one model."""
    spec = row.spec
    shown = None if progress is None else lambda what, done, total: progress(f"{spec.name}: {what}", done, total)
    run = Run(row.seed, device, resume=True, progress=shown)
    training = make_tokenizer_model(spec, row.recipe, run, data_dir, half=True)
    family = open_family(spec, data_dir, measuring_device(device))
    measures = Measures()
    for number in range(seeds):
        if shown:
            shown("measuring", number, seeds)
        measure_images(family, measures, number, REBUILT, row.tokens_a_code)
    metrics = {key: dataclasses.asdict(metric) for key, metric in measures.metrics().items()}
    write_card(catalog.inside(data_dir, spec.checkpoint), {"metrics": metrics, "training": training})
    return _about(row, metrics, training)


def _about(row: ImageRow, metrics: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
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
