"""Photos that come inside installed packages, scikit-image and scikit-learn.

They are read from the packages' own folders; nothing is downloaded. A photo that this installation does not have is
left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.analysis.seeds import HELD_OUT_SEED
from backend.data.images.cells import PIXEL_FIELDS, pixel_labels
from backend.data.images.files import read_picture
from backend.data.images.settings import read_settings, to_float
from backend.data.source import DataSource
from backend.errors import CatalogError
from backend.types import Item

if TYPE_CHECKING:
    from PIL.Image import Image

# name -> package and file below it
TRAINING_PHOTOS = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "brick": ("skimage", "data/brick.png"),
    "grass": ("skimage", "data/grass.png"),
    "hubble deep field": ("skimage", "data/hubble_deep_field.jpg"),
    "moon": ("skimage", "data/moon.png"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "page": ("skimage", "data/page.png"),
    "retina": ("skimage", "data/retina.jpg"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "temple": ("sklearn", "datasets/images/china.jpg"),
    "tissue": ("skimage", "data/ihc.png"),
}
HELD_OUT_PHOTOS = {  # never seen in training, whole
    "cameraman": ("skimage", "data/camera.png"),
    "cat": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "coins": ("skimage", "data/coins.png"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "gravel": ("skimage", "data/gravel.png"),
}
COLOR_WEIGHT = 3.0  # how often photos in colour are shown, beside 1 for grey ones
SMALLEST_CROP = 1.5  # sides of the image: crops are scaled down, so that they stay sharp
TRIES = 4  # crops drawn until one has content
CONTENT = 0.06  # standard deviation of luminance that counts as content


@lru_cache(maxsize=2)
def _photos(held_out: bool) -> tuple[dict[str, Image], np.ndarray]:
    """Return the photos that are installed, by name, and how likely each is."""
    import skimage
    import sklearn
    from PIL import Image

    folders = {"skimage": Path(skimage.__file__).parent, "sklearn": Path(sklearn.__file__).parent}
    files = HELD_OUT_PHOTOS if held_out else TRAINING_PHOTOS
    paths = {name: folders[package] / file for name, (package, file) in files.items()}
    photos = {name: Image.fromarray(read_picture(path)) for name, path in paths.items() if path.is_file()}
    if not photos:
        raise CatalogError(
            "The photos of scikit-image and scikit-learn are missing from this installation. "
            "Install both again: pip install --force-reinstall -r requirements.txt."
        )
    grey = [np.ptp(np.asarray(photo), axis=-1).max() == 0 for photo in photos.values()]  # all channels alike
    weights = np.where(grey, 1.0, COLOR_WEIGHT)
    return photos, weights / weights.sum()


@dataclass(frozen=True)
class Photos:
    """The data set `photos`: random crops, mirrored or not, a little brighter, darker, greyer or more colourful.

    Seeds from `HELD_OUT_SEED` on crop `HELD_OUT_PHOTOS`, which the others never show.

    Attributes:
        size: pixels a side.
    """

    size: int = 32

    fields = PIXEL_FIELDS
    classes = ()

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Photos:
        """Read the `[dataset]` of a catalog file: `size`."""
        return cls(**read_settings(settings, size=cls.size))

    def count(self, seed: int) -> None:
        """Return None: there is no end to crops."""

    def pixels(self, start: int, stop: int, seed: int) -> np.ndarray:
        """Return the crops' pixels, float32 `[n, 3, size, size]` in [-1, 1]."""
        return to_float(self._crops(start, stop, seed)[0])

    def items(self, start: int, stop: int, seed: int, grid: tuple[int, int]) -> list[Item]:
        """Return the crops, tagged with their photo and how near they are to it: `close`, `middle` or `far`."""
        pixels, tags = self._crops(start, stop, seed)
        labels, images = pixel_labels(pixels, grid), to_float(pixels)
        return [Item(start + i, grid, images[i], labels=labels[i], tags=tags[i]) for i in range(len(images))]

    def _crops(self, start: int, stop: int, seed: int) -> tuple[np.ndarray, list[dict[str, str]]]:
        """Return the crops' pixels, uint8 `[n, 3, size, size]`, and their tags."""
        photos, chances = _photos(seed >= HELD_OUT_SEED)
        pixels = np.empty((max(stop - start, 0), 3, self.size, self.size), dtype=np.uint8)
        tags = []
        for index in range(start, stop):
            crop, tag = _crop(photos, chances, self.size, np.random.default_rng((seed, index)))
            pixels[index - start] = crop.transpose(2, 0, 1)
            tags.append(tag)
        return pixels, tags


def _crop(
    photos: Mapping[str, Image], chances: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, str]]:
    """Draw a crop, uint8 `[size, size, 3]`, and its tags: of a few of one photo the first with content, else the most."""
    name = str(rng.choice(tuple(photos), p=chances))
    photo = photos[name]
    shorter = min(photo.size)
    best: np.ndarray = np.empty(0)
    best_spread, best_side = -1.0, 0.0
    for _ in range(TRIES):
        least = min(SMALLEST_CROP * size, shorter)
        side = least * (shorter / least) ** rng.random()  # as often twice as large as half as large
        left, top = rng.random() * (photo.width - side), rng.random() * (photo.height - side)
        box = (left, top, left + side, top + side)
        shades = np.asarray(photo.resize((size, size), box=box, reducing_gap=2.0), dtype=np.float32) / 255
        spread = float(shades.mean(-1).std())
        if spread > best_spread:
            best, best_spread, best_side = shades, spread, side
        if spread >= CONTENT:
            break
    if rng.random() < 0.5:
        best = best[:, ::-1]  # mirrored
    contrast, brightness, colorfulness = rng.uniform((0.85, -0.08, 0.7), (1.15, 0.08, 1.3)).astype(np.float32)
    grey = best.mean(-1, keepdims=True)
    best = grey + (best - grey) * colorfulness
    best = 0.5 + (best - 0.5) * contrast + brightness
    nearness = ("close", "middle", "far")[int(np.searchsorted((0.3, 0.65), best_side / shorter))]
    return np.rint(np.clip(best, 0, 1) * 255).astype(np.uint8), {"photo": name, "view": nearness}


SOURCE = DataSource(
    name="photos",
    item="image",
    about="crops of the photos that come with scikit-image and scikit-learn",
    title="Photos",
    open=lambda settings, folder: Photos.from_settings(settings),
)
