"""What image tokens say below the map: where most is lost, what changes reach, which codes could stand in a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from app import html, patches, pictures, state
from app.image_tokens import View, added, errors
from backend.analysis.patches import crop_cell
from backend.data.png import to_bytes
from backend.image_edits import Change, Footprint, Paint, nearest_codes
from backend.types import CodeRef

CANDIDATES = 11


def footprint_figures(found: Footprint) -> Markup:
    """What the changes reach, with denominators."""
    cells = found.edited.size
    return html.stats(
        [
            ("cells edited", f"{int(found.edited.sum()):,}", f"of {cells:,}"),
            ("change inside", html.share(found.inside), "mean |difference| in edited cells, of the range"),
            ("change outside", html.share(found.outside), "the same in all other cells"),
            ("share outside", html.share(found.outside_share), "of the sum of all differences"),
            (
                "cells touched",
                f"{found.touched:,}",
                f"not edited and changed by 1/255 or more; up to {found.reach} cells away",
            ),
        ]
    )


def worst_cells(shown: View, site: str, most: int = 8) -> Markup:
    """The cells in which most is lost, each a link that chooses it."""
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
    """The address of this page with some parameters changed."""
    return html.address("image_tokens", **{**state.parameters(), **changed})


def candidates(live: Any, shown: View, site: str, cell: int) -> list[tuple[int, np.ndarray, float]]:
    """Other codes for one cell, best first: code, what would be decoded, and the error around the cell then.

    Tried are the codes nearest to the one there now, and the model's own choice and runner-up.
    """
    now = shown.after[site]
    row, column = divmod(cell, now.shape[1])
    table = live.table(site)
    near = nearest_codes(table, now[row : row + 1, column], min(CANDIDATES, len(table) - 1))[0]
    own = shown.chosen[site]
    wanted = dict.fromkeys(
        [
            int(now[row, column]),
            int(shown.before[site][row, column]),
            int(own.runner_up[0, row, column]),
            *near.tolist(),
        ]
    )
    codes = [code for code in wanted if code >= 0]
    tokens = {one: np.repeat(ids[None], len(codes), 0) for one, ids in shown.after.items()}
    tokens[site][:, row, column] = codes
    decoded = live.decode(tokens)
    original = pictures.around(shown.picture.pixels.transpose(1, 2, 0), row, column, shown.cell)
    found = []
    for code, pixels in zip(codes, decoded, strict=True):
        there = pictures.around(pixels.transpose(1, 2, 0), row, column, shown.cell)
        found.append((code, pixels, float(np.abs(there - original).mean() / 2)))
    return sorted(found, key=lambda one: one[2])


def candidate_table(
    found: Sequence[tuple[int, np.ndarray, float]], shown: View, site: str, cell: int, made: Sequence[Change], model: str,
    counts: np.ndarray | None, labels: Mapping[CodeRef, str],
) -> Markup:  # fmt: skip
    """The candidates with the place decoded with each; a link paints the code there."""
    now = shown.after[site]
    row, column = divmod(cell, now.shape[1])
    rows = []
    for code, pixels, error in found:
        ref = CodeRef(model, site, code)
        crop = crop_cell(to_bytes(pixels), (row, column), shown.cell, 1)
        new = [str(change) for change in added(made, Paint(site, code, (cell,)))]
        roles = [
            word
            for word, is_so in (
                ("there now", code == now[row, column]),
                ("the model's choice", code == shown.before[site][row, column]),
                ("runner-up", code == shown.chosen[site].runner_up[0, row, column]),
            )
            if is_so
        ]
        act = html.link(here(change=new, cell=cell), "paint it here", "act") if code != now[row, column] else Markup("")
        count = None if counts is None else int(counts[code])
        chip = html.chip(ref, count, labels.get(ref, ""))
        rows.append(
            [
                patches.picture(crop, 40, f"decoded with code {code}", 1),
                chip,
                f"{100 * error:.2f} %",
                ", ".join(roles),
                act,
            ]
        )
    return html.table(
        ["Decoded", "Code", "Error around it", "", ""], rows, right=(2,), caption="codes to try in this cell"
    )


def cell_table(shown: View, site: str) -> pd.DataFrame:
    """One row a cell: `row, column, code, code_before, runner_up, margin, error`."""
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
