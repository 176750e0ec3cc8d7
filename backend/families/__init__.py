"""Families of models. `FAMILIES` maps a catalog file's `family` to its package, imported when it is first used.

The package's `__init__` holds `FAMILY`, a `FamilyKind`, and imports nothing heavy. Nothing registers itself.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    return kind


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

    def other(name: str) -> Any:
        return open_family(catalog.find(name, data_dir), data_dir, device)

    return kind_of(spec.family).door("open")(spec, catalog.checkpoint_folder(spec, data_dir), device, other)
