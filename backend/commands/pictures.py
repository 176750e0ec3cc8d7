"""Pictures that a person names on the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.cli import Progress, existing_file

if TYPE_CHECKING:
    from backend.edits.codes import Edit
    from backend.families.image_tokenizer.model import ImageTokenizerFamily

ARRAY_ENDING = ".npy"


@dataclass(frozen=True)
class PictureFiles:
    """What was read.

    Attributes:
        pixels: float32 `[n, 3, height, width]` in [-1, 1].
        names: one a picture.
        warnings: files that were skipped or read in part, a sentence each.
    """

    pixels: np.ndarray
    names: list[str]
    warnings: list[str]


def read_given(paths: Sequence[str], fit: Callable[[np.ndarray], np.ndarray]) -> PictureFiles:
    """Read one numpy array of pictures, or image files, folders and Parquet tables.

    Args:
        paths: as typed.
        fit: a picture uint8 `[height, width, 3]` as the model takes it, float32 `[3, size, size]`.

    Raises:
        BadInput: nothing can be read, or the array holds something else.
    """
    from backend.data.images.own_images import read_images
    from backend.errors import BadInput

    if len(paths) == 1 and paths[0].lower().endswith(ARRAY_ENDING):
        pixels = _read_array(paths[0])
        return PictureFiles(pixels, [f"{Path(paths[0]).name}[{i}]" for i in range(len(pixels))], [])
    pictures, reports = read_images([Path(path).expanduser() for path in paths])
    warnings = [str(report) for report in reports]
    if not pictures:
        raise BadInput(" ".join(["No picture could be read.", *warnings[:5], "Give image files or folders of them."]))
    return PictureFiles(
        np.stack([fit(picture.pixels) for picture in pictures]), [picture.path for picture in pictures], warnings
    )


def _read_array(path: str) -> np.ndarray:
    from backend.errors import BadInput

    try:
        # mapped, not read: a file that claims more than it holds is refused at once
        pixels = np.load(existing_file(path, "pictures"), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(
            f"{path} is not a numpy file of plain numbers. Save pictures with numpy.save, float32."
        ) from error
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 4 or pixels.shape[1] != 3 or pixels.dtype.kind != "f":
        what = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else "several arrays"
        raise BadInput(f"{path} holds {what}. Pictures must be float32 [n, 3, height, width] in [-1, 1].")
    if not pixels.size or not np.isfinite(pixels).all() or np.abs(pixels).max() > 1.001:
        raise BadInput(f"{path} must hold at least one picture, with values from -1 to 1 (0 to 255 is x / 127.5 - 1).")
    return pixels.astype(np.float32)


def encode_pictures(
    family: ImageTokenizerFamily, paths: Sequence[str], size: int, edits: Sequence[Edit], progress: Progress
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Turn a person's pictures into tokens, and decode them again.

    Args:
        family: the tokenizer.
        paths: as typed; see `read_given`.
        size: pixels a side of what comes from files, taken down to a multiple of the cell's; 0: as trained.
        edits: in force.
        progress: told about it.

    Returns:
        Arrays `codes/SITE` int64 and `scores/SITE` float32 `[item, H, W, slot]`, `reconstruction` float32
        `[item, 3, height, width]`; and warnings, a sentence each.

    Raises:
        BadInput: nothing can be read, or an edit names a cell that no picture has.
    """
    from backend.data.images.files import fit
    from backend.data.images.settings import SIZES, to_float
    from backend.edits.codes import check_positions
    from backend.errors import BadInput

    cell = family.model.downsampling
    if size > SIZES[1]:
        raise BadInput(f"Pictures of {size} pixels are too large. Give --size {SIZES[1]} or less.")
    side = (size or family.dataset.size) // cell * cell
    if not side:
        raise BadInput(f"Pictures of {size} pixels are smaller than a cell of {cell}. Give --size {cell} or more.")
    pictures = read_given(paths, lambda picture: to_float(fit(picture, side).transpose(2, 0, 1)))
    count = len(pictures.pixels)
    height, width = family.grid(*pictures.pixels.shape[2:])
    check_positions(edits, height * width, "cells in a picture")
    progress(f"encoding {count} pictures", 0, 1)
    grids = family.encode_pixels(list(pictures.pixels), edits).grids
    codes = {site: grid.codes.reshape(count, height, width, -1) for site, grid in grids.items()}
    arrays: dict[str, np.ndarray] = {f"codes/{site}": ids.astype(np.int64) for site, ids in codes.items()}
    for site, grid in grids.items():
        arrays[f"scores/{site}"] = grid.scores.reshape(count, height, width, -1)
    arrays["reconstruction"] = np.clip(family.decode(codes, edits), -1, 1)
    progress(f"encoding {count} pictures", 1, 1)
    return arrays, pictures.warnings
