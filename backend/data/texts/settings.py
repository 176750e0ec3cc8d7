"""What the data sets made of documents share: their settings, and how documents become items."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backend.data.source import Option, Settings
from backend.data.texts.corpus import Corpus, TextItems
from backend.errors import CatalogError

LENGTH = 256  # tokens of an item of text at most, where nothing is said
LENGTH_OPTION = Option("length", ("--length",), f"tokens of a row ({LENGTH})", least=1)


def check_settings(settings: Settings, *more: str) -> None:
    """Refuse settings other than `length` and some more, and a length that cannot be.

    Raises:
        CatalogError: one of them.
    """
    name = settings["name"]
    if unknown := sorted(settings.keys() - {"name", "length", *more}):
        raise CatalogError(f"Unknown settings {unknown} of the {name} data set; known: {', '.join(('length', *more))}.")
    length = settings.get("length", LENGTH)
    if isinstance(length, bool) or not isinstance(length, int) or length < 2:
        raise CatalogError(f"The length {length!r} of the {name} data set must be a whole number from 2 on.")


def items_of(corpus: Callable[[Settings], Corpus]) -> Callable[[Settings, Path], TextItems]:
    """Return the function that opens a corpus as a data set, cut by the `tokenizer.json` of the checkpoint's folder."""

    def open_items(settings: Settings, folder: Path) -> TextItems:
        from backend.data.texts.bpe import TOKENIZER, TextTokenizer, load_tokenizer  # imports a library of its own

        documents = corpus(settings)
        return TextItems(documents, TextTokenizer(load_tokenizer(folder / TOKENIZER)), settings.get("length", LENGTH))

    return open_items


def with_length(settings: Settings) -> Settings:
    """Write the default length into settings that have none."""
    return {"length": LENGTH, **settings}
