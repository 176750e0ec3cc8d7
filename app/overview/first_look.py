"""Where to open a model: its most meaningful code, until the explorer answers that by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

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
        worth = table["precision_low"].fillna(0.0) * np.sqrt(table["recall_low"].fillna(0.0))
        site = str(worth.groupby(table["site"]).sum().idxmax())
        row = table.loc[worth[table["site"] == site].idxmax()]
        text = f"{row['field']} = {row['value']}"
        return FirstLook(site, int(row["code"]), text, row["precision"], row["recall"], int(row["count"]), "label")
    codebooks = explorer.codebooks(model)
    site = str(codebooks.loc[codebooks["perplexity"].idxmax(), "site"])
    codes = explorer.codes(model, site)
    code = int(codes.loc[codes["count"].idxmax(), "code"])
    return FirstLook(site, code, "", math.nan, math.nan, int(codes["count"].max()), "usage")
