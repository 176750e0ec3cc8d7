"""Making stores and measuring models: `build`, `evaluate`, `reproduce`, `bench`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from backend.build.engines import ENGINES
from backend.cli import (
    Answer,
    Command,
    Progress,
    add_device,
    add_model,
    chosen_device,
    counting,
    metric_table,
    positive,
    table,
)

HEADLINES = (
    "lm_loss lm_accuracy transition_accuracy state_code_precision jsd_all_mlp_normalized utilization utilization_ceiling psnr"
).split()


# -- build ---------------------------------------------------------------------------------------------------------


def _build_options(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument(
        "--items", type=positive, metavar="N", help="how many items (the data set's own number, or 1000)"
    )
    parser.add_argument("--seed", type=counting, default=0, metavar="S", help="of the items (0)")
    parser.add_argument("--engine", default="local", choices=tuple(ENGINES), help="where shards are made (local)")
    parser.add_argument(
        "--projection", default="umap", choices=("umap", "pca"), help="how codes are put on maps (umap; pca is instant)"
    )


def _build(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend.build.lock import WAITING
    from backend.build.precompute import build
    from backend.build.stages import Whole

    def tell(stage: str, done: int, total: int) -> None:
        if stage.startswith(WAITING) and not getattr(progress, "shown", True):
            print(stage, file=sys.stderr, flush=True)  # nobody should wonder why nothing happens
        progress(stage, done, total)

    report = build(
        options.model,
        options.data_dir,
        items=options.items,
        seed=options.seed,
        engine=options.engine,
        projection=options.projection,
        progress=Whole(tell),
    )
    checks = table(["check", "result"], list(report.checks.items()))
    text = (
        f"Built {report.model} in {report.seconds:.1f} s: {report.items:,} items, {report.positions:,} positions, "
        f"{report.activations:,} activations.\n{report.store}\n{checks}"
    )
    return Answer(dataclasses.asdict(report), text)


# -- evaluate ------------------------------------------------------------------------------------------------------


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument(
        "--seeds", type=positive, default=3, metavar="N", help="measure so many times on other items (3)"
    )
    parser.add_argument("--items", type=positive, metavar="N", help="held-out items, samples and patches a seed (256)")
    add_device(parser)
    parser.add_argument(
        "--no-steering", action="store_true", help="leave out how often steering a text model works: that takes long"
    )
    parser.add_argument(
        "--search",
        action="store_true",
        help="find the edits to steer with anew, some ten minutes each (those in the model card; without any, no steering)",
    )
    parser.add_argument("--write-card", action="store_true", help="keep the numbers in the model card")


def _evaluate(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend import catalog
    from backend.catalog.cards import renew_card
    from backend.explorer import Explorer

    edits_of_card = {} if options.search else Explorer(options.data_dir).measured_edits(options.model)
    edits = {name: [*some] for name, some in edits_of_card.items()}
    steering = not options.no_steering and (options.search or bool(edits))
    metrics = measured(
        options.model,
        options.data_dir,
        options.seeds,
        options.items,
        chosen_device(options.device),
        progress,
        steering=steering,
        edits=edits,
    )
    if options.write_card:
        folder = catalog.checkpoint_folder(catalog.find(options.model, options.data_dir), options.data_dir)
        renew_card(folder, metrics, {name: tuple(some) for name, some in edits.items()} if steering else None)
    return Answer({"model": options.model, "metrics": metrics}, metric_table(metrics))


def measured(
    model: str,
    data_dir: Path,
    seeds: int,
    items: int | None,
    device: str,
    progress: Progress,
    *,
    steering: bool = False,
    edits: dict[str, list[str]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Measure a model from its checkpoint: metric name -> its fields.

    Args:
        model: its name.
        data_dir: where it is.
        seeds: how many times.
        items: held-out items per seed; None: as many as usual.
        device: `cpu` or `cuda`.
        progress: told how far it is.
        steering: also measure steering.
        edits: those to measure it with; those that had to be searched for are put into it.
    """
    from backend.families.kind import Request
    from backend.jobs.evaluate import evaluate

    request = Request(seeds, items or Request.items, steering, edits or {}, progress)
    report = evaluate(model, data_dir, request, device)
    if edits is not None:
        edits |= {name: [*some] for name, some in report.edits.items()}
    return {name: dataclasses.asdict(metric) for name, metric in report.metrics().items()}


