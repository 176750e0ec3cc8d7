"""The pictures of a build: what a code was chosen for, cell by cell, and where in the pictures it lies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from backend.analysis.patches import crop_cell
from backend.answers.stored import How, Patch
from backend.data.images.png import decode_png
from backend.errors import BadInput, Unsupported
from backend.questions import places as windows
from backend.store.reader import Reader
from backend.types import CodeRef

MAX_AROUND = 16


def picture(reader: Reader, item: int) -> np.ndarray:
    """Return what the model was shown, uint8 `[height, width, 3]`; `BadInput` where the build has no such item."""
    windows.extent(reader, item)
    return pictures(reader, [item])[item]


def pictures(reader: Reader, items: Sequence[int]) -> dict[int, np.ndarray]:
    """Return item -> its picture, uint8 `[height, width, 3]`; raises `Unsupported` where the build holds no pictures."""
    _check_pictures(reader)
    rows = reader.arrays(
        "SELECT item, png FROM pictures WHERE item IN (SELECT unnest(?::INTEGER[]))", [sorted({int(i) for i in items})]
    )
    return {int(item): decode_png(bytes(png)) for item, png in zip(rows["item"], rows["png"], strict=True)}


def shapes(reader: Reader) -> np.ndarray:
    """Return rows and columns of every item's grid: int64 `[item, 2]`, in order of position.

    Raises:
        Unsupported: the items are not grids of rows and columns.
    """
    return reader.cache.get((reader.path, "shapes"), partial(_shapes, reader))


def token_map(reader: Reader, item: int, site: str) -> np.ndarray:
    """Return what a codebook chose over a picture: int32 `[H, W, slots]`; -1 is an empty slot."""
    codebook, grids = reader.site(site), shapes(reader)
    first, positions = windows.extent(reader, item)
    chosen = reader.arrays(
        "SELECT pos, slot, code FROM grid WHERE pos >= ? AND pos < ? AND site_id = ?",
        [first, first + positions, codebook.site_id],
    )
    codes = np.full((positions, codebook.info.slots), -1, np.int32)
    codes[chosen["pos"] - first, chosen["slot"]] = chosen["code"]
    rows, columns = grids[reader.items.index_of(np.array([first]))[0]]
    return codes.reshape(rows, columns, codebook.info.slots)


def patches(
    reader: Reader,
    ref: CodeRef,
    how: How = "random",
    n: int = 24,
    seed: int = 0,
    around: int = 1,
    half: int | None = None,
) -> list[Patch]:
    """Return cells at which the code was chosen, as they look in their pictures.

    Args:
        reader: the model's build.
        ref: the code.
        how: `random`: uniform over all, by `seed`; `top`: nearest to the code first; `boundary`: smallest margin to
            the runner-up first. Ties by position.
        n: how many, 1 to 1000.
        seed: of `random`.
        around: cells around each that `Patch.crop` shows, 0 to 16.
        half: only items of this half.
    """
    _check_pictures(reader)
    best = windows.chosen_places(reader, ref, how=how, n=n, seed=seed, half=half)
    return _cut(reader, best.assign(site=ref.site, code=ref.code), around)


def patches_at(reader: Reader, site: str, positions: Sequence[int], around: int = 1) -> list[Patch]:
    """Return the cells at some positions of the build, in that order, with the best code of a codebook there."""
    _check_pictures(reader)
    codebook = reader.site(site)
    wanted = [int(pos) for pos in positions]
    places = reader.table(
        "SELECT pos, slot, code, score, margin FROM grid JOIN (SELECT unnest(?::BIGINT[]) AS pos) USING (pos) "
        "WHERE site_id = ? AND slot = 0",
        [wanted, codebook.site_id],
    ).set_index("pos", drop=False)
    return _cut(reader, places.loc[[pos for pos in wanted if pos in places.index]].assign(site=site), around)


def typical_patches(reader: Reader, site: str, codes: Sequence[int], around: int = 1) -> dict[int, Patch]:
    """Return code -> the cell of the build that lies nearest to it; codes that never fire are left out."""
    _check_pictures(reader)
    codebook = reader.site(site)
    places = reader.table(
        "SELECT code, arg_max(pos, score) AS pos, arg_max(slot, score) AS slot, max(score) AS score, "
        "arg_max(margin, score) AS margin FROM postings JOIN (SELECT DISTINCT unnest(?::INTEGER[]) AS code) "
        "USING (code) WHERE site_id = ? GROUP BY code",
        [[int(code) for code in codes], codebook.site_id],
    )
    return {patch.ref.code: patch for patch in _cut(reader, places.assign(site=site), around)}


def _cut(reader: Reader, places: pd.DataFrame, around: int) -> list[Patch]:
    """Return the patches at `pos`, in the order given; columns `pos, site, code, slot, score, margin`."""
    if not 0 <= around <= MAX_AROUND:
        raise BadInput(f"{around} cells around a patch are out of range. Give 0 to {MAX_AROUND}.")
    if places.empty:
        return []
    pos = places["pos"].to_numpy(np.int64)
    row = reader.items.index_of(pos)
    items, place = reader.items.item[row], pos - reader.items.first_pos[row]
    shown = pictures(reader, items.tolist())
    grids = shapes(reader)[row].tolist()
    labels = windows.labels_at(reader, np.unique(pos))
    cut = []
    where = zip(places.to_dict("records"), items.tolist(), place.tolist(), grids, strict=True)
    for activation, item, at, (rows, columns) in where:
        height, width = shown[item].shape[0] // rows, shown[item].shape[1] // columns
        y, x = divmod(at, columns)
        crop = crop_cell(shown[item], (y, x), (height, width), around)
        inner = crop[around * height : (around + 1) * height, around * width : (around + 1) * width, :3]
        cut.append(
            Patch(
                ref=CodeRef(reader.model, str(activation["site"]), int(activation["code"])),
                item=item,
                pos=int(activation["pos"]),
                place=at,
                row=y,
                column=x,
                pixels=inner.copy(),
                crop=crop,
                around=around,
                score=float(activation["score"]),
                margin=float(activation["margin"]),
                slot=int(activation["slot"]),
                labels=labels.get(int(activation["pos"]), {}),
            )
        )
    return cut


def code_places(reader: Reader, ref: CodeRef) -> np.ndarray:
    """Count how often the code was chosen at each cell: int64 `[H, W]`; smaller grids are spread over the largest one."""
    site = reader.site_of(ref)
    grids = shapes(reader)
    height, width = grids.max(axis=0)
    pos = reader.arrays("SELECT pos FROM postings WHERE site_id = ? AND code = ?", [site.site_id, ref.code])["pos"]
    row = reader.items.index_of(pos)
    y, x = np.divmod(pos - reader.items.first_pos[row], grids[row, 1])
    counts = np.zeros((height, width), np.int64)
    np.add.at(counts, (y * height // grids[row, 0], x * width // grids[row, 1]), 1)
    return counts


def _shapes(reader: Reader) -> tuple[np.ndarray, int]:
    sides = reader.arrays("SELECT len(shape) AS n, shape[1] AS h, shape[2] AS w FROM items ORDER BY first_pos")
    if not len(sides["n"]) or (sides["n"] != 2).any():
        raise Unsupported(
            f"The build of {reader.model!r} holds no pictures or other grids of rows and columns. Ask a model whose items are."
        )
    both = np.stack([sides["h"], sides["w"]], axis=1).astype(np.int64)
    return both, both.nbytes


def _check_pictures(reader: Reader) -> None:
    """Raise `Unsupported` where the build holds no pictures, whatever its items are called."""

    def count() -> tuple[int, int]:
        return int(reader.arrays("SELECT count(*) AS n FROM pictures")["n"][0]), 8

    if not reader.cache.get((reader.path, "number of pictures"), count):
        raise Unsupported(f"The build of {reader.model!r} holds no pictures. Ask a model of pictures.")
