"""Pure: what is measured on Image tokens, said in sentences: what a code stands for and how far a change reaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from app.draw import html
from app.images.image_tokens import View
from backend.edits.token_maps import Footprint, footprint
from backend.explorer import Description

CERTAIN = 0.5  # lower end of the precision below which nothing is claimed
CELL_ERROR = (
    "mean |difference| to the original over the pixels of one cell, as a share of the range from black to white"
)
AROUND_ERROR = "the same over a cell and the eight around it, which a decoder draws together with it"


def two_errors() -> Markup:
    """Say what the two errors are that a cell has on this page."""
    return Markup('<p class="faint"><b>Cell error</b>: {}. <b>Error of 3 x 3 cells</b>: {}.</p>').format(
        CELL_ERROR, AROUND_ERROR
    )


def many(count: int, what: str) -> str:
    """Return a count with its noun: `1 cell`, `12 cells`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def code_here(code: int, lies: int, cells: int, description: Description | None) -> Markup:
    """Say where a code lies in the picture and what it stands for in the build.

    Args:
        code: the code.
        lies: on how many cells of the picture.
        cells: how many those are.
        description: what it fires on; None where there is no build or nothing describes it.
    """
    where = Markup("Code <b>{}</b> lies on {} of the {:,} cells of this picture, outlined above. ").format(
        code, f"{lies:,}", cells
    )
    if description is None:
        return where
    if description.low < CERTAIN:
        return where + Markup("Nothing that is known of the pictures describes it well. ")
    return where + Markup(
        "Of the {:,} held-out cells for which the model chose it, {} are <b>{}</b>; of all cells {}. "
    ).format(
        description.n,
        html.share(description.precision),
        html.visible_label(description.text),
        html.share(description.chance),
    )


def without(live: Any, shown: View, site: str, code: int) -> Footprint | None:
    """Measure what a code draws: decode the picture once more with the runner-up on every cell where the code lies.

    Args:
        live: the live tokenizer.
        shown: the picture and its tokens.
        site: the codebook.
        code: the code.

    Returns:
        Where the two differ; None where no cell has another code to give.
    """
    runner_up = shown.chosen[site].runner_up[0]
    there = (shown.after[site] == code) & (runner_up >= 0) & (runner_up != code)
    if not there.any():
        return None
    tokens: Mapping[str, np.ndarray] = {
        **shown.after,
        site: np.where(there, runner_up, shown.after[site]).astype(np.int32),
    }
    decoded = live.decode({name: ids[None] for name, ids in tokens.items()})[0]
    return footprint(shown.after, tokens, shown.changed, decoded)


def without_it(reach: Footprint) -> Markup:
    """Say what `without` measured."""
    edited = int(reach.edited.sum())
    return Markup("With the next best {} there instead, the picture changes {}.").format(
        "code" if edited == 1 else "codes", _reach(reach, "there")
    )


def your_changes(reach: Footprint) -> Markup:
    """Say how far a person's changes reach; nothing where no token changed."""
    edited = int(reach.edited.sum())
    if not edited:
        return Markup("")
    return Markup("Your changes of {} change the picture {}.").format(many(edited, "cell"), _reach(reach, "in them"))


def _reach(reach: Footprint, there: str) -> Markup:
    inside, outside = html.share(reach.inside), html.share(reach.outside_share)
    if not reach.touched:
        return Markup("by {} of the range {} and nowhere else by 1/255 or more").format(inside, there)
    said = Markup(
        "by {} of the range {}, and by 1/255 or more in {}, up to {} away: <b>{}</b> of all change lies outside"
    )
    return said.format(inside, there, many(reach.touched, "other cell"), many(reach.reach, "cell"), outside)
