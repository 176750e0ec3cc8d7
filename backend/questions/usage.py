"""How much there is and how it is used: models, codebooks, codes."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from backend import catalog
from backend.analysis.usage import utilization_ceiling
from backend.answers.stored import CodeStats
from backend.catalog.cards import read_card
from backend.catalog.records import BENCHMARK_RECORD, read_record, record_files
from backend.errors import CheckpointError, CodescopeError, OutsideDataDir, StoreError
from backend.store.people import People
from backend.store.reader import Library, Reader
from backend.types import CodeRef, ModelSpec

_CODEBOOKS = [
    *("site", "place", "layer", "head", "num_codes", "dim", "slots", "similarity", "projection"),
    *("alive", "dead", "dead_fraction", "activations", "entropy_bits", "perplexity", "rare"),
]
_MODELS = [
    *("model", "family", "kind", "title", "dataset", "capabilities", "base", "checkpoint", "built", "items"),
    *("positions", "activations", "codebooks", "codes", "dead_fraction", "finished", "demo", "problem"),
]
RARE = 4  # a live code with at most so many activations is rare


def models(library: Library) -> pd.DataFrame:
    """See `backend.explorer.Explorer.models`."""
    specs = catalog.models(library.data_dir)
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
    table["capabilities"] = [one if isinstance(one, list) else [] for one in table["capabilities"]]
    return table


def _described(name: str, spec: ModelSpec | None, built: dict[str, Any], library: Library) -> dict[str, Any]:
    """What the catalog says; for a model that has left it, what its build says."""
    if spec is None:
        facts = built.get("facts", {})
        dataset = facts.get("dataset")
        return {
            "model": name,
            "family": facts.get("family", ""),
            "kind": facts.get("kind", ""),
            "title": facts.get("title", ""),
            "dataset": dataset.get("name", "") if isinstance(dataset, dict) else dataset or "",
            "base": "",
            "checkpoint": False,
            "demo": 0,
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
        "dataset": spec.dataset["name"],
        "base": spec.base,
        "checkpoint": checkpoint,
        "demo": spec.demo,
    }


def _summary(library: Library, model: str) -> dict[str, Any]:
    """What a model's newest build says of itself; opened for that once only, so that a list of many closes none in use."""
    newest = library.newest(model)
    path = newest[1] if newest else None
    if path is None or path not in library.summaries:
        reader = library.reader(model)
        path = reader.path
        found = reader.arrays(
            "SELECT (SELECT count(*) FROM items) AS items, (SELECT count(*) FROM tokens) AS positions, "
            "coalesce(sum(count), 0)::BIGINT AS activations, count(*) AS codes, count(*) FILTER (count = 0) AS dead "
            "FROM codes"
        )
        one = {name: int(column[0]) for name, column in found.items()}
        dead = one.pop("dead")
        library.summaries[path] = {
            "built": reader.build,
            **one,
            "codebooks": len(reader.sites),
            "dead_fraction": dead / one["codes"] if one["codes"] else float("nan"),
            "capabilities": list(reader.facts.get("capabilities", [])),
            "finished": str(reader.facts.get("finished", "")),
            "facts": reader.facts,
        }
    return library.summaries[path]


def metrics(reader: Reader) -> pd.DataFrame:
    """See `backend.explorer.Explorer.metrics`."""
    return reader.table("SELECT name, value, low, high, n, seeds, definition FROM metrics ORDER BY rowid")


def codebooks(reader: Reader) -> pd.DataFrame:
    """See `backend.explorer.Explorer.codebooks`."""
    table: pd.DataFrame = reader.cache.get((reader.path, "codebooks"), lambda: (_codebooks(reader), 1 << 14))
    return table.copy()  # the caller may change its own


