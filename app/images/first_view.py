"""What Image tokens opens on where the address names a model alone: the code that says most, where it lies in a picture.

1. The code that stands best for something that is known of the pictures, by bounds on half of them (`Explorer.concepts`).
2. Of the pictures of the build on which that code lies often, but on no more than a third of the cells, the one in which
   these cells differ most from all others: there one sees at a glance what the code picks out.
3. There the cell that lies nearest to the code is chosen, and the codes are laid over the picture in colours.

All of it is written into the address: whoever is sent it sees the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from backend.explorer import Explorer
from backend.types import CodeRef

MOST = 1 / 3  # of a picture's cells
PLACES = 1000  # of the code that are looked at, the nearest first
PICTURES = 24  # that are looked at


@st.cache_data(max_entries=50, show_spinner=False)
def first_view(data_dir: str, build: str, model: str, _explorer: Explorer) -> dict[str, Any]:
    """Return parameters of the address; kept for a build.

    Args:
        data_dir: of the model.
        build: id of its newest build.
        model: its name.
        _explorer: reads the build.
    """
    ref = best_code(_explorer, model)
    places = _explorer.examples(ref, "top", n=PLACES, context=0)
    if not places:
        return {"item": 0, "overlay": "codes"}
    facts = _explorer.facts(model)
    wanted = (
        MOST / 2 * int(facts["positions"]) / int(facts["items"])
    )  # cells; a rare code lies on fewer, then on as many as can be
    lies = Counter(place.item for place in places)
    items = sorted(lies, key=lambda item: abs(lies[item] - wanted))[:PICTURES]
    item = _clearest(_explorer, ref, items)
    cell = next(place.place for place in places if place.item == item)  # they come nearest first
    first_site = str(_explorer.codebooks(model)["site"].iloc[0])
    return {
        "site": None if ref.site == first_site else ref.site,
        "item": item,
        "cell": cell,
        "overlay": "codes",
    }


def _clearest(explorer: Explorer, ref: CodeRef, items: Sequence[int]) -> int:
    """Return the picture in which the code's cells differ most from the others, times the root of how many they are."""
    best, chosen = -1.0, items[0]
    for item in items:
        pixels = explorer.picture(ref.model, item).astype(np.float64)
        there = (explorer.token_map(ref.model, item, ref.site) == ref.code).any(-1)
        if there.mean() > MOST:
            continue
        rows, columns = there.shape
        cells = pixels.reshape(rows, pixels.shape[0] // rows, columns, -1, 3).mean((1, 3))
        contrast = float(np.abs(cells[there].mean(0) - cells[~there].mean(0)).mean()) * float(np.sqrt(there.sum()))
        if contrast > best:
            best, chosen = contrast, item
    return chosen


def best_code(explorer: Explorer, model: str) -> CodeRef:
    """Return the code whose precision and recall for some label are best, both by the lower ends of their intervals.

    Precision counts more. Where nothing is known of the pictures it is the code that is used most.
    """
    known = explorer.concepts(model)
    if len(known):
        worth = known["precision_low"].fillna(0.0) * known["recall_low"].fillna(0.0) ** 0.5
        ref: CodeRef = known["ref"].iloc[int(worth.to_numpy().argmax())]
        return ref
    site = str(explorer.codebooks(model)["site"].iloc[0])
    codes = explorer.codes(model, site)
    return CodeRef(model, site, int(codes["code"].iloc[int(codes["count"].to_numpy().argmax())]))
