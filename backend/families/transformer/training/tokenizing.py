"""The tokenizer of a model that is trained from nothing: byte-level BPE on the first documents of its training text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from backend.data.datasets import open_corpus
from backend.data.texts.bpe import TOKENIZER, train_tokenizer
from backend.errors import BadInput
from backend.types import Progress

CHARACTERS = 6_000_000  # more text hardly changes a vocabulary of some thousand tokens


def make_tokenizer(settings: Mapping[str, Any], vocabulary: int, folder: Path, progress: Progress | None) -> None:
    """Write `tokenizer.json`.

    Args:
        settings: the `[dataset]`.
        vocabulary: number of tokens, the 256 bytes and the end-of-text token among them.
        folder: where to.
        progress: called with (what, done, total).

    Raises:
        BadInput: the vocabulary is too small.
    """
    if not 257 <= vocabulary <= 1_000_000:
        raise BadInput(f"A vocabulary of {vocabulary} is out of range. Give 257 (bytes alone) to 1,000,000.")
    tell = progress or (lambda what, done, total: None)
    corpus = open_corpus(settings)
    number = corpus.count(0)

    def texts() -> Iterator[str]:
        read = 0
        for index in count() if number is None else range(number):
            text = corpus.document(index, 0).text
            yield text
            read += len(text)
            if number is None:
                tell("reading text for the tokenizer", min(read, CHARACTERS), CHARACTERS)
            else:
                tell("reading text for the tokenizer", index + 1, number)
            if read >= CHARACTERS:
                break
        tell(f"choosing {vocabulary:,} tokens", 0, 0)

    folder.mkdir(parents=True, exist_ok=True)
    train_tokenizer(texts(), vocabulary).save(str(folder / TOKENIZER))
