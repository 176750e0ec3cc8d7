"""Builds a model's store: items -> shards -> DuckDB -> self-check -> published under a new name.

    1. lock the data directory's builds; a second build waits for the first
    2. compute the build key (`backend.build.identity`); a partial folder of another key is thrown away
    3. check the shards that an earlier run finished, and let the engine make the missing ones (`backend.build.shards`)
    4. write the tables (`backend.build.writer`) and what follows from them (`backend.build.derived`)
    5. compare the store with the model (`backend.build.checks`)
    6. flush it, rename it to `builds/<model>.<build id>.duckdb`, delete all but the newest two builds of the model

A run that is killed at any point leaves the published builds as they were, and shards from which the next one goes on.
"""

from __future__ import annotations

import bisect
import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np

from backend import families
from backend.build.checks import check_store
from backend.build.derived import MIN_TOGETHER, UMAP_CODES, count_codes, write_codes, write_outputs, write_together
from backend.build.engines import Job, open_engine
from backend.build.identity import Limits, build_key, code_version, hash_checkpoint
from backend.build.lock import locked
from backend.build.map_process import MapProcess
from backend.build.shards import Manifest, Shard, is_picture, is_whole
from backend.build.writer import (
    MEMORY_LIMIT,
    THREADS,
    load_shards,
    open_for_writing,
    sort_postings,
    write_codebooks,
    write_facts,
    write_metrics,
    write_neurons,
)
from backend.catalog import checkpoint_folder, find
from backend.catalog.cards import read_card
from backend.errors import BadInput, BuildError, CheckFailed, DiskFull
from backend.files import is_disk_full
from backend.store import SCHEMA_VERSION
from backend.store.files import builds_of, move_atomically, new_build_id
from backend.types import BuildReport, Family, ModelSpec, Progress

Projection = Literal["umap", "pca"]
DEFAULT_ITEMS = 1000  # 128,000 positions of the demo machines: the first start stays well under a minute on two cores
KEPT_BUILDS = 2
SAMPLE = 16  # items whose length is looked at before a build
_STORE = "store.duckdb"
_CELLS = "cells.int32"


@dataclass(frozen=True)
class Plan:
    """How the items of a build are cut.

    Attributes:
        batch_items, neuron_items: as of a `Job`.
        shards: first item and the one behind the last of each shard, in order.
    """

    batch_items: int
    neuron_items: int
    shards: list[tuple[int, int]]


@dataclass(frozen=True)
class Building:
    """A build under way.

    Attributes:
        job: what engines are told.
        family: the model, loaded in this process.
        manifest: the shards that are there.
        limits: memory bounds.
        started: when, by `time.monotonic`.
        tell: told how far it is.
    """

    job: Job
    family: Family
    manifest: Manifest
    limits: Limits
    started: float
    tell: Progress

    @property
    def items(self) -> int:
        """How many items are built."""
        return self.manifest.plan[-1][1]


