"""Small pieces that run in the browser: they build elements with `textContent`; data come as JSON, never as HTML.

Each is a file of Python that makes the data, one of JavaScript and, where it has a look of its own, one of CSS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

_FOLDER = Path(__file__).parent


@st.cache_resource(show_spinner=False)
def component(name: str) -> Any:
    """Return the component of `NAME.js` and, where it is there, `NAME.css`."""
    css = _FOLDER / f"{name}.css"
    return st.components.v2.component(
        f"codescope.{name}",
        css=css.read_text(encoding="utf-8") if css.is_file() else None,
        js=(_FOLDER / f"{name}.js").read_text(encoding="utf-8"),
    )
