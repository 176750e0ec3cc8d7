"""The table `utilization`: every method at several sizes of table, with seeds and ablations, the settings as data.

Each row is trained with the same network, pictures, order of pictures, steps and schedule, then measured from its
checkpoint. A row that is there with these very settings is not trained again, a stopped one goes on. The papers' figures are
those of ImageNet at 256 pixels with another network: they stand in their own column.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend import catalog
from backend.evaluate_images import measure_images
from backend.families import open_family
from backend.families.checkpoint import read_card, write_card
from backend.measures import Measures
from backend.train.codebooks import Run
from backend.train.tokenizer_models import make_tokenizer_model, tokenizer_name, tokenizer_spec
from backend.train.tokenizers import TokenizerRecipe, quick
from backend.types import Progress

SCENES = {"name": "scenes", "size": 32}
STEPS = 3000
LARGE = 102_400
REBUILT = 256  # held-out pictures a seed of the evaluation


@dataclass(frozen=True)
class ImageRow:
    """One trained tokenizer of the comparison.

    Attributes:
        model: its name; seeds after the first add `-seed1` and so on.
        recipe: how it is trained.
        seeds: training seeds.
        paper: published figures of this kind of model at this size or the nearest, with `source`.
        note: what is special about it; empty for the methods as they are.
        demo: order in which the explorer builds it on first start; 0 not by itself.
    """

    model: str
    recipe: TokenizerRecipe
    seeds: tuple[int, ...]
    paper: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    demo: int = 0

    def name(self, seed: int) -> str:
        """Name of the model of one training seed."""
        return self.model + (f"-seed{seed}" if seed else "")


def _paper(source: str, utilization: float) -> dict[str, Any]:
    return {"source": f"{source}, ImageNet 256", "utilization": utilization / 100}


_LC = "VQGAN-LC paper (arXiv 2406.11837)"
_FVQ = "FVQ (arXiv 2509.10140)"
PAPER: dict[tuple[str, int], dict[str, Any]] = {
    ("vq", 16_384): _paper(f"VQGAN as quoted in the {_FVQ} paper", 5.9),
    ("vq", LARGE): _paper(f"VQGAN, 100,000 codes, {_LC}", 0.5),
    ("fc", 16_384): _paper(f"VQGAN-FC, {_LC}", 11.2),
    ("ema", 16_384): _paper(f"VQGAN-EMA, {_LC}", 83.2),
    ("lc", 16_384): _paper(_LC, 99.9),
    ("lc", LARGE): _paper(f"100,000 codes, {_LC}", 99.9),
    ("fvq", 16_384): _paper(_FVQ, 100.0),
}


def _row(method: str, codes: int, seeds: tuple[int, ...] = (0,), demo: int = 0, **changes: Any) -> ImageRow:
    recipe = TokenizerRecipe(SCENES, method, codes, steps=STEPS, **changes)
    return ImageRow(tokenizer_name(recipe), recipe, seeds, PAPER.get((method, codes), {}), demo=demo)


def _ablation(name: str, note: str, method: str, codes: int, source: Mapping[str, Any], **changes: Any) -> ImageRow:
    return dataclasses.replace(_row(method, codes, **changes), model=f"scenes-{name}-{codes}", note=note, paper=source)


ROWS: tuple[ImageRow, ...] = (
    *(_row(method, codes, (0, 1, 2)) for codes in (1024, 4096, 16_384) for method in ("fvq", "vq")),
    *(_row(method, codes) for codes in (1024, 4096, 16_384) for method in ("lc", "simvq", "fc", "ema", "reset")),
    dataclasses.replace(
        _row("vq", 4096), model="scenes-fsq-4375", recipe=TokenizerRecipe(SCENES, "fsq", 4375, steps=STEPS)
    ),
    dataclasses.replace(
        _row("vq", 1024),
        model="scenes-rvq-1024x4",
        recipe=TokenizerRecipe(SCENES, "rvq", 1024, levels=4, steps=STEPS),
    ),
    _ablation("fvq-constant-lr", "FVQ without annealing", "fvq", 4096, {}, anneal=False),
    _ablation("fvq-random-init", "FVQ, last layer of the bridge not zero", "fvq", 4096, {}, settings={"zero": False}),
    _ablation("simvq-constant-lr", "SimVQ without annealing", "simvq", 4096, {}, anneal=False),
    _ablation(
        "lc-random",
        "frozen random codes, with projector",
        "lc",
        4096,
        _paper(f"frozen random codes, {_LC}", 5.4),
        features="random",
    ),
    _ablation(
        "lc-no-projector",
        "frozen features without projector",
        "lc",
        4096,
        _paper(f"Table 10, {_LC}", 3.9),
        settings={"projector": False},
    ),
    *(_row(method, LARGE) for method in ("fvq", "lc", "vq")),
)


def reproduce_utilization(
    data_dir: Path,
    *,
    fast: bool = False,
    seeds: int = 3,
    device: str = "auto",
    only: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train and measure every row; returns the record, for `backend.reproduce.write_record`.

    Args:
        data_dir: where models, training states and the record go.
        fast: a fiftieth of the steps on few pictures, no row above 4,096 codes, one seed each: shows that it runs.
        seeds: of the evaluation; rows above 16,384 codes are measured with one.
        device: `auto`, `cpu` or `cuda`.
        only: names of rows; all by default.
        progress: called with (what, done, total).
    """
    began = time.monotonic()
    chosen = [row for row in ROWS if not only or row.model in only]
    if fast:
        small = [row for row in chosen if row.recipe.codes <= 5000]
        chosen = [
            dataclasses.replace(row, model=f"{row.model}-quick", recipe=quick(row.recipe), seeds=(0,), demo=0)
            for row in small
        ]
    rows = []
    for row in chosen:
        for seed in row.seeds:
            many = 1 if fast or row.recipe.codes > 16_384 else seeds
            rows.append(_make(row, seed, data_dir, many, device, progress))
    return {
        "table": "utilization-quick" if fast else "utilization",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.monotonic() - began, 1),
        "evaluation_seeds": 1 if fast else seeds,
        "settings": {"dataset": SCENES, "quick": fast},
        "rows": rows,
    }


