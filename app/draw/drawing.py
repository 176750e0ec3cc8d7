"""Charts on a page: made, checked against the schema and turned into Vega-Lite once, then taken from a cache.

Checking a chart takes longer than all else that a click asks of the server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

Made = alt.Chart | alt.LayerChart


def draw(make: Callable[..., Made], *arguments: Any, alt: str, **options: Any) -> Any:
    """Draw the chart that `make(*arguments)` gives.

    Args:
        make: one of `app.draw.charts` or `app.states.machine_charts`: the same arguments, the same chart.
        arguments: of `make`; tables among them are compared by what they hold.
        alt: what the picture shows, for screen readers.
        options: of `st.vega_lite_chart`: `key, on_select, width`.

    Returns:
        What was selected, where `on_select` is given.
    """
    spec = _spec(f"{make.__module__}.{make.__qualname__}", make, arguments)
    return st.vega_lite_chart(None, spec, alt=alt, **options)


@st.cache_data(max_entries=300, show_spinner=False)
def _spec(name: str, _make: Callable[..., Made], arguments: tuple[Any, ...]) -> dict[str, Any]:
    return vega_lite(_make(*arguments))


def vega_lite(chart: Made) -> dict[str, Any]:
    """A chart in Vega-Lite; its tables stand beside it under `datasets`, so that they travel in binary."""
    tables: dict[str, pd.DataFrame] = {}
    for part in (chart, *getattr(chart, "layer", ())):
        if isinstance(part.data, pd.DataFrame):
            name = f"table{len(tables)}"
            tables[name] = part.data
            part.data = alt.NamedData(name=name)
    spec: dict[str, Any] = chart.to_dict()
    for size in ("continuousWidth", "continuousHeight"):  # of the library's theme; the page has its own
        spec.get("config", {}).get("view", {}).pop(size, None)
    return {**spec, "datasets": tables}
