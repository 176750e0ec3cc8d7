"""What the house knows of a data set: how it is opened, and what can be judged by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backend.data.judging import Judge, Trial
    from backend.data.texts.corpus import Corpus

Settings = Mapping[str, Any]  # the `[dataset]` of a catalog file


@dataclass(frozen=True)
class DataSource:
    """One data set.

    Attributes:
        name: as it stands in `[dataset]`.
        item: what its items are: `text`, `image`.
        about: one line for people, as `train --help` shows it.
        title: what a model trained on it is called; may name settings, e.g. `{states}`.
        open: settings and the folder that relative paths start from (for text also that of the tokenizer) -> the items.
        corpus: settings -> the documents before any tokenizer; None where there are none.
        judge: who says what is true of a text that a model wrote; None where nobody can.
        trial: how steering is tried on it; None where nothing can be judged.
        concepts: regular expressions of its own that every text can be asked, beside the general ones.
        capabilities: what a model of it can do besides what its family can, e.g. `states`.
    """

    name: str
    item: str
    about: str
    title: str
    open: Callable[[Settings, Path], Any]
    corpus: Callable[[Settings], Corpus] | None = None
    judge: Judge | None = None
    trial: Trial | None = None
    concepts: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset()