# -- reproduce -----------------------------------------------------------------------------------------------------


def _reproduce_options(parser: argparse.ArgumentParser) -> None:
    from backend.jobs.reproduce import tables

    known = tables()
    width = max(map(len, known))
    parser.add_argument_group("tables", "\n".join(f"{name:<{width}}  {table.about}" for name, table in known.items()))
    parser.add_argument("table", metavar="TABLE", help=f"one of {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="few steps and small batches, to see that it works")
    alone = ", ".join(name for name, table in known.items() if table.alone)
    parser.add_argument(
        "--rows", nargs="+", default=[], metavar="NAME", help=f"{alone}: only these models (all that are missing)"
    )


def _reproduce(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend.jobs.reproduce import reproduce

    record = reproduce(options.table, options.data_dir, fast=options.quick, rows=tuple(options.rows), progress=progress)
    rows = record["rows"]
    measures = [name for name in HEADLINES if any(name in row["metrics"] for row in rows)]
    columns = [column for name in measures for column in (name, "paper")]
    cells = []
    for row in rows:
        pairs = [(row["metrics"].get(name, {}).get("value"), row["paper"].get(name)) for name in measures]
        cells.append([row["model"], *("-" if value is None else value for pair in pairs for value in pair)])
    where = options.data_dir / "results" / f"{record['table']}.json"
    text = f"{table(['model', *columns], cells)}\nThe record is in {where}."
    if record.get("missing"):
        text += f"\nNot made yet: {', '.join(record['missing'])}."
    return Answer(record, text)


# -- bench ---------------------------------------------------------------------------------------------------------


def _bench_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="one benchmark, or one file's; all by default")
    parser.add_argument("--quick", action="store_true", help="a fraction of the size, to see that it works")
    parser.add_argument("--list", action="store_true", help="only say which there are")


def _bench(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend.jobs.benchmarks import FIELDS, benchmarks, run_benchmarks

    if options.list:
        known = benchmarks()
        return Answer(
            {"benchmarks": known}, "\n".join(f"{group}: {', '.join(names)}" for group, names in known.items())
        )
    rows = run_benchmarks(options.name, options.data_dir, quick=options.quick, progress=progress)
    cells = [["-" if row[field] is None else row[field] for field in FIELDS] for row in rows]
    return Answer({"benchmarks": rows}, table(FIELDS, cells))


BUILD = Command(
    "build",
    "precompute a model's store, check it and publish it",
    ("build tokfsm-small", "build tokfsm-attn-mlp-k1 --items 2000 --seed 1 --json"),
    _build_options,
    _build,
    """\
Items of the model's data set are encoded into shards, which become one DuckDB file: what the pages and `search` read.
Killed at any moment, the same command goes on from its finished shards; what was published before stays in use.
While another build is at work in the same data directory it waits, and says for which.""",
)
EVALUATE = Command(
    "evaluate",
    "measure a model again from its checkpoint",
    ("evaluate tokfsm-small", "evaluate tokfsm-attn-mlp-k1 --seeds 3 --json"),
    _evaluate_options,
    _evaluate,
    """\
Losses, codes and controls are measured on held-out items, `--seeds` times; each number comes with its range over the seeds,
its n and, with --json, its definition. No number is read from a record. How well steering works is measured with the edits in
the model card, and left out where it has none; --search finds them anew.""",
)
REPRODUCE = Command(
    "reproduce",
    "run a whole comparison, training included, and keep its record",
    ("reproduce tokfsm --quick", "reproduce tokfsm --json"),
    _reproduce_options,
    _reproduce,
)
BENCH = Command(
    "bench",
    "run benchmarks and print ratios against references",
    ("bench --list", "bench build --quick", "bench --json"),
    _bench_options,
    _bench,
)
