"""Changes to a picture's token map: paint, swap, take the M-th nearest code, copy from another picture. Pure numpy.

A person's changes are a list, applied in order from the tokens that the model chose; to undo one is to leave out the last.
Each has one written form, for addresses and files:

    vq:paint:412@3,5..9              code 412 on these cells (reading order from 0)
    vq:swap:412~77@all               412 becomes 77 and 77 becomes 412, on these cells
    vq:nearest:3@all                 every code becomes its third nearest other code
    vq:copy:item.12@0.0.4.4>2.2      rows 0 to 3, columns 0 to 3 of another picture, with their corner at row 2, column 2
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.edits.codes import Edit, Where
from backend.errors import BadInput, UnknownCode

TokenMaps = Mapping[str, np.ndarray]  # site -> int32 [H, W]
MAX_CHANGES = 500
_BLOCK = 1 << 24  # distances that are held at once
_SITE = r"(?P<site>[\w./-]{1,200})"
_CELLS = r"@(?P<cells>[\d.,al]{1,20000})"
_FORMS = (
    "SITE:paint:CODE@CELLS, SITE:swap:CODE~CODE@CELLS, SITE:nearest:M@CELLS or "
    "SITE:copy:PICTURE@TOP.LEFT.BOTTOM.RIGHT>ROW.COLUMN"
)


@dataclass(frozen=True)
class Paint:
    """One code on some cells.

    Attributes:
        site: the codebook.
        code: the code.
        cells: `all`, or cells in reading order from 0.
    """

    site: str
    code: int
    cells: Where = "all"

    def __str__(self) -> str:
        return f"{self.site}:paint:{self.code}@{_write_cells(self.cells)}"


@dataclass(frozen=True)
class Swap:
    """Two codes in each other's place.

    Attributes:
        site: the codebook.
        first, second: the codes.
        cells: as of `Paint`.
    """

    site: str
    first: int
    second: int
    cells: Where = "all"

    def __str__(self) -> str:
        return f"{self.site}:swap:{self.first}~{self.second}@{_write_cells(self.cells)}"


@dataclass(frozen=True)
class Nearest:
    """Every code becomes its M-th nearest other code of the table.

    Attributes:
        site: the codebook.
        rank: M, from 1.
        cells: as of `Paint`.
    """

    site: str
    rank: int
    cells: Where = "all"

    def __str__(self) -> str:
        return f"{self.site}:nearest:{self.rank}@{_write_cells(self.cells)}"


@dataclass(frozen=True)
class Copy:
    """A region of another picture's tokens.

    Attributes:
        site: the codebook.
        picture: names the other picture; whoever applies the change knows it.
        box: top, left, bottom, right of the region there; bottom and right are the first not taken.
        to: row and column of its corner here; what does not fit is left out.
    """

    site: str
    picture: str
    box: tuple[int, int, int, int]
    to: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.site}:copy:{self.picture}@{'.'.join(map(str, self.box))}>{self.to[0]}.{self.to[1]}"


Change = Paint | Swap | Nearest | Copy


def _write_cells(cells: Where) -> str:
    return Edit("vq", 0, where=cells).written_where


def _read_cells(text: str) -> Where:
    return Edit.parse(f"vq:0@{text}").where


def parse(text: str) -> Change:
    """Read a change in its written form; `str(change)` writes it.

    Raises:
        BadInput: the text has another form.
    """
    text = text.strip()
    if match := re.fullmatch(rf"{_SITE}:paint:(\d{{1,9}}){_CELLS}", text, re.ASCII):
        return Paint(match["site"], int(match[2]), _read_cells(match["cells"]))
    if match := re.fullmatch(rf"{_SITE}:swap:(\d{{1,9}})~(\d{{1,9}}){_CELLS}", text, re.ASCII):
        return Swap(match["site"], int(match[2]), int(match[3]), _read_cells(match["cells"]))
    if match := re.fullmatch(rf"{_SITE}:nearest:([1-9]\d{{0,8}}){_CELLS}", text, re.ASCII):
        return Nearest(match["site"], int(match[2]), _read_cells(match["cells"]))
    copy_form = (
        rf"{_SITE}:copy:([\w.-]{{1,100}})@(\d{{1,4}})\.(\d{{1,4}})\.(\d{{1,4}})\.(\d{{1,4}})>(\d{{1,4}})\.(\d{{1,4}})"
    )
    if match := re.fullmatch(copy_form, text, re.ASCII):
        top, left, bottom, right, row, column = map(int, match.groups()[2:])
        if top < bottom and left < right:
            return Copy(match["site"], match[2], (top, left, bottom, right), (row, column))
    raise BadInput(f"{text[:80]!r} is not a change of a token map. Write {_FORMS}.")


def apply(
    changes: Sequence[Change],
    tokens: TokenMaps,
    tables: Mapping[str, np.ndarray],
    others: Callable[[str], TokenMaps] | None = None,
) -> dict[str, np.ndarray]:
    """Make all changes to token maps, in order, and return the new maps; those passed in stay as they are.

    Args:
        changes: what to do.
        tokens: site -> int `[H, W]`.
        tables: site -> float32 `[num_codes, dim]`.
        others: name of another picture -> its token maps; needed by `Copy`.

    Raises:
        UnknownCode: a codebook or code that is not there.
        BadInput: a cell or region that is not there, or too many changes.
    """
    if len(changes) > MAX_CHANGES:
        raise BadInput(f"There are {len(changes)} changes; at most {MAX_CHANGES} can be made. Leave some out.")
    maps = {site: np.array(codes, dtype=np.int32) for site, codes in tokens.items()}
    for change in changes:
        if change.site not in maps:
            raise UnknownCode(f"{change.site[:80]!r} is not a codebook of this model. Known: {', '.join(maps)}.")
        codes, size = maps[change.site], len(tables[change.site])
        if isinstance(change, Copy):
            if others is None:
                raise BadInput(f"The picture {change.picture} is not here, so nothing can be copied from it.")
            _copy(codes, others(change.picture)[change.site], change)
            continue
        attributes = {Paint: "code", Swap: "first second", Nearest: ""}[type(change)].split()
        for code in (getattr(change, name) for name in attributes):
            if not 0 <= code < size:
                raise UnknownCode(f"{change.site} has codes 0 to {size - 1:,}, not {code}.")
        here = _mask(change.cells, codes.shape)
        if isinstance(change, Paint):
            codes[here] = change.code
        elif isinstance(change, Swap):
            # both masks before either is written, or all would end as one code
            first, second = here & (codes == change.first), here & (codes == change.second)
            codes[first], codes[second] = change.second, change.first
        else:
            codes[here] = nearest_codes(tables[change.site], codes[here], change.rank)[:, -1]
    return maps


def _mask(cells: Where, shape: tuple[int, ...]) -> np.ndarray:
    """Mark cells in a map, bool `[H, W]`."""
    mask = np.full(shape, cells == "all")
    if cells != "all":
        if isinstance(cells, str) or min(cells) < 0 or max(cells) >= mask.size:
            raise BadInput(
                f"This token map has the cells 0 to {mask.size - 1}; {_write_cells(cells)[:80]} is not among them."
            )
        mask.reshape(-1)[list(cells)] = True
    return mask


def _copy(codes: np.ndarray, other: np.ndarray, change: Copy) -> None:
    top, left, bottom, right = change.box
    height, width = other.shape
    if bottom > height or right > width:
        raise BadInput(f"The picture {change.picture} has {height} x {width} cells; {change} asks for more.")
    row, column = change.to
    if row >= codes.shape[0] or column >= codes.shape[1]:
        raise BadInput(f"This token map has {codes.shape[0]} x {codes.shape[1]} cells; {change} begins outside.")
    here = codes[row : row + bottom - top, column : column + right - left]
    here[:] = other[top : top + here.shape[0], left : left + here.shape[1]]


def nearest_codes(table: np.ndarray, codes: np.ndarray, count: int) -> np.ndarray:
    """Find the nearest other codes by euclidean distance, ties to the lower id; int32 `[n, count]`.

    Args:
        table: float32 `[num_codes, dim]`.
        codes: ids `[n]`; -1 (an empty cell) stays -1.
        count: how many.

    Raises:
        BadInput: the table has too few codes.
    """
    if not 1 <= count < len(table):
        raise BadInput(f"The table has {len(table):,} codes: a code has 1 to {len(table) - 1:,} others, not {count}.")
    distinct, where = np.unique(codes, return_inverse=True)  # a map repeats few codes many times
    ids = np.full((len(distinct), count), -1, dtype=np.int32)
    lengths = (table.astype(np.float64) ** 2).sum(1)
    step = max(1, _BLOCK // len(table))
    for start in range(0, len(distinct), step):
        rows = np.arange(start, min(start + step, len(distinct)))
        rows = rows[distinct[rows] >= 0]

        distances = lengths - 2 * table[distinct[rows]].astype(np.float64) @ table.T.astype(np.float64)
        distances[np.arange(len(rows)), distinct[rows]] = np.inf
        reach = np.partition(distances, count - 1, axis=1)[:, count - 1]
        for row, line, limit in zip(rows, distances, reach, strict=True):
            near = np.flatnonzero(line <= limit)  # all that tie for the last place: a partition drops any of them
            ids[row] = near[np.argsort(line[near], kind="stable")][:count]
    return ids[where.reshape(-1)]


# -- what a change does --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Footprint:
    """Where a change of tokens changes the picture.

    Attributes:
        edited: bool `[H, W]`: cells of which a token changed.
        difference: float32 `[height, width]`: mean over colours of |after - before|, as a share of the range (0 to 1).
        inside, outside: mean difference of the pixels in edited cells, and of all others; NaN where there are none.
        outside_share: of the sum of all differences, the share that lies outside the edited cells; NaN without a difference.
        reach: how many cells away from the nearest edited one (by the longer side) a pixel still differs by 1/255 or more.
        touched: cells that were not edited and hold such a pixel.
    """

    edited: np.ndarray
    difference: np.ndarray
    inside: float
    outside: float
    outside_share: float
    reach: int
    touched: int


def footprint(before: TokenMaps, after: TokenMaps, decoded_before: np.ndarray, decoded_after: np.ndarray) -> Footprint:
    """Compare two decoded pictures around the cells whose tokens differ.

    Args:
        before: site -> int `[H, W]`.
        after: the same with the changes.
        decoded_before: float32 `[3, height, width]` in [-1, 1].
        decoded_after: the same with the changes.
    """
    edited = np.any([before[site] != after[site] for site in before], axis=0)
    difference = (np.abs(decoded_after - decoded_before).mean(0) / 2).astype(np.float32)
    rows, columns = edited.shape
    cell = difference.shape[0] // rows, difference.shape[1] // columns
    inside = np.repeat(np.repeat(edited, cell[0], 0), cell[1], 1)
    total = float(difference.sum(dtype=np.float64))
    differs = (difference >= 1 / 255).reshape(rows, cell[0], columns, cell[1]).any((1, 3))
    return Footprint(
        edited,
        difference,
        _mean(difference[inside]),
        _mean(difference[~inside]),
        float(difference[~inside].sum(dtype=np.float64)) / total if total > 0 else float("nan"),
        _reach(edited, differs),
        int((differs & ~edited).sum()),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")


def _reach(edited: np.ndarray, differs: np.ndarray) -> int:
    """Return the chessboard distance of the farthest cell that differs to the nearest edited one."""
    from scipy.ndimage import distance_transform_cdt  # costs a moment to import

    if not edited.any() or not differs.any():
        return 0
    return int(distance_transform_cdt(~edited, metric="chessboard")[differs].max())
