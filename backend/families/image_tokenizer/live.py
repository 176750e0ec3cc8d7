"""A live image tokenizer: loaded once, shared by everybody, one forward pass at a time, first come, first served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from backend.analysis.seeds import HELD_OUT_SEED
from backend.answers.live import TokenMap
from backend.data.images.files import fit
from backend.data.images.settings import SIZES, to_float
from backend.errors import BadInput
from backend.families.image_tokenizer.model import BATCH_PIXELS, ImageTokenizerFamily
from backend.families.kind import Other
from backend.nn.turns import Turns
from backend.types import CodebookInfo, Item

MAX_SIDE = 512  # pixels of a picture that is encoded live


class LiveTokenizer:
    """One trained image tokenizer: pictures to token maps and back. Safe to share between threads."""

    def __init__(self, family: ImageTokenizerFamily) -> None:
        """Take over an opened model."""
        self.spec, self.family = family.spec, family
        self.capabilities = family.capabilities
        self._turns = Turns()
        self._tables: dict[str, np.ndarray] = {}

    @property
    def cell(self) -> int:
        """Pixels along one side of a code's cell."""
        return self.family.model.downsampling

    @property
    def size(self) -> int:
        """Pixels a side of the pictures of its data set."""
        return self.family.dataset.size

    def codebooks(self) -> list[CodebookInfo]:
        """Return all codebooks: one, or one a residual level."""
        return self.family.codebooks()

    def table(self, site: str) -> np.ndarray:
        """Return float32 `[num_codes, dim]`; made once."""
        if site not in self._tables:
            self._tables[site] = self.family.table(site)
        return self._tables[site]

    # -- pictures ------------------------------------------------------------------------------------------------------

    def items(self, start: int, stop: int, seed: int) -> Sequence[Item]:
        """Return pictures of its data set with what is true of them."""
        return self.family.items(start, stop, seed)

    def held_out(self, start: int, stop: int) -> Sequence[Item]:
        """Return pictures of its data set that training never saw."""
        return self.items(start, stop, HELD_OUT_SEED)

    def fit(self, picture: np.ndarray, size: int) -> np.ndarray:
        """Return a person's picture as the model takes it: its middle square, scaled.

        Args:
            picture: uint8 `[height, width, 3]`.
            size: pixels a side, up to `MAX_SIDE`; taken down to a multiple of the cell's.

        Returns:
            float32 `[3, size, size]` in [-1, 1].

        Raises:
            BadInput: the size is out of range.
        """
        smallest = max(self.cell, SIZES[0])
        if not smallest <= size <= MAX_SIDE:
            raise BadInput(f"A size of {size} pixels is out of range: give {smallest} to {MAX_SIDE}.")
        return to_float(fit(picture, size - size % self.cell).transpose(2, 0, 1))

    # -- forward passes ------------------------------------------------------------------------------------------------

    def encode(self, pixels: np.ndarray) -> dict[str, TokenMap]:
        """Encode pictures of one size.

        Args:
            pixels: float32 `[n, 3, height, width]` in [-1, 1].

        Raises:
            BadInput: the shape does not fit the model's cells.
        """
        if pixels.ndim != 4 or not len(pixels):
            raise BadInput(f"Pictures must be [n, 3, height, width] with at least one, not {pixels.shape}.")
        height, width = self.family.grid(*pixels.shape[2:])
        parts = []
        for batch in _batches(pixels, pixels.shape[2] * pixels.shape[3]):
            with self._turns.taken():
                parts.append(self.family.encode_pixels(list(batch)).grids)
        maps = {}
        for site in parts[0]:
            grids = [part[site] for part in parts]
            codes, margins, runner_up = (
                np.concatenate(values).reshape(-1, height, width)
                for values in (
                    [grid.codes[:, 0] for grid in grids],
                    [grid.margins[:, 0] for grid in grids],
                    [grid.runner_up for grid in grids],
                )
            )
            maps[site] = TokenMap(codes, margins, runner_up)
        return maps

    def decode(self, tokens: Mapping[str, np.ndarray]) -> np.ndarray:
        """Make pictures from token maps of one size.

        Args:
            tokens: site -> int `[n, H, W]`, every codebook.

        Returns:
            float32 `[n, 3, height, width]`, clipped to [-1, 1].

        Raises:
            BadInput: a codebook is missing, or shapes differ.
            UnknownCode: an id is out of range.
        """
        count, rows, columns = next(iter(tokens.values())).shape
        step = _at_once(rows * columns * self.cell**2)
        parts = []
        for start in range(0, max(1, count), step):
            with self._turns.taken():
                parts.append(self.family.decode({site: ids[start : start + step] for site, ids in tokens.items()}))
        return np.clip(np.concatenate(parts), -1, 1)


def open_live(family: ImageTokenizerFamily, other: Other) -> LiveTokenizer:
    """Open the door `live`; an image tokenizer needs no other model."""
    return LiveTokenizer(family)


def _at_once(pixels: int) -> int:
    return max(1, BATCH_PIXELS // max(1, pixels))


def _batches(pictures: np.ndarray, pixels: int) -> list[np.ndarray]:
    step = _at_once(pixels)
    return [pictures[start : start + step] for start in range(0, len(pictures), step)]
