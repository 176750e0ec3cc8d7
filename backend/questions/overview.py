"""Which models there are, and what the catalog, a card, a record or a build says of one as a whole."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from backend import catalog
from backend.catalog.cards import read_card
from backend.catalog.records import BENCHMARK_RECORD, read_record, record_files
from backend.errors import CheckpointError, CodescopeError, OutsideDataDir, StoreError
from backend.store.archive import Archive
from backend.store.reader import Library, Reader
from backend.types import ModelSpec

_MODELS = [
    *("model", "family", "kind", "title", "about", "dataset", "capabilities", "base", "checkpoint", "built", "items"),
    *("positions", "activations", "codebooks", "codes", "dead_fraction", "finished", "demo", "own", "problem"),
]


def models(archive: Archive) -> pd.DataFrame:
    """Return every model of the catalog, and every build of a model that has left it.

    Returns:
        `model, family, kind, title, about, dataset` (name), `capabilities` (list), `base, checkpoint` (bool: weights are
        there), `built` (build id or ''), `items, positions, activations, codebooks, codes` (0 without a build),
        `dead_fraction` (of all codes, NaN without a build), `finished` (ISO time or ''), `demo`, `own` (bool: of the
        data directory, not shipped), `problem` (why a build cannot be read, or '').
    """
    library = archive.library
    specs = catalog.models(archive.data_dir)
    rows = []
    for name in [*specs, *sorted(library.builds().keys() - specs.keys())]:
        try:
            built = _summary(library, name)
        except StoreError:
            built = {"built": ""}
        spec = specs.get(name)
        rows.append({**_described(name, spec, built, library), **built, "problem": library.problem(name)})
    table = pd.DataFrame(rows).reindex(columns=_MODELS)
    for name in ("items", "positions", "activations", "codebooks", "codes", "demo"):
        table[name] = table[name].fillna(0).astype(np.int64)
    table["finished"] = table["finished"].fillna("")
    table["dead_fraction"] = table["dead_fraction"].astype(np.float64)
    table["capabilities"] = [value if isinstance(value, list) else [] for value in table["capabilities"]]
    return table


def _described(name: str, spec: ModelSpec | None, built: dict[str, Any], library: Library) -> dict[str, Any]:
    """Return what the catalog says; for a model that has left it, what its build says."""
    if spec is None:
        facts = built.get("facts", {})
        dataset = facts.get("dataset")
        return {
            "model": name,
            "family": facts.get("family", ""),
            "kind": facts.get("kind", ""),
            "title": facts.get("title", ""),
            "about": "",
            "dataset": dataset.get("name", "") if isinstance(dataset, dict) else dataset or "",
            "base": "",
            "checkpoint": False,
            "demo": 0,
            "own": True,
        }
    try:
        checkpoint = catalog.checkpoint_folder(spec, library.data_dir).is_dir()
    except (CheckpointError, OutsideDataDir):
        checkpoint = False
    return {
        "model": name,
        "family": spec.family,
        "kind": spec.kind,
        "title": spec.title,
        "about": spec.about,
        "dataset": spec.dataset["name"],
        "base": spec.base,
        "checkpoint": checkpoint,
        "demo": spec.demo,
        "own": catalog.is_own(name, library.data_dir),
    }


def _summary(library: Library, model: str) -> dict[str, Any]:
    """Return what a model's newest build says of itself; opened for that once only, so that a list of many closes none in use."""
    newest = library.newest(model)
    known = library.cache.remembered((newest[1], "summary")) if newest else None
    if known is not None:
        return dict(known)
    reader = library.reader(model)  # which passes a newest build over that cannot be read

    def summary() -> dict[str, Any]:
        counted = reader.arrays(
            "SELECT (SELECT count(*) FROM items) AS items, (SELECT count(*) FROM tokens) AS positions, "
            "coalesce(sum(count), 0)::BIGINT AS activations, count(*) AS codes, count(*) FILTER (count = 0) AS dead "
            "FROM codes"
        )
        row = {name: int(column[0]) for name, column in counted.items()}
        dead = row.pop("dead")
        return {
            "built": reader.build,
            **row,
            "codebooks": len(reader.sites),
            "dead_fraction": dead / row["codes"] if row["codes"] else float("nan"),
            "capabilities": list(reader.facts.get("capabilities", [])),
            "finished": str(reader.facts.get("finished", "")),
            "facts": reader.facts,
        }

    return reader.cache.remember((reader.path, "summary"), summary)


def facts(reader: Reader) -> dict[str, Any]:
    """Return what the build says of itself: `schema_version, model, family, seed, items, positions, seconds, ...`."""
    return dict(reader.facts)


def metrics(reader: Reader) -> pd.DataFrame:
    """Return what was measured when the model was trained: `name, value, low, high, n, seeds, definition`."""
    return reader.table("SELECT name, value, low, high, n, seeds, definition FROM metrics ORDER BY rowid")


def published(archive: Archive, model: str) -> dict[str, Any]:
    """Return the figures of the paper's own model of this kind, from the catalog; never mixed with ours."""
    return dict(catalog.find(model, archive.data_dir).published)


def measured_edits(archive: Archive, model: str) -> dict[str, tuple[str, ...]]:
    """Return `FIELD=VALUE` -> the edits that a search found and `evaluate` measured, from the model's card; empty without any."""
    try:
        folder = catalog.checkpoint_folder(catalog.find(model, archive.data_dir), archive.data_dir)
        return dict(read_card(folder).edits)
    except CodescopeError:
        return {}


def comparisons(archive: Archive) -> dict[str, dict[str, Any]]:
    """Return whole comparisons with their training, as `reproduce` recorded them: table -> record; the data directory's win.

    A record that cannot be read is left out.
    """
    records = {}
    for folder in (catalog.DEFAULT_DATA_DIR, archive.data_dir):
        for path in record_files(folder):
            if path.name != BENCHMARK_RECORD:
                with suppress(CheckpointError):  # `doctor` names it
                    records[path.stem] = read_record(path)
    return records
