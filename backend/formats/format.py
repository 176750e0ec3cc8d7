"""One published form of checkpoints, as `import` sees it from the outside. Nothing heavy is imported here.

A family's `bring` door is a mapping from a format's name to a `Format`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ImportRequest:
    """What a person wants imported, on this machine and checked as far as any format can be.

    Attributes:
        format: its name.
        model: name of the new model.
        path: the checkpoint's folder or file.
        base: configuration of the model below the codebooks, or the one that an image tokenizer was trained with.
        images: the pictures that the model is shown: a folder, a file or a Parquet file.
        text: the text that it is shown: a file, a folder or an `hf:` name.
        tags: settings that make tags of the columns and file names of these pictures or texts, see `backend.data.tags`.
        origin: what the card's `training` says of where the model came from.
        folder: the checkpoint that is to be written.
    """

    format: str
    model: str
    path: Path
    base: Path | None
    images: Path | None
    text: str | None
    tags: Mapping[str, Any]
    origin: Mapping[str, Any]
    folder: Path


@dataclass(frozen=True)
class Addition:
    """What a format made of a request; the checkpoint is written.

    Attributes:
        dataset: the `[dataset]` of the catalog entry.
        title: one line for people, without where the model came from.
        sites: its codebooks.
        warnings: what a person should know.
        following: the command that leads on, without the data directory.
    """

    dataset: Mapping[str, Any]
    title: str
    sites: tuple[str, ...]
    warnings: tuple[str, ...]
    following: str


@dataclass(frozen=True)
class Format:
    """One published form of checkpoints.

    Attributes:
        about: one line for people.
        base: what `--base` is for, one line.
        add: reads the checkpoint and writes it as one of ours. Raises `CheckpointError` where it is incomplete, unsafe or
            contradicts itself, `BadInput` where something else than a checkpoint was given.
        folder: the checkpoint is a folder; else it is one file, or a folder with one.
        refuses: option -> why these models have no use for it, e.g. `{"text": "see pictures"}`.
    """

    about: str
    base: str
    add: Callable[[ImportRequest], Addition]
    folder: bool = False
    refuses: Mapping[str, str] = field(default_factory=dict)
