"""Pictures to train on, drawn once and kept on the disk, so that drawing them does not set the pace of training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.data.datasets import open_images
from backend.errors import BadInput
from backend.families.image_tokenizer.training.recipe import POOL
from backend.files import replacing
from backend.types import Progress

SEED = 1  # of every pool; far from the held-out seeds
_STEP = 256


class Pool:
    """Pictures as bytes, mapped from a file."""

    def __init__(self, pictures: np.ndarray) -> None:
        """Take pictures, uint8 `[n, 3, size, size]`."""
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, rows: int, generator: torch.Generator) -> Tensor:
        """Return random pictures, float32 `[rows, 3, size, size]` in [-1, 1]; half of them mirrored."""
        picks = torch.randint(len(self), (rows,), generator=generator).numpy()
        images = torch.from_numpy(self.pictures[picks]).float().mul_(1 / 127.5).sub_(1)
        mirrored = torch.rand(rows, generator=generator) < 0.5
        return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def open_pool(dataset: Mapping[str, Any], folder: Path, count: int = POOL, progress: Progress | None = None) -> Pool:
    """Open the pool of a data set, drawn if it is not there yet.

    Args:
        dataset: settings of the data set, see `backend.data.datasets`.
        folder: where pools are kept; relative paths in the settings start here too.
        count: pictures; a data set with fewer gives all it has.
        progress: called with (what, done, total).

    Raises:
        CatalogError: the settings make no data set.
        BadInput: it has no picture.
    """
    source = open_images(dataset, folder)
    limit = source.count(SEED)
    count = count if limit is None else min(count, limit)
    if not count:
        raise BadInput(f"The data set {dataset.get('name')!r} has no pictures to train on.")
    about = json.dumps({"dataset": dict(dataset), "count": count, "seed": SEED}, sort_keys=True)
    path = folder / f"{dataset['name']}-{hashlib.sha256(about.encode()).hexdigest()[:12]}.npy"
    shape = (count, 3, source.size, source.size)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for start in range(0, count, _STEP):
                pixels = source.pixels(start, min(start + _STEP, count), SEED)
                file.write(np.rint((pixels + 1) * 127.5).astype(np.uint8).tobytes())
                if progress:
                    progress("drawing pictures to train on", min(start + _STEP, count), count)
    return Pool(np.load(path, mmap_mode="r"))
