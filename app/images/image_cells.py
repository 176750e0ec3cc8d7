"""What image tokens say below the map: where most is lost, what changes reach, which codes could stand in a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from app.draw import html, patches, pictures
from app.images.image_tokens import View, added, errors
from app.images.in_words import AROUND_ERROR, CELL_ERROR
from app.shell import address
from backend.analysis.patches import crop_cell
from backend.analysis.pixels import to_bytes
from backend.edits.token_maps import Change, Footprint, Paint, nearest_codes
from backend.types import CodeRef

CANDIDATES = 11
TRIED = 1024  # codes at most, where a person asks for more
TRIED_PIXELS = 1 << 20  # decoded for them at most
REACH = 3  # cells around the chosen one that are decoded with each of them


def footprint_figures(reach: Footprint) -> Markup:
    """Draw what the changes reach, with denominators."""
    cells = reach.edited.size
    return html.stats(
        [
            ("cells edited", f"{int(reach.edited.sum()):,}", f"of {cells:,}"),
            ("change inside", html.share(reach.inside), "mean |difference| in edited cells, of the range"),
            ("change outside", html.share(reach.outside), "the same in all other cells"),
            ("share outside", html.share(reach.outside_share), "of the sum of all differences"),
            (
                "cells touched",
                f"{reach.touched:,}",
                f"not edited and changed by 1/255 or more; up to {reach.reach} cells away",
            ),
        ]
    )


def worst_cells(shown: View, site: str, most: int = 8) -> Markup:
    """Draw the cells in which most is lost with their cell errors, each a link that chooses it."""
    lost = errors(shown, site)
    columns = lost.shape[1]
    original, now = to_bytes(shown.picture.pixels), to_bytes(shown.changed)

    def one(cell: int) -> Markup:
        row, column = divmod(cell, columns)
        pair = [crop_cell(p, (row, column), shown.cell, 1) for p in (original, now)]
        text = Markup("").join(patches.picture(p, 44, f"row {row}, column {column}", 1) for p in pair)
        figure = Markup("<figure>{}<figcaption>{}</figcaption></figure>")
        title = f"row {row}, column {column}: choose this cell"
        return figure.format(
            html.link(here(cell=cell), text, "patch-link", title), html.share(float(lost[row, column]))
        )

    order = np.argsort(-lost, axis=None, kind="stable")[:most]
    return Markup('<div class="patches">{}</div>').format(Markup("").join(one(int(cell)) for cell in order))


def here(**changed: Any) -> str:
    """Return the address of this page with some parameters changed."""
    return html.address("image_tokens", **{**address.parameters(), **changed})


def candidates(live: Any, shown: View, site: str, cell: int, widely: bool) -> list[tuple[int, np.ndarray, float]]:
    """Return other codes for one cell, best first: code, what would be decoded, and the error of 3 x 3 cells then.

    Tried are the model's own choice and runner-up and the codes nearest to the one there now; `widely`: of many near ones
    those with which a piece of the picture, decoded alone, comes nearest to the original.
    """
    now = shown.after[site]
    row, column = divmod(cell, now.shape[1])
    near = (
        _best_of_many(live, shown, site, row, column) if widely else _nearest(live, now, row, column, site, CANDIDATES)
    )
    wanted = [now[row, column], shown.before[site][row, column], shown.chosen[site].runner_up[0, row, column], *near]
    codes = [code for code in dict.fromkeys(int(code) for code in wanted) if code >= 0]
    tokens = {one: np.repeat(ids[None], len(codes), 0) for one, ids in shown.after.items()}
    tokens[site][:, row, column] = codes
    decoded = live.decode(tokens)
    lost = _lost(decoded, shown, row, column)
    return sorted(zip(codes, decoded, lost.tolist(), strict=True), key=lambda one: one[2])


def _nearest(live: Any, now: np.ndarray, row: int, column: int, site: str, count: int) -> np.ndarray:
    """Return the codes nearest to the one in a cell."""
    table = live.table(site)
    return nearest_codes(table, now[row : row + 1, column], min(count, len(table) - 1))[0]


def _best_of_many(live: Any, shown: View, site: str, row: int, column: int) -> np.ndarray:
    """Return the best of many codes near the present one, judged by a piece of the picture decoded with each."""
    top, left = max(0, row - REACH), max(0, column - REACH)
    piece = {one: ids[top : row + REACH + 1, left : column + REACH + 1] for one, ids in shown.after.items()}
    pixels = piece[site].size * shown.cell[0] * shown.cell[1]
    codes = _nearest(live, shown.after[site], row, column, site, min(TRIED, max(CANDIDATES, TRIED_PIXELS // pixels)))
    tokens = {one: np.repeat(ids[None], len(codes), 0) for one, ids in piece.items()}
    tokens[site][:, row - top, column - left] = codes
    lost = _lost(live.decode(tokens), shown, row, column, (top, left))
    return codes[np.argsort(lost, kind="stable")[:CANDIDATES]]


def _lost(decoded: np.ndarray, shown: View, row: int, column: int, corner: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Return the errors of 3 x 3 cells: mean |difference| to the original in a cell and those around it, `[n]`.

    Args:
        decoded: float32 `[n, 3, height, width]`, of the picture from a corner on.
        shown: the view.
        row: of the cell.
        column: of the cell.
        corner: row and column of the first cell that was decoded.
    """
    original = pictures.around(shown.picture.pixels.transpose(1, 2, 0), row, column, shown.cell)
    there = pictures.around(decoded.transpose(2, 3, 0, 1), row - corner[0], column - corner[1], shown.cell)
    lost: np.ndarray = np.abs(there - original[:, :, None]).mean((0, 1, 3)) / 2
    return lost


