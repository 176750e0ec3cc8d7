"""Adds published checkpoints to a data directory: read, checked, written as safetensors, put in the catalog.

What a format is, is known by the family behind whose `bring` door it stands; here are the name, the place and the catalog.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend import catalog, families
from backend.errors import BadInput, CatalogError
from backend.formats import hub
from backend.formats.format import Format, ImportRequest
from backend.types import ModelSpec

# names of files and folders that say nothing of the model: the folder above is put in front
_GENERIC = ("checkpoint", "model", "checkpoint_safetensors", "vqvae", "movq", "vae", "last", "checkpoints")


@dataclass(frozen=True)
class ImportReport:
    """What was imported.

    Attributes:
        model: its name.
        codebooks: their sites.
        warnings: what a person should know.
        following: the command that leads on, without the data directory.
    """

    model: str
    codebooks: tuple[str, ...]
    warnings: tuple[str, ...]
    following: str


def formats() -> Mapping[str, tuple[str, Format]]:
    """Return every format that can be imported: name -> the family that reads it, and what it is."""
    return {name: (family, format) for family, known in families.doors("bring") for name, format in known.items()}


def import_checkpoint(
    format: str,
    path: Path,
    data_dir: Path,
    *,
    base: Path | None = None,
    name: str | None = None,
    images: Path | None = None,
    text: str | None = None,
    tags: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> ImportReport:
    """Add a checkpoint to a data directory.

    Args:
        format: key of `formats`.
        path: the checkpoint's folder or file, or its address on the hub (`backend.formats.hub`).
        data_dir: where it goes.
        base: configuration of the model below the codebooks, or the one that an image tokenizer was trained with.
        name: of the new model; made from the path by default.
        images: folder, file or Parquet file of the pictures that an image tokenizer is shown.
        text: file, folder or `hf:` name of the text that a language model is shown.
        tags: settings that make tags of the columns and file names of these pictures or that text.
        overwrite: replace a model of that name.

    Raises:
        BadInput: unknown format, no such path, no pictures, or the name is taken.
        CheckpointError: the checkpoint is incomplete, unsafe or contradicts itself, or cannot be fetched.
    """
    known = formats()
    if format not in known:
        raise BadInput(f"The format {format[:40]!r} cannot be imported. Known: {', '.join(known)}.")
    family, reader = known[format]
    name = catalog.check_name(name if name is not None else _name_of(path))
    if not overwrite and name in catalog.models(data_dir):
        raise BadInput(f"There is a model {name!r} already. Give another with --name, or --overwrite to replace it.")
    local = _local(path, reader.folder)
    base = None if base is None else _local(base, False)
    for what, place in (("checkpoint", local), ("base", base), ("images", images)):
        if place is not None and not place.exists():
            raise BadInput(f"There is no {what} {place}. Check the path.")
    if reader.folder and not local.is_dir():
        raise BadInput(f"There is no folder {local}, only a file. Give the folder that holds the checkpoint's files.")
    for option, value in (("images", images), ("text", text)):
        if value is not None and option in reader.refuses:
            raise BadInput(f"Models of the format {format} {reader.refuses[option]}: leave --{option} out.")
    if tags and images is None and text is None:
        raise BadInput(
            "--tags and --tags-from are about your own data. Give --text or --images too, or leave them out."
        )
    folder = catalog.inside(data_dir, Path("checkpoints") / name)
    origin = {"imported": format, "from": path.name}
    added = reader.add(ImportRequest(format, name, local, base, images, text, tags or {}, origin, folder))
    item: Any = families.kind_of(family).item
    title = f"{added.title}, imported ({format})"
    catalog.write_spec(ModelSpec(name, family, item, title, added.dataset, f"checkpoints/{name}"), data_dir)
    return ImportReport(name, added.sites, added.warnings, added.following)


def _local(path: Path, folder: bool) -> Path:
    return hub.fetch(path, folder=folder) if hub.is_address(path) else path


def _name_of(path: Path) -> str:
    """Make a model's name from the path's; generic folder names are told apart by the one above."""
    if hub.is_address(path):
        return hub.name_of(path)
    parts = (path.resolve().with_suffix("") if path.is_file() else path.resolve()).parts[1:]
    if not parts:
        raise CatalogError("Give the model a name with --name.")
    name = f"{parts[-2]}-{parts[-1]}" if parts[-1] in _GENERIC and parts[1:] else parts[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:100] or "imported"
