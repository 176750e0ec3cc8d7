"""Several image data sets as one, each with its share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from backend.data.datasets import open_images
from backend.data.images.settings import read_settings
from backend.data.source import DataSource, ImageDataset
from backend.errors import CatalogError
from backend.types import Item

BLOCK = 256
PARTS = ({"name": "scenes", "share": 0.7}, {"name": "photos", "share": 0.3})  # where nothing is said


@dataclass(frozen=True)
class Mixture:
    """The data set `mixture`: for each block of `BLOCK` images the seed draws which part each comes from.

    Within a block a part's images are neighbours in the part too, so that each part is asked once a block.

    Attributes:
        names: the parts' data sets.
        parts: the parts, all of one size.
        shares: how much of the mixture each part is; above 0, in any unit.
    """

    names: tuple[str, ...]
    parts: tuple[ImageDataset, ...]
    shares: tuple[float, ...]

    classes = ()

    @classmethod
    def from_settings(
        cls, settings: Mapping[str, Any], open_part: Callable[[Mapping[str, Any]], ImageDataset]
    ) -> Mixture:
        """Read the `[dataset]` of a catalog file.

        Args:
            settings: `size`, and `parts`: a list of tables, each the `[dataset]` of a part without its size, with its
                `share` (1 unless given), e.g. `parts = [{name = "scenes", share = 0.7}, {name = "photos", share = 0.3}]`.
            open_part: opens one part.

        Raises:
            CatalogError: no parts, a part that is not a table or is itself a mixture, or a share that is not a number above 0.
        """
        values = read_settings(settings, size=32, parts=[])
        tables = values["parts"]
        if not tables or not all(isinstance(part, Mapping) for part in tables):
            raise CatalogError(
                'A mixture needs parts, e.g. parts = [{name = "scenes"}, {name = "photos", share = 0.5}].'
            )
        shares = [part.get("share", 1) for part in tables]
        if bad := [share for share in shares if type(share) not in (int, float) or not 0 < share < float("inf")]:
            raise CatalogError(f"The share {bad[0]!r} of a mixture's part is not a number above 0.")
        names = tuple(str(part.get("name")) for part in tables)
        if SOURCE.name in names:
            raise CatalogError("A mixture's part is itself a mixture. List its parts in place of it.")
        parts = []
        for table in tables:
            part = {key: value for key, value in table.items() if key != "share"}
            if part.setdefault("size", values["size"]) != values["size"]:
                raise CatalogError(
                    f"The part {part.get('name')} has size {part['size']}, its mixture {values['size']}; leave it out."
                )
            parts.append(open_part(part))
        return cls(names, tuple(parts), tuple(map(float, shares)))

    @property
    def size(self) -> int:
        """Pixels a side."""
        return self.parts[0].size

    @cached_property
    def fields(self) -> dict[str, str]:
        """The fields of all parts."""
        return {field: meaning for part in self.parts for field, meaning in part.fields.items()}

    def count(self, seed: int) -> int | None:
        """Count the images of all parts together; None as soon as one part has no end."""
        counts = [part.count(seed) for part in self.parts]
        return None if None in counts else sum(count for count in counts if count is not None)

    def pixels(self, start: int, stop: int, seed: int) -> np.ndarray:
        """Return the images' pixels, float32 `[n, 3, size, size]` in [-1, 1]."""
        images = np.empty((max(stop - start, 0), 3, self.size, self.size), dtype=np.float32)
        for number, first, last, places in self._stretches(start, stop, seed):
            images[places - start] = self.parts[number].pixels(first, last, seed)
        return images

    def items(self, start: int, stop: int, seed: int, grid: tuple[int, int]) -> list[Item]:
        """Return the parts' items with their data set as the tag `source`; fields that a part lacks are empty."""
        items: dict[int, Item] = {}
        for number, first, last, places in self._stretches(start, stop, seed):
            for place, item in zip(places.tolist(), self.parts[number].items(first, last, seed, grid), strict=True):
                labels = {field: item.labels.get(field) or [""] * item.positions for field in self.fields}
                tags = {"source": self.names[number], **item.tags}
                items[place] = replace(item, index=place, labels=labels, tags=tags)
        return [items[index] for index in range(start, stop)]

    def _stretches(self, start: int, stop: int, seed: int) -> Iterator[tuple[int, int, int, np.ndarray]]:
        """Cut images `start` to `stop` into (part, its first image, the one behind its last, where they stand here)."""
        ends = np.cumsum(self.shares)[:-1] / sum(self.shares)
        # Whole blocks are drawn even where only their end is needed: image i comes from the same part in any range.
        for block in range(start // BLOCK * BLOCK, stop, BLOCK):
            chances = np.random.default_rng((seed, block)).random(BLOCK)
            source = np.searchsorted(ends, chances, side="right")  # [BLOCK]: the part of each image
            for number in range(len(self.parts)):
                places = block + np.flatnonzero(source == number)
                first, last = np.searchsorted(places, (start, stop)).tolist()
                if first < last:
                    yield number, block + first, block + last, places[first:last]


SOURCE = DataSource(
    name="mixture",
    item="image",
    about="scenes and photos, seven to three",
    title="A mixture of pictures",
    open=lambda settings, folder: Mixture.from_settings(settings, lambda part: open_images(part, folder)),
    resolve=lambda settings: {"parts": [dict(part) for part in PARTS], **settings},
)