def candidate_table(
    options: Sequence[tuple[int, np.ndarray, float]], shown: View, site: str, cell: int, edits: Sequence[Change], model: str,
    counts: np.ndarray | None, labels: Mapping[CodeRef, str],
) -> Markup:  # fmt: skip
    """Draw the candidates with the place decoded with each, and both errors; a link paints the code there."""
    now = shown.after[site]
    row, column = divmod(cell, now.shape[1])
    original = pictures.around(shown.picture.pixels.transpose(1, 2, 0), row, column, shown.cell, 0)
    rows = []
    for code, pixels, error in options:
        ref = CodeRef(model, site, code)
        inside = pictures.around(pixels.transpose(1, 2, 0), row, column, shown.cell, 0)
        crop = crop_cell(to_bytes(pixels), (row, column), shown.cell, 1)
        new = [str(change) for change in added(edits, Paint(site, code, (cell,)))]
        roles = [
            word
            for word, is_so in (
                ("there now", code == now[row, column]),
                ("the model's choice", code == shown.before[site][row, column]),
                ("runner-up", code == shown.chosen[site].runner_up[0, row, column]),
            )
            if is_so
        ]
        act = (
            html.link(here(change=new, cell=cell), "paint it here", "act whole")
            if code != now[row, column]
            else Markup("")
        )
        count = None if counts is None else int(counts[code])
        chip = html.chip(ref, count, labels.get(ref, ""))
        rows.append(
            [
                patches.picture(crop, 40, f"decoded with code {code}", 1),
                Markup('{}<br><span class="faint">{}</span>').format(chip, ", ".join(roles)) if roles else chip,
                f"{50 * np.abs(inside - original).mean():.2f} %",
                f"{100 * error:.2f} %",
                act,
            ]
        )
    table = html.table(
        [
            "Decoded",
            "Code",
            Markup('<span title="{}">Cell error</span>').format(CELL_ERROR),
            Markup('<span title="{}">Error of 3 x 3 cells</span>').format(AROUND_ERROR),
            "",
        ],
        rows,
        right=(2, 3),
        caption="codes to try in this cell",
    )
    return Markup('<div class="narrow">{}</div>').format(table)


def to_choose(shown: View, site: str) -> list[tuple[str, str]]:
    """Return two cells worth choosing, as address and words: where most is lost, and where the most frequent code lies."""
    codes, lost = shown.after[site].reshape(-1), errors(shown, site).reshape(-1)
    counts = np.bincount(codes[codes >= 0])
    if not counts.size:
        return [(here(cell=int(lost.argmax())), "the cell in which most is lost")]
    most = int(counts.argmax())
    common = int(np.flatnonzero(codes == most)[0])
    words = f"code {most}, which lies on {counts[most]:,} of {codes.size:,} cells"
    return [(here(cell=int(lost.argmax())), "the cell in which most is lost"), (here(cell=common), words)]


def cell_table(shown: View, site: str) -> pd.DataFrame:
    """Return one row a cell: `row, column, code, code_before, runner_up, margin, error` (the cell error)."""
    before = shown.before[site]
    rows, columns = np.divmod(np.arange(before.size), before.shape[1])
    return pd.DataFrame(
        {
            "row": rows,
            "column": columns,
            "code": shown.after[site].reshape(-1),
            "code_before": before.reshape(-1),
            "runner_up": shown.chosen[site].runner_up.reshape(-1),
            "margin": shown.chosen[site].margins.reshape(-1),
            "error": errors(shown, site).reshape(-1),
        }
    )
