"""Images with ground truth. `IMAGE_DATASETS` maps the `name` in a catalog file's `[dataset]` to what makes its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from backend.data.images.bundled import Digits, Photos
from backend.data.images.mixture import Mixture
from backend.data.images.own_images import OwnImages
from backend.data.scenes.scenes import Scenes
from backend.errors import CatalogError
from backend.types import Item


class ImageDataset(Protocol):
    """Square images of one size; image i of a seed is the same whatever range it is asked in.

    Seeds from `backend.data.seeds.HELD_OUT_SEED` on show what is kept for testing, where a data set is finite.
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
        """How many different images there are; None where there is no end. Higher numbers begin again from the first."""
        ...

    def pixels(self, start: int, stop: int, seed: int) -> np.ndarray:
        """Images `start` to `stop`, float32 `[n, 3, size, size]` in [-1, 1], each value one of 256."""
        ...

    def items(self, start: int, stop: int, seed: int, grid: tuple[int, int]) -> Sequence[Item]:
        """The same images with what is true of them and of each cell of a grid `(H, W)`.

        Raises:
            BadInput: the grid does not fit on the image.
        """
        ...


def _mixture(settings: Mapping[str, Any], folder: Path) -> Mixture:
    return Mixture.from_settings(settings, lambda part: open_images(part, folder))


# Each takes the `[dataset]` and the folder that its relative paths start from.
IMAGE_DATASETS: dict[str, Callable[[Mapping[str, Any], Path], ImageDataset]] = {
    "scenes": lambda settings, _: Scenes.from_settings(settings),
    "photos": lambda settings, _: Photos.from_settings(settings),
    "digits": lambda settings, _: Digits.from_settings(settings),
    "mixture": _mixture,
    "folder": OwnImages.from_settings,
}


def open_images(settings: Mapping[str, Any], folder: Path) -> ImageDataset:
    """The data set that a catalog file's `[dataset]` describes.

    Args:
        settings: `name` and the settings of that data set.
        folder: what relative paths in them start from.

    Raises:
        CatalogError: unknown name or setting.
        BadInput: a person's own images of which none can be read.
    """
    name = settings.get("name")
    if name not in IMAGE_DATASETS:
        raise CatalogError(f"There is no image data set {name!r}. Known: {', '.join(IMAGE_DATASETS)}.")
    return IMAGE_DATASETS[name](settings, folder)
