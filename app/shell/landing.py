"""Pure: the page that shows what `Explorer.find` found, and the parameters of its address."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any


def landing(row: Mapping[Hashable, Any]) -> tuple[str, dict[str, Any]]:
    """Return the page and its parameters for a row of `Explorer.find`.

    A code where one is meant, else a search for the label, tag or pattern, else the codebooks of the model.
    """
    model = {"model": str(row["model"])}
    if row["kind"] == "model":
        return "codebooks", model
    if row["kind"] == "pattern":
        return "search", model | {"pattern": str(row["value"])}
    if row["field"] and row["kind"] in ("concept", "tag"):
        return "search", model | {"field": str(row["field"]), "value": str(row["value"])}
    return "code", model | {"site": str(row["site"]), "code": int(row["code"])}
