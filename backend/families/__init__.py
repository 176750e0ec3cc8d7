"""Families of models. `FAMILIES` maps a catalog file's `family` to what loads one; nothing registers itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.catalog import checkpoint_folder
from backend.errors import CatalogError
from backend.families.image_tokenizer.model import open_image_tokenizer
from backend.families.transformer.model import open_transformer
from backend.types import ModelSpec

FAMILIES: dict[str, Callable[[ModelSpec, Path, str], Any]] = {
    "transformer": open_transformer,
    "image_tokenizer": open_image_tokenizer,
}


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
    if spec.family not in FAMILIES:
        raise CatalogError(f"{spec.name!r} is of an unknown family {spec.family!r}. Known: {', '.join(FAMILIES)}.")
    return FAMILIES[spec.family](spec, checkpoint_folder(spec, data_dir), device)
