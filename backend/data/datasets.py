"""The data sets. `SOURCES` maps the `name` in a catalog file's `[dataset]` to the module that holds its `SOURCE`.

A module is imported when its data set is first asked for; none imports anything heavy. Nothing registers itself.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from backend.data.source import DataSource, ImageDataset, Settings, TextDataset
from backend.data.texts.corpus import Corpus
from backend.errors import CatalogError

SOURCES: dict[str, str] = {
    "tokfsm": "backend.data.machines",
    "tokens": "backend.data.texts.tokens",
    "stories": "backend.data.stories.source",
    "python-source": "backend.data.texts.python_source",
    "text": "backend.data.texts.own_text",
    "scenes": "backend.data.scenes.scenes",
    "photos": "backend.data.images.photos",
    "digits": "backend.data.images.digits",
    "mixture": "backend.data.images.mixture",
    "folder": "backend.data.images.own_images",
}


def source_of(dataset: Settings | str, item: str = "") -> DataSource:
    """Return what is known of a data set.

    Args:
        dataset: its `[dataset]`, or its name alone.
        item: what its items must be; empty: anything.

    Raises:
        CatalogError: there is no such data set, or its items are something else.
    """
    name = dataset if isinstance(dataset, str) else str(dataset.get("name", ""))
    if name in SOURCES:
        source: DataSource = import_module(SOURCES[name]).SOURCE
        if item in ("", source.item):
            return source
    known = ", ".join(source.name for source in sources(item))
    raise CatalogError(f"There is no {item}{' ' if item else ''}data set {name[:60]!r}. Known: {known}.")


def sources(item: str = "") -> list[DataSource]:
    """List the data sets whose items are of that kind, in the order of `SOURCES`; without a kind all of them."""
    every = [source_of(name) for name in SOURCES]
    return [source for source in every if item in ("", source.item)]


def open_dataset(settings: Settings, folder: Path) -> Any:
    """Open the data set that a catalog file's `[dataset]` describes.

    Args:
        settings: its `name`, a key of `SOURCES`, and the settings of that data set.
        folder: what relative paths in them start from; of text the model's checkpoint, where a tokenizer may be.

    Returns:
        A `TextDataset` or an `ImageDataset`.

    Raises:
        CatalogError: unknown name or setting.
        CheckpointError: the tokenizer is missing or is not one.
        BadInput: a person's own data cannot be read.
    """
    return source_of(settings).open(settings, folder)


def open_text(settings: Settings, folder: Path) -> TextDataset:
    """Open a data set of text; see `open_dataset`."""
    dataset: TextDataset = source_of(settings, "text").open(settings, folder)
    return dataset


def open_images(settings: Settings, folder: Path) -> ImageDataset:
    """Open a data set of images; see `open_dataset`."""
    dataset: ImageDataset = source_of(settings, "image").open(settings, folder)
    return dataset


def open_corpus(settings: Settings) -> Corpus:
    """Open the documents behind a data set, before any tokenizer: what one is trained on.

    Raises:
        CatalogError: unknown name or setting, or the data set has no documents.
        BadInput: a person's text is not there or cannot be read.
    """
    source = source_of(settings)
    if source.corpus is None:
        known = ", ".join(source.name for source in sources() if source.corpus)
        raise CatalogError(f"The data set {source.name!r} has no documents. Those that have: {known}.")
    return source.corpus(settings)
