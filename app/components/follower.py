"""Lets one fragment of a page run when another has.

A fragment cannot draw outside itself, and the foot of a page has to say what a part of the page took that ran alone.
"""

from __future__ import annotations

import streamlit as st

from app.components import component


def say_ran(name: str, run: int) -> None:
    """Tell whoever follows that a part of the page has run.

    Args:
        name: of the part.
        run: changes when it has run alone.
    """
    _hidden(f"ran-{name}", follows=False, run=run)


def follow(name: str) -> None:
    """Run the fragment that calls this again whenever a part has said that it ran."""
    _hidden(f"follows-{name}", follows=True, run=0)


def _hidden(key: str, *, follows: bool, run: int) -> None:
    with st.container(key=f"behind-{key}"):  # the style sheet takes it out of the flow
        component("follower")(key=key, height=1, data={"follows": follows, "run": run}, on_heard_change=lambda: None)
