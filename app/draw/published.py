"""Pure: the figures of a paper's own model, where they are of a codebook as large as the one they stand beside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

NAMES = {"utilization": "codes used", "rfid": "rFID", "psnr": "PSNR", "ssim": "SSIM"}


def codes_of(published: Mapping[str, Any]) -> int | None:
    """Return how many codes the paper's model has, as its entry or its `source` says; None where neither does."""
    if isinstance(published.get("codes"), int):
        return int(published["codes"])
    named = re.search(r"(?<![\w,.])(\d[\d,]*) codes\b", str(published.get("source", "")))
    return int(named[1].replace(",", "")) if named else None


def of_size(published: Mapping[str, Any], codes: int) -> dict[str, Any]:
    """Return the figures, without `source` and `codes`; none where they are of another number of codes.

    How many codes are used depends on nothing as much as on how many there are, so a figure of 16,384 says nothing about
    a table of 1,024. Where the entry does not name a number it is taken to be of this model.

    Args:
        published: the catalog's entry of a model.
        codes: how many that model has.
    """
    if codes_of(published) not in (None, codes):
        return {}
    return {name: value for name, value in published.items() if name not in ("source", "codes")}