def build(
    model: str,
    data_dir: Path,
    *,
    items: int | None = None,
    seed: int = 0,
    engine: str = "local",
    projection: Projection = "umap",
    progress: Progress | None = None,
    wait: float | None = None,
    limits: Limits | None = None,
    open_family: Callable[[ModelSpec, Path], Family] | None = None,
) -> BuildReport:
    """Precompute a model's store and publish it.

    Args:
        model: its name in the catalog.
        data_dir: where checkpoints are and builds go.
        items: how many items, as far as the data set goes; by default what the catalog says (`items` in `[settings]` or
            `[dataset]`), else 1,000.
        seed: of the items.
        engine: where shards are made, a key of `backend.build.engines.ENGINES`.
        projection: how codes are put on maps: `umap`, in a process of its own beside the encoding (PCA for codebooks
            with fewer than 16 or more than 10,000 live codes, and if it fails), or `pca` for all, at next to no cost.
        progress: told `(stage, done, total)`; a total of 0 marks a message for people and not a count.
        wait: seconds to wait for another build in the same data directory; None: as long as it takes.
        limits: memory bounds.
        open_family: loads the model; `backend.families.open_family` by default.

    Raises:
        UnknownModel: no such model.
        UsageError: no such engine, a number of items below 1, or a model without codebooks.
        CheckpointError: the weights are missing or unusable.
        BuildLocked: another build did not end in time.
        DiskFull: finished shards are kept; free some room and run it again.
        ShardError: a shard became unreadable; run it again.
        CheckFailed: the store does not say what the model says; nothing was published.
    """
    started = time.monotonic()
    data_dir = Path(data_dir).resolve()
    spec = find(model, data_dir)
    make_shards = open_engine(engine).make_shards
    default = int(spec.settings.get("items", spec.dataset.get("items", DEFAULT_ITEMS)))
    count = default if items is None else items
    if count < 1:
        raise BadInput(f"A build cannot have {count} items. Give 1 or more.")
    tell = progress or (lambda stage, done, total: None)
    limits = limits or Limits()
    builds = data_dir / "builds"
    partial = builds / f"{model}.partial"
    with _explain_errors(model, builds), locked(builds, model, wait, tell):
        drawing = MapProcess() if projection == "umap" else nullcontext()
        with _tidy_up(partial), drawing as maps:
            checkpoint = hash_checkpoint(spec, data_dir)
            tell("load model", 0, 1)
            family: Family = (open_family or families.open_family)(spec, data_dir)
            curve = read_card(checkpoint_folder(spec, data_dir)).curve
            tell("load model", 1, 1)
            if not family.codebooks():
                raise BadInput(
                    f"{model!r} has no codebooks, so there is nothing to build. Put some into it: python -m backend train "
                    f"text --from {model} --text YOUR-TEXT --places mlp --name {model}-codes (of a finite-state machine: "
                    f"train tokfsm --from {model}); then build that model."
                )
            partial.mkdir(exist_ok=True)
            count = _count_available(family, count, seed, tell)
            key = build_key(spec, checkpoint, count, seed, limits)
            if maps is not None and not any(info.num_codes >= UMAP_CODES[0] for info in family.codebooks()):
                maps.close()
            plan = _plan_shards(family, count, seed, limits)
            job = Job(spec, data_dir, partial, seed, plan.batch_items, plan.neuron_items)
            manifest = _resume(partial, key, plan.shards, tell)
            building = Building(job, family, manifest, limits, started, tell)
            try:
                _make_missing(building, make_shards)
                facts = _gather_facts(building, checkpoint)
                facts["training_curve"] = curve
                report = _write_and_publish(building, facts, maps)
            except CheckFailed as error:
                manifest.state, manifest.reason = "failed", str(error)
                manifest.write(partial)
                raise
            shutil.rmtree(partial, ignore_errors=True)
            return report


@contextmanager
def _explain_errors(model: str, builds: Path) -> Iterator[None]:
    """Turn errors of the system and of DuckDB into named ones."""
    try:
        yield
    except (OSError, duckdb.Error) as error:
        if is_disk_full(error):
            raise DiskFull(
                f"There was no room left to build {model!r} in {builds}: {error}. Free some (a build needs about twice "
                f"the size of the finished store) and run it again: it goes on from the shards that are finished."
            ) from error
        raise BuildError(f"The build of {model!r} in {builds} stopped: {error}. Run it again: it goes on.") from error


@contextmanager
def _tidy_up(partial: Path) -> Iterator[None]:
    """Give back the room of an unfinished store after an error; the shards stay."""
    try:
        yield
    except BaseException:
        for name in (_STORE, f"{_STORE}.wal", _CELLS):
            (partial / name).unlink(missing_ok=True)
        shutil.rmtree(partial / "spill", ignore_errors=True)
        raise


def _count_available(family: Family, items: int, seed: int, tell: Progress) -> int:
    """Return how many of the items asked for the data set has; say so if there are fewer."""
    if family.items(items - 1, items, seed):
        return items
    # whether there is an item i can be asked, how many there are cannot: by halves some ten questions find the end
    available = bisect.bisect_left(range(items), True, key=lambda item: not family.items(item, item + 1, seed))
    if not available:
        raise BadInput(f"The data set has no items with seed {seed}. Give it more, or another seed.")
    tell(f"the data set has {available:,} items: all are taken", 0, 0)
    return available


