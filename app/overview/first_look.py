"""Where to open a model: its most meaningful code, until the explorer answers that by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from app.draw.tables import records
from backend.explorer import Explorer


@dataclass(frozen=True)
class FirstLook:
    """The most meaningful codebook of a model, and the best code in it.

    Attributes:
        site: the codebook.
        code: the code in it.
        text: what the code stands for, e.g. `story topic = dragon`; empty where nothing is known.
        precision: share of the code's activations at which that is true, held out.
        recall: share of the positions where it is true at which the code fires.
        n: activations behind the precision.
        kind: `label`: a label value, held out; `token`: the most frequent token; `usage`: nothing but how often it fires.
    """

    site: str
    code: int
    text: str
    precision: float
    recall: float
    n: int
    kind: Literal["label", "token", "usage"]


def first_look(explorer: Explorer, model: str) -> FirstLook:
    """Return the code whose meaning is most certain and widest in the codebook where that is so of the most codes."""
    if hasattr(explorer, "first_look"):
        look: FirstLook = explorer.first_look(model)
        return look
    table = explorer.concepts(model)
    if len(table):
        table["worth"] = table["precision_low"].fillna(0.0) * np.sqrt(table["recall_low"].fillna(0.0))
        site = str(table.groupby("site")["worth"].sum().idxmax())
        best = records(table[table["site"] == site].nlargest(1, "worth"))[0]
        text = f"{best.field} = {best.value}"
        return FirstLook(
            site, int(best.code), text, float(best.precision), float(best.recall), int(best.count), "label"
        )
    site = str(records(explorer.codebooks(model).nlargest(1, "perplexity"))[0].site)
    most = records(explorer.codes(model, site).nlargest(1, "count"))[0]
    return FirstLook(site, int(most.code), "", math.nan, math.nan, int(most.count), "usage")
