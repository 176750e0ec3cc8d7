"""Brings the place where it is drawn into view: what a click has started below the fold would seem dead otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__)


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("codescope.into_view", js=_HERE.with_suffix(".js").read_text(encoding="utf-8"))


def into_view(key: str, occasion: str) -> None:
    """Scroll here where this place and some room below it cannot be seen.

    Args:
        key: names this place on the page.
        occasion: what for; the same one does not scroll again.
    """
    _component()(key=key, data={"occasion": occasion}, height=1)
