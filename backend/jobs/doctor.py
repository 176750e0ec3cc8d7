"""Is everything in order? Installation, data directory, catalog, checkpoints, stores, records, what people wrote.

Nothing is changed and no model is loaded.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from safetensors import SafetensorError, safe_open

from backend import catalog
from backend.catalog.cards import read_card
from backend.catalog.records import read_record, record_files
from backend.errors import CatalogError, CheckpointError, CodescopeError, StoreError
from backend.families import kind_of_model
from backend.store.reader import Library
from backend.types import ModelSpec, Progress

PYTHON = (3, 11)
FREE_BYTES = 1 << 30


@dataclass(frozen=True)
class Check:
    """One thing looked at: its name, whether it is in order, and what was seen or what to do."""

    name: str
    ok: bool
    detail: str


def examine(data_dir: Path, progress: Progress) -> list[Check]:
    """Look at everything.

    Args:
        data_dir: the data directory.
        progress: called with (what, done, total).
    """
    groups: list[Callable[[], Iterator[Check]]] = [
        _installation,
        lambda: _data_directory(data_dir),
        lambda: _models(data_dir),
        lambda: _stores(data_dir),
        lambda: _records(data_dir),
        lambda: _people(data_dir),
    ]
    checks: list[Check] = []
    for done, group in enumerate(groups):
        progress("examining", done, len(groups))
        checks += group()
    progress("examining", len(groups), len(groups))
    return checks


def _installation() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= PYTHON
    yield Check(
        "python", good, version if good else f"{version} is too old: Codescope needs {'.'.join(map(str, PYTHON))}."
    )
    file = catalog.ROOT / "requirements.txt"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        yield Check("requirements", False, f"{file} cannot be read: {error}.")
        return
    for line in lines:
        text = line.partition("#")[0].strip()
        if text:
            yield _package(text)


def _package(text: str) -> Check:
    try:
        wanted = Requirement(text)
        version = importlib.metadata.version(wanted.name)
    except InvalidRequirement as error:
        return Check(f"package {text}", False, f"requirements.txt says {text!r}: {error}.")
    except importlib.metadata.PackageNotFoundError:
        return Check(f"package {text}", False, "not installed: run pip install -r requirements.txt")
    good = wanted.specifier.contains(version, prereleases=True)
    detail = version if good else f"{version} does not fit {wanted.specifier}: run pip install -r requirements.txt"
    return Check(f"package {wanted.name}", good, detail)


def _data_directory(data_dir: Path) -> Iterator[Check]:
    existing = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    what = f"{data_dir}" if existing == data_dir else f"{data_dir} is not there yet; it is made when it is needed"
    yield Check(
        "data directory",
        writable,
        what if writable else f"Nothing can be written to {existing}. Give another with --data-dir.",
    )
    free = shutil.disk_usage(existing).free
    yield Check(
        "free space",
        free >= FREE_BYTES,
        f"{free / 1e9:.1f} GB"
        + ("" if free >= FREE_BYTES else ": a build may not fit. Free some, or give another --data-dir."),
    )


def _models(data_dir: Path) -> Iterator[Check]:
    specs: dict[str, ModelSpec] = {}
    for folder in (catalog.SHIPPED, data_dir / "catalog"):
        for file in sorted(folder.glob("*.toml")):
            try:
                spec = catalog.read_spec(file)
                specs[spec.name] = spec
            except CatalogError as error:
                yield Check(f"catalog {file.stem}", False, str(error))
    yield Check("catalog", True, f"{len(specs)} models")
    for name, spec in specs.items():
        try:
            yield Check(f"checkpoint {name}", True, _checkpoint(spec, data_dir))
        except CodescopeError as error:
            yield Check(f"checkpoint {name}", False, str(error))
        if spec.base and spec.base not in specs:
            yield Check(
                f"base of {name}", False, f"There is no model {spec.base!r}, which losses are compared with. Train it."
            )


def _checkpoint(spec: ModelSpec, data_dir: Path) -> str:
    files = kind_of_model(spec).files
    folder = catalog.checkpoint_folder(spec, data_dir)
    if missing := [name for name in files if not (folder / name).is_file()]:
        raise CheckpointError(f"{folder} has no {', '.join(missing)}. Train or import {spec.name!r} again.")
    tensors = size = 0
    for weights in (folder / name for name in files if name.endswith(".safetensors")):
        try:
            with safe_open(weights, framework="np") as file:  # checks its length, reads no weights
                tensors += len(list(file.keys()))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{weights} is not whole ({error}). Copy it again, or make {spec.name!r} again."
            ) from error
        size += weights.stat().st_size
    read_card(folder)
    return f"{tensors} tensors, {size / 1e6:.1f} MB"


def _stores(data_dir: Path) -> Iterator[Check]:
    library = Library(data_dir)
    for name in library.builds():
        try:
            reader = library.reader(name)
        except StoreError as error:
            yield Check(f"store {name}", False, str(error))
            continue
        problem = library.problem(name)
        yield Check(f"store {name}", not problem, problem or f"{reader.build}, {reader.positions:,} positions")
    for partial in sorted((data_dir / "builds").glob("*.partial")):
        name = partial.name.removesuffix(".partial")
        yield Check(f"unfinished build {name}", True, f"python -m backend build {name} goes on with it")


def _records(data_dir: Path) -> Iterator[Check]:
    for path in [
        path for folder in dict.fromkeys((catalog.DEFAULT_DATA_DIR, data_dir)) for path in record_files(folder)
    ]:
        try:
            read_record(path)
        except CheckpointError as error:
            yield Check(f"record {path.stem}", False, str(error))
        else:
            yield Check(f"record {path.stem}", True, "whole")


def _people(data_dir: Path) -> Iterator[Check]:
    file = data_dir / "people.sqlite"
    if not file.exists():
        return
    try:
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            answer = str(connection.execute("PRAGMA quick_check").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error as error:
        answer = str(error)
    good = answer == "ok"
    yield Check(
        "labels and notes", good, f"{file.name} is whole" if good else f"{file}: {answer}. Restore it from a copy."
    )
