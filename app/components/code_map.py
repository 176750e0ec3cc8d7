"""Every code of a codebook as one mark on a canvas: in a grid (one cell a code) or at its 2-D position.

A canvas holds 100,000 codes where a chart of elements would hold 5,000. Hovering names the code, a click opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from app.components import component
from app.draw import html
from backend.types import CodeRef


def map_data(
    codes: pd.DataFrame,
    model: str,
    site: str,
    *,
    layout: str,
    labels: Mapping[CodeRef, str],
    spoken: Mapping[int, str] | None = None,
    alt: str,
    positions: int,
    outputs: pd.DataFrame | None = None,
    mark: int | None = None,
) -> dict[str, Any]:
    """What the map draws, as plain JSON values; a hundred thousand codes are a few hundred kilobytes.

    Args:
        codes: what `Explorer.codes` says: every code by number.
        model: the model.
        site: the codebook.
        layout: `grid`, `projection` (columns `x, y`) or `pca` (columns `pca_x, pca_y`).
        labels: people's labels of the model's codes.
        spoken: code -> what it fires on, for codes without a label.
        alt: what the picture shows, for screen readers.
        positions: denominator of the shares that are shown.
        outputs: `pca_x, pca_y` of vectors that the codebook was asked for, drawn over its PCA.
        mark: a code to ring.
    """
    shown = codes
    across, up = ("x", "y") if layout == "projection" else ("pca_x", "pca_y")
    if layout != "grid":
        shown = shown[(shown["count"] > 0) & shown[across].notna()]
    names = {str(code): name for code, name in (spoken or {}).items()}
    names |= {str(ref.code): html.visible_label(label) for ref, label in labels.items() if ref.site == site}
    data: dict[str, Any] = {
        "count": shown["count"].tolist(),
        "names": names,
        "codebook": f"{model}/{site}",
        "positions": max(1, positions),
        "grid": layout == "grid",
        "href": html.address("code", model=model, site=site) + "&code=",
        "alt": alt,
        "hint": "Point at a code to see how often it fires; click to open it. Bright: often; dark: rarely; grey: dead.",
        "height": 260 if layout == "grid" else 420,
        "radius": 3.5 if len(shown) < 3000 else 2 if len(shown) < 10_000 else 1,
        "mark": mark,
    }
    if layout != "grid":
        data["code"] = shown["code"].tolist()
        over = outputs if outputs is not None and layout == "pca" else codes.head(0)
        for name, column in (("x", across), ("y", up)):
            values, beyond = shown[column].to_numpy(np.float64), over[column].to_numpy(np.float64)
            both = np.concatenate([values, beyond])
            low, high = (both.min(), both.max()) if len(both) else (0.0, 1.0)
            for key, part in ((name, values), (f"over_{name}", beyond)):
                data[key] = np.round((part - low) / max(high - low, 1e-12), 4).tolist()
    return data


def code_map(data: dict[str, Any], *, key: str) -> None:
    """Draw what `map_data` made."""
    component("code_map")(key=key, data=data)