def _codebooks(reader: Reader) -> pd.DataFrame:
    used = reader.table(
        "SELECT site, count(*) FILTER (count > 0) AS alive, count(*) FILTER (count = 0) AS dead, "
        "sum(count)::BIGINT AS activations, "
        # H = log2 n - sum(c log2 c) / n
        "coalesce(log2(sum(count)) - sum(CASE WHEN count > 0 THEN count * log2(count) ELSE 0 END) / sum(count), 0) "
        "AS entropy_bits, count(*) FILTER (count BETWEEN 1 AND ?) AS rare "
        "FROM codes JOIN codebooks USING (site_id) GROUP BY site HAVING sum(count) > 0",
        [RARE],
    ).set_index("site")
    rows: list[dict[str, Any]] = []
    for name, site in reader.sites.items():
        unused = {"alive": 0, "dead": site.info.num_codes, "activations": 0, "entropy_bits": 0.0, "rare": 0}
        one = dict(used.loc[name]) if name in used.index else unused
        rows.append({**dataclasses.asdict(site.info), "projection": site.projection, **one})
    table = pd.DataFrame(rows, columns=_CODEBOOKS)
    table["dead_fraction"] = table["dead"] / table["num_codes"]
    table["entropy_bits"] = table["entropy_bits"].clip(lower=0)
    table["perplexity"] = np.exp2(table["entropy_bits"])
    for name in ("alive", "dead", "activations", "rare"):
        table[name] = table[name].astype(np.int64)
    table[["layer", "head"]] = table[["layer", "head"]].astype("Int64")
    return table


def codes(reader: Reader, site: str) -> pd.DataFrame:
    """See `backend.explorer.Explorer.codes`."""
    return reader.table(
        "SELECT code, count, items, share, entropy, x, y, pca_x, pca_y, rank() OVER (ORDER BY count DESC) AS rank "
        "FROM codes WHERE site_id = ? ORDER BY code",
        [reader.site(site).site_id],
    )


def code(reader: Reader, ref: CodeRef, people: People) -> CodeStats:
    """See `backend.explorer.Explorer.code`."""
    site = reader.site_of(ref)
    row = reader.table(
        "SELECT count, items, share, entropy, vector, 1 + (SELECT count(*) FROM codes o WHERE o.site_id = c.site_id "
        "AND o.count > c.count) AS rank FROM codes c WHERE site_id = ? AND code = ?",
        [site.site_id, ref.code],
    ).iloc[0]
    return CodeStats(
        ref=ref,
        info=site.info,
        count=int(row["count"]),
        items=int(row["items"]),
        share=float(row["share"]),
        entropy=float(row["entropy"]),
        positions=reader.positions,
        total_items=len(reader.items.item),
        rank=int(row["rank"]),
        vector=np.asarray(row["vector"], np.float32),
        label=people.label(ref),
        build=reader.build,
    )


def utilization(reader: Reader, site: str, points: int) -> pd.DataFrame:
    """See `backend.explorer.Explorer.utilization`."""
    one = reader.site(site)
    first = reader.arrays("SELECT min(pos) AS pos FROM postings WHERE site_id = ? GROUP BY code", [one.site_id])["pos"]
    seen = np.unique(np.geomspace(1, max(1, reader.positions), points).astype(np.int64))
    chosen = seen * one.info.slots
    used = np.searchsorted(np.sort(first), seen, side="left")
    ceiling = utilization_ceiling(chosen, one.info.num_codes)
    return pd.DataFrame({"chosen": chosen, "codes": used, "share": used / one.info.num_codes, "ceiling": ceiling})


def outputs(reader: Reader, site: str) -> pd.DataFrame:
    """See `backend.explorer.Explorer.outputs`."""
    one = reader.site(site)
    return reader.table("SELECT pos, pca_x, pca_y FROM outputs WHERE site_id = ? ORDER BY pos", [one.site_id])


def training_curve(reader: Reader) -> pd.DataFrame:
    """See `backend.explorer.Explorer.training_curve`."""
    return pd.DataFrame(reader.facts.get("training_curve", []))


def measured_edits(data_dir: Path, model: str) -> dict[str, tuple[str, ...]]:
    """See `backend.explorer.Explorer.measured_edits`."""
    try:
        return dict(read_card(catalog.checkpoint_folder(catalog.find(model, data_dir), data_dir)).edits)
    except CodescopeError:
        return {}


def comparisons(data_dir: Path) -> dict[str, dict[str, Any]]:
    """See `backend.explorer.Explorer.comparisons`."""
    found = {}
    for folder in (catalog.DEFAULT_DATA_DIR, data_dir):
        for path in record_files(folder):
            if path.name != BENCHMARK_RECORD:
                with suppress(CheckpointError):  # `doctor` names it
                    found[path.stem] = read_record(path)
    return found
