"""Follows links inside the app without loading it again, hears the keyboard, and explains words.

1. A click on `<a data-nav>` changes the address and tells Streamlit as the browser's own "back" would, so the history
   stays right. Links opened in another tab (Ctrl, middle button) are left to the browser.
2. A key without modifiers, pressed outside a text field, follows the link with that `data-key` (`j`, `k`, `s`).
3. `/` puts the cursor into the search box of the header; `?` opens a sheet with all keys and words.
4. A text area whose label says "at most N characters" takes the first N of a longer text and says so at once: a browser
   that has to lay out ten megabytes in one field stands still for minutes.
5. A word with `data-says` shows what it means while it is pointed at or focused.
"""

from __future__ import annotations

from app.components import component
from app.draw.glossary import GLOSSARY

KEYS = {
    "/": "search everything that has a name",
    "?": "this sheet",
    "j": "the next code that fires, on a code's page",
    "k": "the previous one",
    "s": "steer with the code, or with the edits that are shown",
    "o": "on a token map: open the code of the cell that is pointed at",
    "Ctrl+Z": "on Image tokens: take back the last change",
    "Esc": "close what is open",
}


def navigator() -> None:
    """Mount it, once a page."""
    words = sorted(GLOSSARY.items(), key=lambda pair: pair[0].lower())
    component("navigator")(key="navigator", height=1, data={"keys": list(KEYS.items()), "words": words})
    component("limits")(key="limits", height=1)
    component("terms")(key="terms", height=1)