def _plan_shards(family: Family, items: int, seed: int, limits: Limits) -> Plan:
    """Cut the items into batches and shards by the longest of the first items; shards with neurons are shorter."""
    first = family.items(0, min(items, SAMPLE), seed)
    length = max(1, *(item.positions for item in first))
    has_neurons = "neurons" in family.capabilities
    encoded = family.encode(first[:1], neurons=has_neurons)
    widths = sum(values.shape[1] for values in encoded.neurons.values())
    codebooks = family.codebooks()
    cell = 16 * sum(info.slots for info in codebooks) + 8 * len(codebooks) + 64
    cell += max((item.payload.size // item.positions for item in first if is_picture(item)), default=0)
    batch = max(1, limits.batch_positions // length)
    neuron_items = min(items, -(-min(limits.neuron_positions, 65_536) // length)) if widths else 0

    def size(cell_bytes: int) -> int:
        fitting = max(1, limits.shard_bytes // (cell_bytes * length))
        return fitting - fitting % batch if fitting >= batch else fitting

    plan: list[tuple[int, int]] = []
    start = 0
    while start < items:
        step = size(cell + 4 * widths) if start < neuron_items else size(cell)
        plan.append((start, min(start + step, items)))
        start = plan[-1][1]
    return Plan(batch, neuron_items, plan)


def _resume(folder: Path, key: str, plan: list[tuple[int, int]], tell: Progress) -> Manifest:
    """Return the manifest to go on from: that of an earlier run with the same key, without its broken shards, or a new one."""
    manifest = Manifest.read(folder)
    if manifest is not None and manifest.state == "failed":
        tell("the last build failed its self-check: starting from the first item again", 0, 0)
        manifest = None
    elif manifest is not None and (manifest.key != key or manifest.plan != plan):
        tell("the unfinished build was of other weights, settings or code: starting again", 0, 0)
        manifest = None
    elif manifest is None and any(folder.iterdir()):
        tell("the unfinished build has no readable manifest: starting again", 0, 0)
    if manifest is None:
        shutil.rmtree(folder)
        folder.mkdir()
        manifest = Manifest(key, plan)
    for number, (start, shard) in enumerate(list(manifest.shards.items())):
        tell("verify shards", number + 1, len(manifest.shards))
        if not is_whole(shard, folder):
            tell(f"the shard of items {shard.start} to {shard.stop - 1} is broken: making it again", 0, 0)
            del manifest.shards[start]
    manifest.state = "encoding"
    manifest.write(folder)
    return manifest


def _make_missing(building: Building, make_shards: Callable[..., None]) -> None:
    manifest, items, tell = building.manifest, building.items, building.tell
    todo = [(start, stop) for start, stop in manifest.plan if start not in manifest.shards]
    done = items - sum(stop - start for start, stop in todo)
    tell("encode", done, items)

    def finished(shard: Shard) -> None:
        manifest.shards[shard.start] = shard
        manifest.write(building.job.folder)

    def encoded(more: int) -> None:
        nonlocal done
        done += more
        tell("encode", done, items)

    make_shards(building.job, todo, finished, encoded, building.family)
    missing = [start for start, _ in manifest.plan if start not in manifest.shards]
    if missing:
        raise BuildError(f"The engine did not make the shards of items {missing[:10]}. Run the build again.")


def _gather_facts(building: Building, checkpoint: str) -> dict[str, Any]:
    spec, begun = building.job.spec, datetime.now(UTC).timestamp() - (time.monotonic() - building.started)
    return {
        "schema_version": SCHEMA_VERSION,
        "model": spec.name,
        "family": spec.family,
        "kind": spec.kind,
        "title": spec.title,
        "capabilities": sorted(building.family.capabilities),
        "spec": dataclasses.asdict(spec),
        "dataset": dict(spec.dataset),
        "checkpoint_hash": checkpoint,
        "code_version": code_version(),
        "seed": building.job.seed,
        "started": datetime.fromtimestamp(begun, UTC).isoformat(timespec="seconds"),
        "split": "half = last bit of splitmix64(item): 0 to make claims on, 1 held out",
        "min_together": MIN_TOGETHER,
    }


def _write_and_publish(building: Building, facts: dict[str, Any], maps: MapProcess | None) -> BuildReport:
    job, manifest, items, tell = building.job, building.manifest, building.items, building.tell
    folder, model = job.folder, job.spec.name
    shards = [manifest.shards[start] for start, _ in manifest.plan]
    store = folder / _STORE
    shutil.rmtree(folder / "spill", ignore_errors=True)
    manifest.state = "writing"
    manifest.write(folder)
    with open_for_writing(store, fresh=True) as connection:
        facts["neuron_positions"] = _write_tables(connection, building, shards, maps)
    (folder / _CELLS).unlink(missing_ok=True)
    with duckdb.connect(
        str(store), read_only=True, config={"memory_limit": MEMORY_LIMIT, "threads": THREADS}
    ) as connection:
        checks = check_store(connection, job, building.family, shards, tell)
    build_id = new_build_id(manifest.key, max((b for b, _ in builds_of(model, folder.parent)), default=""))
    facts |= {
        "build": build_id,
        "items": items,
        "positions": sum(shard.positions for shard in shards),
        "activations": sum(shard.activations for shard in shards),
        "replaced_characters": sum(shard.replaced for shard in shards),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - building.started, 3),
        "checks": checks,
    }
    if facts["replaced_characters"]:
        tell(f"{facts['replaced_characters']} characters that are not Unicode text were stored as U+FFFD", 0, 0)
    with open_for_writing(store) as connection:
        write_facts(connection, facts)
        connection.execute("CHECKPOINT")
    tell("publish", 0, 1)
    target = folder.parent / f"{model}.{build_id}.duckdb"
    move_atomically(store, target)
    for _, old in builds_of(model, folder.parent)[:-KEPT_BUILDS]:
        old.unlink(missing_ok=True)
    tell("publish", 1, 1)
    return BuildReport(
        model, build_id, target, items, facts["positions"], facts["activations"], facts["seconds"], checks
    )


def _write_tables(
    connection: duckdb.DuckDBPyConnection, building: Building, shards: list[Shard], maps: MapProcess | None
) -> int:
    """Fill all tables but `facts`; returns the number of positions whose neurons are kept."""
    job, family, tell = building.job, building.family, building.tell
    codebooks = family.codebooks()
    slots = sum(info.slots for info in codebooks)
    shape = (sum(shard.positions for shard in shards), slots)
    cells: np.ndarray = np.zeros(shape, np.int32)
    if cells.size:  # on the disk, because it grows with the corpus: the system may drop its pages
        with open(job.folder / _CELLS, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, cells.nbytes)  # a mapped file on a full disk would kill the process
        cells = np.memmap(job.folder / _CELLS, np.int32, "r+", shape=shape)
    write_codebooks(connection, codebooks)
    load_shards(connection, shards, job.folder, codebooks, cells, tell)
    tell("sort", 0, 1)
    sort_postings(connection)
    tell("sort", 1, 1)
    counted = count_codes(connection, codebooks, family.table, maps, tell)
    counts = np.concatenate([np.zeros(0, np.int64), *(codebook.usage.count for codebook in counted)])
    write_together(connection, codebooks, cells, counts, tell)
    neurons = write_neurons(connection, shards, job.folder, min(building.limits.neuron_positions, 65_536), tell)
    write_codes(connection, codebooks, family.table, counted, tell)
    write_outputs(connection, shards, job.folder, codebooks, family.table)
    write_metrics(connection, read_card(checkpoint_folder(job.spec, job.data_dir)).metrics)
    connection.execute("CHECKPOINT")
    return neurons
