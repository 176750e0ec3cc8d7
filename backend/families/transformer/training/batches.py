"""Batches of token ids to train on, made as they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from backend.data.machines import Machine
from backend.data.source import TextDataset
from backend.data.texts.corpus import TextItems
from backend.errors import Unsupported
from backend.types import Progress

Batch = Callable[[int, torch.Generator], Tensor]  # rows, generator -> token ids int64 [rows, length]


class Batches(Protocol):
    """What a model is trained on."""

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        ...

    @property
    def bos(self) -> int:
        """Id of the token in front of every item."""
        ...

    def prepare(self, progress: Progress | None = None) -> None:
        """Do what has to be done before the first batch, which does it itself where nobody has."""
        ...

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        """Make a batch: int64 `[rows, length]`, on the generator's device."""
        ...


def batches_of(dataset: TextDataset, length: int) -> Batches:
    """Return what a model is trained on: fresh walks of a machine, or blocks of a corpus.

    Args:
        dataset: where the items come from.
        length: tokens of a row of text; a machine's walks have their own.

    Raises:
        Unsupported: there is nothing to learn from the data set.
    """
    if isinstance(dataset, Machine):
        return WalkBatches(dataset)
    if isinstance(dataset, TextItems):
        return TextBatches(dataset, length)
    raise Unsupported("Random token ids cannot be trained on. Give a text with --text FILE.")


class WalkBatches:
    """Fresh random walks as token ids, made on the generator's device."""

    def __init__(self, machine: Machine) -> None:
        """Keep the machine's tables as tensors."""
        self.machine = machine
        self.vocabulary, self.bos = machine.vocabulary, machine.bos
        self._successors = torch.from_numpy(machine.successors)
        self._written = torch.from_numpy(machine.written)

    def prepare(self, progress: Progress | None = None) -> None:
        """Do nothing: walks are made as they are asked for."""

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        """Make a batch: int64 `[rows, length]`, on the generator's device."""
        machine, device = self.machine, generator.device
        if self._successors.device != device:
            self._successors, self._written = self._successors.to(device), self._written.to(device)
        walk = torch.empty((rows, machine.walk_length), dtype=torch.int64, device=device)
        walk[:, 0] = torch.randint(machine.states, (rows,), generator=generator, device=device)
        picks = torch.randint(machine.edges, walk.shape, generator=generator, device=device)
        for step in range(1, machine.walk_length):
            walk[:, step] = self._successors[walk[:, step - 1], picks[:, step]]
        digits = self._written[walk].flatten(1)[:, : machine.length - 1]
        return torch.cat((torch.full((rows, 1), machine.bos, device=device), digits), dim=1)


class TextBatches:
    """Stretches of documents as token ids; each row begins at a document, or at the rest of a long one."""

    def __init__(self, items: TextItems, length: int) -> None:
        """Take rows of `length` tokens out of the training part of the corpus."""
        self.items = items
        self.length = length
        self.vocabulary, self.bos = items.vocabulary, items.bos

    def prepare(self, progress: Progress | None = None) -> None:
        """Read the corpus."""
        self.items.prepare(progress=progress)

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        """Make a batch: int64 `[rows, length]`, on the generator's device."""
        seed = int(torch.randint(1 << 62, (1,), generator=generator, device=generator.device))
        rng = np.random.default_rng(seed)
        return torch.from_numpy(self.items.blocks(rows, self.length, rng)).to(generator.device)