def _make(
    row: ImageRow, seed: int, data_dir: Path, seeds: int, device: str, progress: Progress | None
) -> dict[str, Any]:
    """Train (unless that is done) and measure (unless that is done) one model."""
    name = row.name(seed)
    title = tokenizer_spec(name, row.recipe, row.paper, row.demo if seed == 0 else 0)
    spec = dataclasses.replace(title, title=f"{title.title}; {row.note}") if row.note else title
    shown = None if progress is None else lambda what, done, total: progress(f"{name}: {what}", done, total)
    training = make_tokenizer_model(
        spec, row.recipe, Run(seed, device, resume=True, progress=shown), data_dir, half=True
    )
    folder = catalog.inside(data_dir, spec.checkpoint)
    metrics = dict(read_card(folder).get("metrics", {}))
    if not metrics or any(metric["seeds"] != seeds for metric in metrics.values()):
        family = open_family(spec, data_dir, "cpu" if device == "auto" else device)
        measures = Measures()
        for number in range(seeds):
            if shown:
                shown("measuring", number, seeds)
            measure_images(family, measures, number, REBUILT)
        metrics = {key: dataclasses.asdict(metric) for key, metric in measures.metrics().items()}
        write_card(folder, {"metrics": metrics, "training": training})
    return {
        "model": name,
        "title": spec.title,
        "method": row.recipe.method,
        "codes": row.recipe.codes,
        "training_seed": seed,
        "note": row.note,
        "metrics": metrics,
        "paper": dict(row.paper),
        "training": training,
    }
