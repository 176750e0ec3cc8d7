"""Items with ground truth. `DATASETS` maps the `name` in a catalog file's `[dataset]` to what makes its items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from backend.data.fsm import Machine
from backend.data.tokens import RandomTokens
from backend.errors import CatalogError
from backend.types import Item


class TextDataset(Protocol):
    """Where text items come from, and how a person's own text becomes tokens and back."""

    def items(self, start: int, stop: int, seed: int) -> Sequence[Item]:
        """Items `start` to `stop`; item i is the same whatever range it is asked in."""
        ...

    def parse(self, text: str) -> np.ndarray:
        """Text -> token ids int64 `[T]`; `BadInput` says what is wrong with it."""
        ...

    def render(self, ids: Sequence[int] | np.ndarray) -> tuple[str, np.ndarray]:
        """Token ids -> text, and int64 `[T, 2]` character spans of the tokens in it."""
        ...


DATASETS: dict[str, Callable[[Mapping[str, Any]], TextDataset]] = {
    "tokfsm": Machine.from_settings,
    "tokens": RandomTokens.from_settings,
}


def open_dataset(settings: Mapping[str, Any]) -> TextDataset:
    """The data set that a catalog file's `[dataset]` describes.

    Raises:
        CatalogError: unknown name or setting.
    """
    name = settings.get("name")
    if name not in DATASETS:
        raise CatalogError(f"There is no data set {name!r}. Known: {', '.join(DATASETS)}.")
    return DATASETS[name](settings)
