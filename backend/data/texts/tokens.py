"""Random token ids, written as their numbers: something to run a model on whose tokenizer or text is not at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.data.source import DataSource
from backend.errors import BadInput, CatalogError
from backend.types import Item


@dataclass(frozen=True)
class RandomTokens:
    """Uniform, independent token ids.

    Attributes:
        vocabulary: number of token ids.
        length: tokens of an item.
    """

    vocabulary: int
    length: int = 128

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> RandomTokens:
        """Read the `[dataset]` of a catalog file."""
        values = {k: v for k, v in settings.items() if k != "name"}
        if values.keys() - {"vocabulary", "length"} or not all(isinstance(v, int) and v > 0 for v in values.values()):
            raise CatalogError(
                "The data set 'tokens' needs 'vocabulary' and may have 'length', both whole numbers above 0."
            )
        return cls(**values)

    @property
    def settings(self) -> dict[str, Any]:
        """The `[dataset]` of these tokens."""
        return {"name": SOURCE.name, "vocabulary": self.vocabulary, "length": self.length}

    @property
    def bos(self) -> int:
        """0: no token stands in front of all items."""
        return 0

    def items(self, start: int, stop: int, seed: int) -> list[Item]:
        """Draw items `start` to `stop`; item i depends on `seed` and i alone."""
        items = []
        for index in range(start, stop):
            ids = np.random.default_rng((seed, index)).integers(self.vocabulary, size=self.length)
            text, spans = self.render(ids)
            items.append(Item(index, (self.length,), ids, text, spans))
        return items

    def render(self, ids: Sequence[int] | np.ndarray) -> tuple[str, np.ndarray]:
        """Write token ids as numbers with spaces between; also return the character spans, int64 `[T, 2]`."""
        words = [str(int(i)) for i in ids]
        ends = np.cumsum([len(w) + 1 for w in words]) - 1 if words else np.zeros(0, dtype=np.int64)
        lengths = np.array([len(w) for w in words], dtype=np.int64)
        return " ".join(words), np.stack((ends - lengths, ends), axis=1).astype(np.int64)

    def parse(self, text: str) -> np.ndarray:
        """Read numbers separated by white space as token ids.

        Raises:
            BadInput: something else, or a number outside the vocabulary.
        """
        words = text.split()
        for word in words:
            if not (word.isascii() and word.isdigit() and len(word) < 10 and int(word) < self.vocabulary):
                raise BadInput(
                    f"{word[:40]!r} is not a token id. Write numbers from 0 to {self.vocabulary - 1} with spaces between."
                )
        return np.array([int(w) for w in words], dtype=np.int64)


SOURCE = DataSource(
    name="tokens",
    item="text",
    about="random token ids",
    title="{vocabulary} random tokens",
    open=lambda settings, folder: RandomTokens.from_settings(settings),
    learnable=False,
)
