"""Whole comparisons with their training: `python -m backend reproduce TABLE`, the record that the pages and the README show.

Table `tokfsm`: one row per row of the paper's Table 1 that is rebuilt here. Each row is trained from the same base with
settings that stand below, measured from its checkpoint with several evaluation seeds, and put beside the paper's figures.
A run that was stopped goes on from the rows and training states it finds.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend import catalog
from backend.data import open_dataset
from backend.data.machines import Machine
from backend.data.texts.bpe import TOKENIZER
from backend.errors import UsageError
from backend.families.transformer.checkpoint import save_checkpoint, tokenizer_in, trained_as, write_card
from backend.families.transformer.training.batches import batches_of
from backend.families.transformer.training.codebooks import Recipe
from backend.families.transformer.training.runs import train_base, train_codebooks
from backend.families.transformer.training.shapes import Shape
from backend.families.transformer.training.tokenizing import make_tokenizer
from backend.files import write_atomically
from backend.nn.insertion.placement import Placement
from backend.train.runs import Run, measuring_device
from backend.train.states import read_log
from backend.types import ModelSpec, Progress


@dataclass(frozen=True)
class Row:
    """One trained model of a comparison.

    Attributes:
        model: its name.
        title: one line for people.
        placements: its codebooks; none for a base.
        recipe: how it is trained (a base) or fine-tuned.
        paper: the paper's figures for this kind of model, as published.
        demo: order in which the explorer builds it on first start; 0 not by itself.
    """

    model: str
    title: str
    placements: tuple[Placement, ...]
    recipe: Recipe
    paper: Mapping[str, Any]
    demo: int = 0


@dataclass(frozen=True)
class Table:
    """A comparison on one data set; the first row is the base of all others.

    Attributes:
        dataset: the `[dataset]` of all rows.
        shape: of the model below.
        rows: what is trained.
        vocabulary: tokens of the tokenizer that is trained; 0 where the data need none.
    """

    dataset: Mapping[str, Any]
    shape: Shape
    rows: tuple[Row, ...]
    vocabulary: int = 0


def _paper(source: str, loss: float, accuracy: float, states: float) -> dict[str, Any]:
    return {
        "source": f"Tamkin et al., Table 1: {source} (GPT-NeoX, 4 layers, 20,000 steps of 1,024 sequences)",
        "lm_loss": loss,
        "lm_accuracy": accuracy / 100,
        "transition_accuracy": states / 100,
    }


FINE_TUNE = Recipe(steps=300, batch=16, lr=3e-4, warmup=0.1, decay=0.6, commitment=0.25, distill=True, save_every=100)
TOKFSM = Table(
    Machine().settings,
    Shape(),
    (
        Row(
            "tokfsm-base",
            "TokFSM, 100 states: the transformer without codebooks",
            (),
            Recipe(steps=3000, batch=32, lr=2e-3, warmup=0.05, decay=0.6),
            _paper("no codebook", 1.179, 46.36, 96.77),
        ),
        Row(
            "tokfsm-attn-mlp-k1",
            "TokFSM, 100 states: codebooks on every head and MLP, k = 1",
            (Placement("attn", codes=512), Placement("mlp", codes=4000)),
            FINE_TUNE,
            _paper("attention + MLP, k = 1, C = 10,000", 1.269, 45.27, 63.65),
            demo=1,
        ),
        Row(
            "tokfsm-attn-k1",
            "TokFSM, 100 states: codebooks on every attention head, k = 1",
            (Placement("attn", codes=512),),
            FINE_TUNE,
            _paper("attention only, k = 1, C = 2,000", 1.18, 46.33, 96.39),
            demo=3,
        ),
        Row(
            "tokfsm-attn-mlp-k4",
            "TokFSM, 100 states: codebooks on every head and MLP, k = 4",
            (Placement("attn", codes=512, k=4), Placement("mlp", codes=4000, k=4)),
            dataclasses.replace(FINE_TUNE, steps=900),
            _paper("attention + MLP, k = 4, C = 20,000", 1.192, 46.20, 80.69),
            demo=4,
        ),
    ),
)
SMALL = Table(
    Machine(states=25, edges=4, length=64).settings,
    Shape(dim=64, mlp=256),
    (
        Row(
            "tokfsm-small-base",
            "TokFSM, 25 states: the transformer without codebooks",
            (),
            Recipe(steps=2000, batch=32, lr=3e-3, warmup=0.05, decay=0.6),
            {},
        ),
        Row(
            "tokfsm-small",
            "TokFSM, 25 states: codebooks on every head and MLP, k = 1",
            (Placement("attn", codes=128), Placement("mlp", codes=512)),
            FINE_TUNE,
            {},
            demo=2,
        ),
    ),
)


def _text_table(name: str, title: str, source: str, base: Recipe) -> Table:
    """Plain base, attention k = 8, attention + MLP, MLP k = 64 on one kind of text."""
    tuned = dataclasses.replace(
        FINE_TUNE,
        steps=400,
        batch=8,
        lr=1e-3,
        decay=0.8,
        autoencoding=0.1,
        commitment=0.02,
        reset_every=25,
        save_every=50,
    )
    # where one code at a time stands for an MLP, the network drifts away from its codes: let it all but stand still
    held = dataclasses.replace(tuned, lr=3e-5, codebook_lr=30.0)

    # Python's MLPs diverged with the gradient straight through (after 100 steps at 1e-3, after 150 at 3e-4)
    exact: dict[str, Any] = {"autoencoding": 0.0, "commitment": 0.0, "straight_through": False, "reset_every": 0}

    def paper(row: str, loss: float, accuracy: float) -> dict[str, Any]:
        return {"source": f"Tamkin et al., Table 2, {source}: {row}", "lm_loss": loss, "lm_accuracy": accuracy}

    stories = name == "stories"
    short = name.removesuffix("-source")
    attention = Placement("attn", codes=512, k=8, similarity="cosine")
    mlp = Placement("mlp", codes=2048, k=64, similarity="cosine")
    wide = (dataclasses.replace(mlp, layers=(0,), codes=3584), dataclasses.replace(mlp, layers=(1, 2), codes=4096))
    words = Placement("mlp", layers=(0,), codes=1024)  # with attention beside it the first MLP sees one token alone
    return Table(
        {"name": name, "length": 256},
        Shape("gpt_neox", layers=3, dim=192, heads=6, mlp=768),
        (
            Row(
                f"{short}-base",
                f"{title}: the transformer without codebooks",
                (),
                base,
                paper("fine-tuned", 1.57, 0.5927) if stories else paper("fine-tuned", 2.41, 0.5052),
            ),
            Row(
                f"{short}-attn-k8",
                f"{title}: codebooks on every attention head, k = 8",
                (attention,),
                tuned,
                paper("attention, k = 8", 1.66, 0.5791) if stories else paper("attention, k = 8", 2.74, 0.4668),
                demo=5 if stories else 7,
            ),
            Row(
                f"{short}-attn-mlp",
                f"{title}: codebooks on every head, k = 8, and MLP, k = 1 in the first layer, 64 in the others",
                (attention, words, dataclasses.replace(mlp, layers=(1, 2))),
                held,
                {},
                demo=14 if stories else 0,
            ),
            Row(
                f"{short}-mlp",
                f"{title}: codebooks on every MLP, k = 64",
                (mlp,) if stories else wide,
                tuned if stories else dataclasses.replace(tuned, steps=3000, codebook_lr=5.0, warmup=0.02, **exact),
                paper("MLP, k = 100", 1.57, 0.5947) if stories else paper("MLP, k = 100", 3.03, 0.4247),
                demo=6 if stories else 0,
            ),
        ),
        vocabulary=2048,
    )


STORIES = _text_table(
    "stories",
    "Stories",
    "TinyStories, 1 layer, 21M parameters",
    Recipe(steps=1500, batch=16, lr=2e-3, warmup=0.05, decay=0.6),
)
PYTHON = _text_table(
    "python-source",
    "Python's standard library",
    "WikiText-103, Pythia 410M",
    Recipe(steps=1100, batch=16, lr=2e-3, warmup=0.05, decay=0.6, save_every=100),
)
TABLES: dict[str, Table] = {"tokfsm": TOKFSM, "tokfsm-small": SMALL, "stories": STORIES, "python-source": PYTHON}


def quick(table: Table) -> Table:
    """The same comparison with a fiftieth of the steps and small batches: shows that everything runs, proves nothing."""
    rows = [
        dataclasses.replace(
            row, recipe=dataclasses.replace(row.recipe, steps=max(20, row.recipe.steps // 50), batch=8, save_every=0)
        )
        for row in table.rows
    ]
    return dataclasses.replace(table, rows=tuple(rows))


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
) -> dict[str, Any]:
    """Train and measure every row of a table; returns and writes the record `results/NAME.json`.

    The trained models join the catalog of the data directory, a fast run's under names that end in `-quick`.

    Args:
        name: key of `TABLES`, or `utilization` (`backend.families.image_tokenizer.tables`).
        data_dir: where models, training states and the record go.
        fast: see `quick`; the record says so and is called `NAME-quick`.
        seeds: of the evaluation.
        seed: of the training.
        device: `auto`, `cpu` or `cuda`.
        rows: names of the rows to make, of `utilization` alone; all by default.
        progress: called with (what, done, total).

    Raises:
        UsageError: there is no such table or row.
    """
    if name == "utilization":
        from backend.families.image_tokenizer.tables import reproduce_utilization

        record: dict[str, Any] = {}
        for found in reproduce_utilization(
            data_dir, fast=fast, seeds=seeds, device=device, only=rows, progress=progress
        ):
            record = {"commit": _commit()} | found
            write_record(record, data_dir)
        return record
    if name not in TABLES:
        raise UsageError(f"There is no table {name[:60]!r}. Known: {', '.join(TABLES)}, utilization.")
    if rows:
        raise UsageError(f"The rows of {name} build on each other: they cannot be chosen.")
    table = quick(TABLES[name]) if fast else TABLES[name]
    suffix = "-quick" if fast else ""
    base = table.rows[0].model + suffix
    began = time.monotonic()
    made = []
    for row in table.rows:
        model = row.model + suffix
        spec = ModelSpec(
            name=model,
            family="transformer",
            kind="text",
            title=row.title,
            dataset=table.dataset,
            checkpoint=f"checkpoints/{model}",
            base="" if model == base else base,
            published=row.paper,
            demo=0 if fast else row.demo,
        )
        training = _train(row, spec, table, data_dir, seed, device, progress)
        edits: dict[str, list[str]] = {}
        metrics = _measure(spec, data_dir, seeds, device, edits, progress)
        card = {"metrics": metrics, "training": training} | ({"edits": edits} if edits else {})
        write_card(data_dir / spec.checkpoint, card)
        made.append(
            {"model": model, "title": row.title, "metrics": metrics, "paper": dict(row.paper), "training": training}
        )
    record = {
        "table": name + suffix,
        "commit": _commit(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.monotonic() - began, 1),
        "training_seed": seed,
        "evaluation_seeds": seeds,
        "settings": {"dataset": dict(table.dataset), "shape": dataclasses.asdict(table.shape), "quick": fast},
        "rows": made,
    }
    write_record(record, data_dir)
    return record


def write_record(record: Mapping[str, Any], data_dir: Path) -> Path:
    """Write `results/TABLE.json` at once or not at all."""
    path = catalog.inside(data_dir, Path("results") / f"{record['table']}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(record, indent=1) + "\n")
    return path


def _train(
    row: Row, spec: ModelSpec, table: Table, data_dir: Path, seed: int, device: str, progress: Progress | None
) -> dict[str, Any]:
    """Train one row unless its checkpoint is there with these very settings; returns what the card says of it."""
    folder = catalog.inside(data_dir, spec.checkpoint)
    about: dict[str, Any] = {
        "recipe": dataclasses.asdict(row.recipe),
        "placements": [dataclasses.asdict(p) for p in row.placements],
        "shape": dataclasses.asdict(table.shape),
        "dataset": dict(table.dataset),
        "seed": seed,
        "base": spec.base,
    }
    about = json.loads(json.dumps(about))
    if (known := trained_as(folder, about)) is not None:
        catalog.write_spec(spec, data_dir)
        return known
    work = catalog.inside(data_dir, Path("training") / spec.name)
    state, log = work / "state.pt", work / "log.jsonl"
    work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    shown = None if progress is None else lambda what, done, total: progress(f"{spec.name}: {what}", done, total)
    run = Run(seed, device, state, True, shown, log)
    base = catalog.inside(data_dir, Path("checkpoints") / (spec.base or spec.name))
    if not spec.base and table.vocabulary and not (work / TOKENIZER).exists():
        make_tokenizer(table.dataset, table.vocabulary, work, shown or (lambda what, done, total: None))
    tokenizer = tokenizer_in(base if spec.base else work)
    dataset = open_dataset(table.dataset, base if spec.base else work)
    batch = batches_of(dataset, int(table.dataset["length"]), shown)
    if row.placements:
        model = train_codebooks(base, batch, row.placements, row.recipe, "kmeans", run)
    else:
        config = table.shape.config(dataset.vocabulary, int(table.dataset["length"]), dataset.bos)
        model = train_base(config, batch, row.recipe, run)
    about["seconds"] = round(time.monotonic() - began, 1)
    if lines := read_log(log):
        about["log"] = lines
    save_checkpoint(model, folder, {"metrics": {}, "training": about}, tokenizer)
    catalog.write_spec(spec, data_dir)
    shutil.rmtree(work, ignore_errors=True)
    return about


def _measure(
    spec: ModelSpec, data_dir: Path, seeds: int, device: str, edits: dict[str, list[str]], progress: Progress | None
) -> dict[str, dict[str, Any]]:
    from backend.jobs.evaluate import evaluate

    where = measuring_device(device)
    found = evaluate(spec.name, data_dir, seeds=seeds, device=where, edits=edits, progress=progress)
    return {name: dataclasses.asdict(metric) for name, metric in found.items()}


def _commit() -> str:
    """The commit of the code, with `+` where files differ from it; empty outside a repository."""
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
