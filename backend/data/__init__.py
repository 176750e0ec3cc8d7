"""Items with ground truth. `DATASETS` maps the `name` in a catalog file's `[dataset]` to what makes its items.

    tokfsm          random walks on a finite-state machine           states, edges, base, seed, length
    tokens          random token ids                                 vocabulary, length
    stories         our own generated stories                        length
    python-source   the sources of Python's standard library         length
    text            a person's own text                              length, path, split

The last three are corpora cut into tokens by the `tokenizer.json` in the checkpoint's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from backend.data.machines import Machine
from backend.data.texts.corpus import Corpus, EndlessCorpus, TextItems
from backend.data.texts.tokens import RandomTokens
from backend.errors import CatalogError
from backend.types import Item

_T = TypeVar("_T")
LENGTH = 256  # tokens of an item of text at most, where nothing is said
BYTES_A_TOKEN = 3  # of text, about


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
        """Items `start` to `stop`, fewer where the data set ends; item i is the same whatever range it is asked in."""
        ...

    def parse(self, text: str) -> np.ndarray:
        """Text -> token ids int64 `[T]`; `BadInput` says what is wrong with it."""
        ...

    def render(self, ids: Sequence[int] | np.ndarray) -> tuple[str, np.ndarray]:
        """Token ids -> text, and int64 `[T, 2]` character spans of the tokens in it."""
        ...


def open_dataset(settings: Mapping[str, Any], folder: Path) -> TextDataset:
    """The data set that a catalog file's `[dataset]` describes.

    Args:
        settings: its `name`, a key of `DATASETS`, and what else it may be told.
        folder: the model's checkpoint, where a tokenizer may be.

    Raises:
        CatalogError: unknown name or setting.
        CheckpointError: the tokenizer is missing or none.
        BadInput: a person's text is not there or not readable.
    """
    return _choose(DATASETS, settings)(settings, folder)


def open_corpus(settings: Mapping[str, Any]) -> Corpus:
    """The documents behind a data set, before any tokenizer: what one is trained on.

    Raises:
        CatalogError: unknown name or setting, or the data set has no documents.
        BadInput: a person's text is not there or not readable.
    """
    return _choose(CORPORA, settings)(settings)


def _choose(known: Mapping[str, _T], settings: Mapping[str, Any]) -> _T:
    name = str(settings.get("name", ""))
    if name not in known:
        raise CatalogError(f"There is no data set {name!r}. Known: {', '.join(known)}.")
    return known[name]


def _check(settings: Mapping[str, Any], *own: str) -> None:
    name = settings["name"]
    if unknown := sorted(settings.keys() - {"name", "length", *own}):
        raise CatalogError(f"Unknown settings {unknown} of the {name} data set; known: {', '.join(('length', *own))}.")
    length = settings.get("length", LENGTH)
    if isinstance(length, bool) or not isinstance(length, int) or length < 2:
        raise CatalogError(f"The length {length!r} of the {name} data set must be a whole number from 2 on.")


def _stories(settings: Mapping[str, Any]) -> Corpus:
    from backend.data.stories.stories import Stories  # its book takes a while to set

    _check(settings)
    return EndlessCorpus(Stories().document)


def _python_source(settings: Mapping[str, Any]) -> Corpus:
    from backend.data.texts.python_source import PythonSource

    _check(settings)
    return PythonSource()


def _own_text(settings: Mapping[str, Any]) -> Corpus:
    from backend.data.texts.own_text import SPLITS, OwnText

    _check(settings, "path", "split")
    path, split = settings.get("path"), settings.get("split", SPLITS[0])
    if not isinstance(path, str) or not path:
        raise CatalogError(f"The text data set needs a path: a file, a folder or hf: and a name; not {path!r}.")
    if split not in SPLITS:
        raise CatalogError(f"The text data set cannot be split into {split!r}. Known: {', '.join(SPLITS)}.")
    return OwnText(path, split, BYTES_A_TOKEN * settings.get("length", LENGTH))  # so that few texts are cut


def _text_items(settings: Mapping[str, Any], folder: Path) -> TextItems:
    from backend.data.texts.bpe import TOKENIZER, TextTokenizer, load_tokenizer  # imports a library of its own

    corpus = open_corpus(settings)
    return TextItems(corpus, TextTokenizer(load_tokenizer(folder / TOKENIZER)), settings.get("length", LENGTH))


CORPORA: dict[str, Callable[[Mapping[str, Any]], Corpus]] = {
    "stories": _stories,
    "python-source": _python_source,
    "text": _own_text,
}
DATASETS: dict[str, Callable[[Mapping[str, Any], Path], TextDataset]] = {
    "tokfsm": lambda settings, folder: Machine.from_settings(settings),
    "tokens": lambda settings, folder: RandomTokens.from_settings(settings),
    "stories": _text_items,
    "python-source": _text_items,
    "text": _text_items,
}
