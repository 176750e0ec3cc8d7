"""Further labels that a search may ask for: of positions, and of whole items, whose fields are written `item:FIELD`."""

from __future__ import annotations

import streamlit as st

from app.shell import address
from backend.explorer import Explorer


def also(explorer: Explorer, model: str) -> list[tuple[str, str]]:
    """Let a person choose labels that a position must have; they stand in the address as `also=FIELD=VALUE`, repeated."""
    labels = explorer.all_labels(model)
    known = [f"{field}={value}" for field, value in zip(labels["field"], labels["value"], strict=True)]
    chosen = [text for text in address.many("also", limit=8) if "=" in text]
    st.multiselect(
        "All of these labels",
        [*known, *(text for text in chosen if text not in known)],
        placeholder=f"any; e.g. {known[0]}" if known else "any",
        **address.bound("also", chosen),
    )
    return [(field, value) for field, _, value in (text.partition("=") for text in chosen)]
