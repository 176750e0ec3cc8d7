"""Where to open a model, and what to call its codes: what a person sees before having asked anything."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from backend.analysis.claims import is_good
from backend.answers.meaning import FirstLook
from backend.questions.associations import tokens_of
from backend.questions.concepts import concepts
from backend.questions.descriptions import descriptions
from backend.questions.usage import codebooks, codes
from backend.store import corpus, numbered
from backend.store.numbered import crossed
from backend.store.reader import Reader
from backend.types import CodeRef

LOOKED_AT = 60  # concepts, those whose codes are worth most, that are looked at more closely
PLAIN = 0.1  # what a code is worth that tells no more than the token under it, as a share of one that tells everything
MIN_COUNT = 50  # activations of a code that is shown for its tokens


def first_look(reader: Reader) -> FirstLook:
    """Choose the most meaningful codebook of a model and its best code: what a page opens on where nothing was chosen.

    1. Every label value with its best code (`concepts`), and what that is worth on half 0 (`analysis.claims`). Where any is
       above the floor, only those are.
    2. Each counts by what it tells beyond the token under it: its precision less the precision that knowing nothing but
       the token would have at the code's places. A code of the word "and" says little of what a model has understood.
    3. The codebook whose concepts count most together, and in it the code that counts most.

    Without labels: the codebook that spreads its use most, and in it the code of the fewest different tokens.
    """
    if not reader.fields:  # tags alone say nothing of single positions
        return _by_usage(reader)
    table = concepts(reader)
    good = table[is_good(table["hits"].to_numpy(), table["count"].to_numpy())] if len(table) else table
    table = (good if len(good) else table).sort_values("worth", ascending=False, kind="stable").head(LOOKED_AT)
    if table.empty:
        return _by_usage(reader)
    beyond = np.array([_beyond_token(reader, row) for row in table.to_dict("records")])
    table = table.assign(counts=table["worth"] * (PLAIN + (1 - PLAIN) * beyond))
    site = table.groupby("site")["counts"].sum().sort_values(ascending=False, kind="stable").index[0]
    row = table[table["site"] == site].sort_values("counts", ascending=False, kind="stable").to_dict("records")[0]
    return FirstLook(
        site=str(site),
        code=int(row["code"]),
        text=f"{row['field']} = {row['value']}",
        precision=float(row["precision"]),
        recall=float(row["recall"]),
        n=int(row["count"]),
        kind="label",
    )


def code_names(reader: Reader, site: str) -> pd.DataFrame:
    """Name every live code of a codebook in a few words, for chips.

    Returns:
        `code, name, kind`: `label`, `field`, `token`, `before`, `shape` or `ending`: a description that was tested and is
        good, e.g. `story topic = dragon`; `most`: the most frequent token under it, in quotes, of a code that nothing
        describes well. Codes that nothing is known of (of images: that no label describes well) are left out.
    """
    table = descriptions(reader, site)
    named = table.loc[table["good"], ["code", "text", "kind"]].rename(columns={"text": "name"})
    tokens = _top_tokens(reader, site)
    others = tokens[~tokens["code"].isin(named["code"])]
    return pd.concat([named, others], ignore_index=True).sort_values("code", ignore_index=True)


def _top_tokens(reader: Reader, name: str) -> pd.DataFrame:
    """Return the most frequent token under each live code, of equal ones the first in the alphabet: `code, name, kind`."""
    site, tokens = reader.site(name), numbered.tokens(reader)
    if not tokens.names:  # of images
        return pd.DataFrame({"code": np.empty(0, np.int64), "name": [], "kind": []})
    chosen = corpus.codes_of_site(reader, site)
    top = [
        np.where(n.any(1), n.argmax(1), -1)
        for _, n in crossed(chosen, site.info.num_codes, tokens, np.arange(len(chosen)))
    ]
    of_code = np.concatenate(top)
    live = np.flatnonzero(of_code >= 0)
    return pd.DataFrame({"code": live, "name": [repr(tokens.names[of_code[code]]) for code in live], "kind": "most"})


def _beyond_token(reader: Reader, row: Mapping[Hashable, Any]) -> float:
    """Measure how much more precise a code is for its label value than its tokens alone are; on half 0, 0 to 1."""
    labels, tokens = numbered.labels(reader, str(row["field"])), numbered.tokens(reader)
    value = labels.names.index(str(row["value"]))
    site = reader.sites[str(row["site"])]
    sql = "SELECT pos FROM postings WHERE site_id = ? AND code = ?"
    fires = np.unique(reader.arrays(sql, [site.site_id, row["code"]])["pos"])
    fires = fires[corpus.halves(reader, fires) == 0]
    if not len(fires):
        return 0.0
    precision = float((labels.number[fires] == value).mean())
    if not tokens.names:
        return max(0.0, precision - labels.totals[0, value] / max(1, reader.positions / 2))
    under, true = tokens.number[fires], np.flatnonzero(labels.number == value)
    share = tokens.count(true[corpus.halves(reader, true) == 0]) / np.maximum(tokens.totals[0], 1)
    return max(0.0, precision - float(share[under[under >= 0]].mean()) if (under >= 0).any() else 0.0)


def _by_usage(reader: Reader) -> FirstLook:
    books = codebooks(reader)
    site = str(books["site"].iloc[int(books["perplexity"].to_numpy().argmax())])
    table = codes(reader, site).sort_values(["count", "code"], ascending=[False, True])
    often = table[table["count"] >= MIN_COUNT]
    code = int((often if len(often) else table.head(1)).sort_values("entropy", kind="stable")["code"].iloc[0])
    top = tokens_of(reader, CodeRef(reader.model, site, code), 1)
    if top.empty or top["token"].iloc[0] == "":
        return FirstLook(site, code, "", float("nan"), float("nan"), 0, "usage")
    share, count = float(top["share"].iloc[0]), int(top["count"].iloc[0])
    return FirstLook(site, code, repr(top["token"].iloc[0]), share, float("nan"), round(count / share), "token")
