"""Where to open a model, and what to call its codes: what a person sees before having asked anything."""

from __future__ import annotations

import numpy as np
import pandas as pd

from backend.answers.meaning import FirstLook
from backend.questions import usage
from backend.questions.concepts import concepts
from backend.questions.descriptions import descriptions
from backend.store.reader import Reader

MIN_SUPPORT = 20  # positions with a label value on each half


def first_look(reader: Reader) -> FirstLook:
    """The most meaningful codebook of a model and its best code: what a page opens on where nothing was chosen."""
    table = concepts(reader, None, MIN_SUPPORT, False)
    if len(table):
        table["worth"] = table["precision_low"].fillna(0.0) * table["recall_low"].fillna(0.0) ** 0.5
        best = table.groupby("site")["worth"].sum().sort_values(ascending=False).index[0]
        row = table[table["site"] == best].sort_values("worth", ascending=False).iloc[0]
        text = f"{row['field']} = {row['value']}"
        n = int(row["count"])
        return FirstLook(str(best), int(row["code"]), text, float(row["precision"]), float(row["recall"]), n, "label")
    books = usage.codebooks(reader)
    site = str(books["site"].iloc[int(books["perplexity"].to_numpy().argmax())])
    code = int(usage.codes(reader, site)["count"].to_numpy().argmax())
    return FirstLook(site, code, "", np.nan, np.nan, 0, "usage")


def code_names(reader: Reader, site: str) -> pd.DataFrame:
    """A short name of every live code of a codebook, for chips.

    Returns:
        `code, name, kind`: `label`, `field`, `token`, `before`, `shape` or `ending`: a description that was tested and
        is good, e.g. `story topic = dragon`; `most`: the most frequent token under it, in quotes, of a code that
        nothing describes well. Codes that nothing is known of (of images: that no label describes well) are left out.
    """
    return descriptions(reader, site).rename(columns={"text": "name"})[["code", "name", "kind"]]
