"""The page list and the navigation, nothing else. `python -m app` starts it; `streamlit run app/main.py` works too."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from app.shell import resources, state, widgets  # noqa: E402  (the path above has to come first)

PAGES = {  # page -> (title, the question it answers); a page whose file is not there is left out
    "overview": ("Overview", "Which models are here, how faithful are they, and what was precomputed?"),
    "codebooks": ("Codebooks", "How is a codebook used?"),
    "code": ("Code", "Everything about one code."),
    "search": ("Search", "Which codes fire on this pattern?"),
    "concepts": ("Concepts", "Which code stands for each concept?"),
    "lens": ("Lens", "Which codes fire where in my own text?"),
    "states": ("States", "Which codes stand for which state, and can the model be made to believe another?"),
    "steer": ("Steer", "What does the model write when its codes are changed?"),
    "image_tokens": ("Image tokens", "Which code lies where in a picture, and what does changing it change?"),
    "compare": ("Compare", "What do several image tokenizers make of the same pictures?"),
    "lists": ("Lists", "What have people called the codes, and which do they keep together?"),
    "help": ("Help", "What do the figures mean, how is it used, and what was measured?"),
}

st.set_page_config(page_title="Codescope", layout="wide", initial_sidebar_state="collapsed")
here = {name: title for name, (title, _) in PAGES.items() if (ROOT / "pages" / f"{name}.py").is_file()}
files = {name: ROOT / "pages" / f"{name}.py" for name in here}
pages = [st.Page(files[name], title=title, url_path=name, help=PAGES[name][1]) for name, title in here.items()]
start = st.Page(files["overview"], title="Overview", url_path="start", default=True)  # the address without a page
page = st.navigation([start, *pages], position="hidden")
state.begin()
current = page.url_path or "overview"
widgets.header(current, here)
with widgets.guarded():
    page.run()
resources.warm_up()
