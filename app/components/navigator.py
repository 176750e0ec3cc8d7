"""Follows links inside the app without loading it again, and the keyboard.

1. A click on `<a data-nav>` changes the address and tells Streamlit as the browser's own "back" would, so the history
   stays right. Links opened in another tab (Ctrl, middle button) are left to the browser.
2. A key without modifiers, pressed outside a text field, follows the link with that `data-key` (`j`, `k`, `s`).
3. `/` puts the cursor into the pattern field, or opens the page that has one.
"""

from __future__ import annotations

import streamlit as st

_JS = """
export default function (component) {
  const follow = (href) => {
    history.pushState(null, "", href);
    window.dispatchEvent(new PopStateEvent("popstate", { state: null }));
  };
  const clicked = (event) => {
    const link = event.target.closest && event.target.closest("a[data-nav]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (link.origin === location.origin) follow(link.href);
  };
  const field = () => document.querySelector('input[aria-label^="Pattern"]');
  const focusSoon = (tries) => {
    const found = field();
    if (found) { found.focus(); found.select(); }
    else if (tries > 0) setTimeout(() => focusSoon(tries - 1), 100);
  };
  const pressed = (event) => {
    const at = event.composedPath()[0];
    const typing = at && at.tagName && (/^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.isContentEditable);
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      event.preventDefault();
      if (!field()) { const link = document.querySelector('a[data-key="/"]'); if (link) follow(link.href); }
      focusSoon(30);
      return;
    }
    if (!/^[a-z]$/.test(event.key)) return;
    const link = document.querySelector('a[data-key="' + event.key + '"]');
    if (link) { event.preventDefault(); follow(link.href); }
  };
  const opened = (event) => { const href = event.detail && event.detail.href; if (href) follow(href); };
  document.addEventListener("click", clicked, true);
  document.addEventListener("keydown", pressed, true);
  document.addEventListener("codescope-open", opened);
  document.documentElement.dataset.codescope = "ready";  // for tests: keys are heard from now on
  return () => {
    document.removeEventListener("click", clicked, true);
    document.removeEventListener("keydown", pressed, true);
    document.removeEventListener("codescope-open", opened);
  };
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> object:
    return st.components.v2.component("codescope.navigator", js=_JS)


def navigator() -> None:
    """Mount it, once a page."""
    _component()(key="navigator", height=1)  # type: ignore[operator]
