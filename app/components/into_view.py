"""Brings the place where it is drawn into view: what a click has started below the fold would seem dead otherwise."""

from __future__ import annotations

from typing import Any

import streamlit as st

_JS = """
export default function (component) {
  const { data, parentElement } = component;
  const mark = parentElement.host ?? parentElement;
  if (mark.dataset.brought === data.occasion) return;  // once for each occasion: whoever scrolls on is left alone
  mark.dataset.brought = data.occasion;
  const box = mark.getBoundingClientRect();
  const room = 0.35 * innerHeight;  // of what begins here, that much is to be seen
  if (box.top < 0 || box.bottom > innerHeight - room) mark.scrollIntoView({ block: "center", behavior: "smooth" });
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("codescope.into_view", js=_JS)


def into_view(key: str, occasion: str) -> None:
    """Scroll here where this place and some room below it cannot be seen.

    Args:
        key: names this place on the page.
        occasion: what for; the same one does not scroll again.
    """
    _component()(key=key, data={"occasion": occasion}, height=1)
