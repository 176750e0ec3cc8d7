"""What the house knows of a data set before it opens it: what its items are, how it is opened, what can be judged by it.

A data set is one module with a `SOURCE`, and one line in `backend.data.datasets.SOURCES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from backend.data.judging import Behaviour, Judge, Trial
from backend.data.report import Report
from backend.types import Item

if TYPE_CHECKING:
    from backend.data.texts.corpus import Corpus

Settings = Mapping[str, Any]  # the `[dataset]` of a catalog file


class TextDataset(Protocol):
    """Where text items come from, and how a person's own text becomes tokens and back."""

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        ...

    @property
    def bos(self) -> int:
        """Id of the token in front of every item; 0 where there is none."""
        ...

    def items(self, start: int, stop: int, seed: int) -> Sequence[Item]:
        """Return items `start` to `stop`, fewer where the data set ends; item i is the same whatever range it is asked in."""
        ...

    def parse(self, text: str) -> np.ndarray:
        """Read text as token ids int64 `[T]`; `BadInput` says what is wrong with it."""
        ...

    def render(self, ids: Sequence[int] | np.ndarray) -> tuple[str, np.ndarray]:
        """Write token ids as text; also return the character spans of the tokens in it, int64 `[T, 2]`."""
        ...


class ImageDataset(Protocol):
    """Square images of one size; image i of a seed is the same whatever range it is asked in.

    Seeds from `backend.analysis.seeds.HELD_OUT_SEED` on show what is kept for testing, where a data set is finite.
    """

    @property
    def size(self) -> int:
        """Pixels a side."""
        ...

    @property
    def fields(self) -> Mapping[str, str]:
        """The label fields of its items' cells, each with a line of meaning."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """The values of the tag `class`, in the order of their numbers; empty where items have none."""
        ...

    def count(self, seed: int) -> int | None:
        """Count the different images; None where there is no end. Higher numbers begin again from the first."""
        ...

    def pixels(self, start: int, stop: int, seed: int) -> np.ndarray:
        """Return images `start` to `stop`, float32 `[n, 3, size, size]` in [-1, 1], each value one of 256."""
        ...

    def items(self, start: int, stop: int, seed: int, grid: tuple[int, int]) -> Sequence[Item]:
        """Return the same images with what is true of them and of each cell of a grid `(H, W)`.

        Raises:
            BadInput: the grid does not fit on the image.
        """
        ...


@dataclass(frozen=True)
class Option:
    """One setting of a data set as a person gives it on the command line.

    Attributes:
        setting: its key in `[dataset]`.
        flags: how it is written, e.g. `--states`.
        about: one line of help, which says the default.
        metavar: what stands for the value in the help.
        least: the smallest whole number that it may be, 0 or 1; None: it is a text.
        choices: the texts that it may be; empty: any.
        required: whether it must be given.
        several: whether it may be several texts with commas between them: a list.
    """

    setting: str
    flags: tuple[str, ...]
    about: str
    metavar: str | None = None
    least: Literal[0, 1] | None = None
    choices: tuple[str, ...] = ()
    required: bool = False
    several: bool = False

    @property
    def dest(self) -> str:
        """Its attribute in the parsed command line."""
        return self.flags[0].removeprefix("--").replace("-", "_")


@dataclass(frozen=True)
class DataSource:
    """One data set from the outside.

    Attributes:
        name: as it stands in `[dataset]`; the key in `SOURCES`.
        item: what its items are: `text`, `image`, or a word of a new family's own.
        about: one line for people, as `train --help` shows it.
        title: what a model trained on it is about; may name settings, e.g. `{states}`.
        open: settings, and the folder that relative paths start from (for text also that of the tokenizer) -> the items:
            a `TextDataset` or an `ImageDataset`; of a new kind anything with `items`.
        corpus: settings -> the documents before any tokenizer; None where there are none, and no tokenizer either.
        judge: who says what is true of a text that a model wrote; None where nobody can.
        trial: how steering is tried on it; None where nothing can be judged.
        concepts: regular expressions of its own that its texts are asked, beside the general ones.
        capabilities: what a model of it can do besides what its family can, e.g. `states`.
        options: its settings on the command line.
        resolve: what a person gave -> the settings that a catalog file keeps: defaults written out, paths absolute; None:
            they stay as they are. Raises `BadInput` for settings that make no data set.
        notes: settings -> what a person should know about their data before anything long begins, seen in the names of its
            files alone; None: nothing. Raises `BadInput` for settings that make no data set.
        slug: settings -> how the name of a model trained on it begins; None: the data set's name.
        learnable: whether there is something to learn from it, so that `train` offers it.
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
    options: tuple[Option, ...] = ()
    resolve: Callable[[Settings], Settings] | None = None
    notes: Callable[[Settings], Sequence[Report]] | None = None
    slug: Callable[[Settings], str] | None = None
    learnable: bool = True

    @property
    def judged(self) -> Mapping[str, tuple[str, ...]]:
        """Field -> values that its judge can find in a text; nothing where there is no judge."""
        return self.judge.values if self.judge else {}

    def behaviour(self, field: str, value: str) -> Behaviour | None:
        """Return the behaviour of that name or of that truth; None where new text cannot be judged for it."""
        for behaviour in self.trial.behaviours if self.trial else ():
            if (field, value) in ((behaviour.field, behaviour.value), behaviour.truth):
                return behaviour
        return Behaviour(field, value, (field, value)) if value in self.judged.get(field, ()) else None

    def settings(self, choices: Settings) -> dict[str, Any]:
        """Make the `[dataset]` of a catalog file out of what a person chose.

        Raises:
            BadInput: the choices make no data set.
        """
        return {"name": self.name, **(self.resolve(choices) if self.resolve else choices)}

    def subject(self, settings: Settings) -> str:
        """Say what a model with that `[dataset]` is about; of a path the last part."""
        return self.title.format_map({**settings, "path": Path(str(settings.get("path", ""))).name})

    def prefix(self, settings: Settings) -> str:
        """Return how the name of a model with that `[dataset]` begins."""
        return self.slug(settings) if self.slug else self.name
