"""Families of models. `FAMILIES` maps a catalog file's `family` to its package, imported when it is first used.

The package's `__init__` holds `FAMILY`, a `FamilyKind`, and imports nothing heavy. Nothing registers itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from backend import catalog
from backend.errors import CatalogError
from backend.families.kind import FamilyKind
from backend.types import ModelSpec

FAMILIES: dict[str, str] = {
    "transformer": "backend.families.transformer",
    "image_tokenizer": "backend.families.image_tokenizer",
}


def kind_of(family: str) -> FamilyKind:
    """Return what is known of a family from the outside.

    Raises:
        CatalogError: unknown family.
    """
    if family not in FAMILIES:
        raise CatalogError(f"There is no family {family[:60]!r}. Known: {', '.join(FAMILIES)}.")
    kind: FamilyKind = import_module(FAMILIES[family]).FAMILY
    return replace(kind, name=family)


def kind_of_model(spec: ModelSpec) -> FamilyKind:
    """Return what is known of a model's family, after a look at what the catalog says of both.

    Raises:
        CatalogError: unknown family, or its items are of another kind than the catalog says.
    """
    try:
        kind = kind_of(spec.family)
    except CatalogError as error:
        raise CatalogError(f"The catalog file of {spec.name!r} names an unknown family. {error}") from None
    if spec.kind != kind.item:
        raise CatalogError(
            f"The catalog file of {spec.name!r} says kind = {spec.kind!r}, but items of the family {spec.family!r} are of "
            f"the kind {kind.item!r}. Change the line."
        )
    return kind


class Opener:
    """Opens models of one data directory, each once; the `other` of a family's doors. Safe to share between threads."""

    def __init__(self, data_dir: Path, device: str = "cpu") -> None:
        """Open nothing yet.

        Args:
            data_dir: where catalog entries and checkpoints are looked for first.
            device: `cpu` or `cuda`.
        """
        self._data_dir, self._device = data_dir, device
        self._opened: dict[str, Any] = {}
        self._lock = (
            threading.RLock()
        )  # one that can be taken again: a model may open another while it is opened itself

    def __call__(self, name: str) -> Any:
        """Open the model of that name in the catalog, or return it if that was done.

        Raises:
            UnknownModel: there is none.
            CatalogError: its family is unknown.
            CheckpointError: its weights are missing or unusable.
        """
        with self._lock:
            return self._opened[name] if name in self._opened else self.open(catalog.find(name, self._data_dir))

    def open(self, spec: ModelSpec) -> Any:
        """Open the model of a catalog entry that need not be in the catalog; raises what `__call__` does."""
        with self._lock:
            door = kind_of_model(spec).door("open", spec.name)
            folder = catalog.checkpoint_folder(spec, self._data_dir)
            self._opened[spec.name] = door(spec, folder, self._device, self)
            return self._opened[spec.name]


def doors(name: str) -> Iterator[tuple[str, Any]]:
    """Yield every family that has a door of this name, and what stands behind it.

    Args:
        name: a key of `FamilyKind.doors`.
    """
    for family in FAMILIES:
        kind = kind_of(family)
        if name in kind.doors:
            yield family, kind.door(name)


def open_family(spec: ModelSpec, data_dir: Path, device: str = "cpu") -> Any:
    """Load a model.

    Args:
        spec: its catalog entry.
        data_dir: where its checkpoint is looked for first.
        device: `cpu` or `cuda`.

    Returns:
        A `Family`.

    Raises:
        CatalogError: unknown family.
        CheckpointError: the weights are missing or unusable.
    """
    return Opener(data_dir, device).open(spec)


def open_live(spec: ModelSpec, data_dir: Path, device: str = "cpu") -> Any:
    """Load a model for questions of pages and commands; arguments and errors are those of `open_family`.

    Returns:
        What the `live` door of its family gives.

    Raises:
        Unsupported: models of its family cannot be looked at live.
    """
    door, other = kind_of_model(spec).door("live", spec.name), Opener(data_dir, device)
    return door(other.open(spec), other)
