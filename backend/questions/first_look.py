"""Where to open a model, and what to call its codes: what a person sees before having asked anything."""

from __future__ import annotations

import numpy as np
import pandas as pd

from backend.answers.stored import FirstLook
from backend.questions import usage
from backend.questions.concepts import concepts
from backend.questions.descriptions import describe_all
from backend.store.reader import Reader

MIN_SUPPORT = 20  # positions with a label value on each half


def first_look(reader: Reader) -> FirstLook:
    """See `backend.explorer.Explorer.first_look`."""
    table = concepts(reader, None, MIN_SUPPORT, False)
    if len(table):
        table["worth"] = table["precision_low"].fillna(0.0) * table["recall_low"].fillna(0.0) ** 0.5
        best = str(table.groupby("site")["worth"].sum().idxmax())
        row = table[table["site"] == best].sort_values("worth", ascending=False).iloc[0]
        text = f"{row['field']} = {row['value']}"
        n = int(row["count"])
        return FirstLook(best, int(row["code"]), text, float(row["precision"]), float(row["recall"]), n, "label")
    books = usage.codebooks(reader)
    site = str(books.loc[books["perplexity"].idxmax(), "site"])
    codes = usage.codes(reader, site)
    return FirstLook(site, int(codes.loc[codes["count"].idxmax(), "code"]), "", np.nan, np.nan, 0, "usage")


def code_names(reader: Reader, site: str) -> pd.DataFrame:
    """See `backend.explorer.Explorer.code_names`."""
    return describe_all(reader, site).rename(columns={"text": "name"})[["code", "name", "kind"]]
