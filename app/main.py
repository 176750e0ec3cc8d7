"""The pages, and what happens around every one of them. `python -m app` starts it; `streamlit run app/main.py` works too."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from app.images.image_source import KEEPS  # noqa: E402
from app.shell import foot, header, names, resources, trace, widgets  # noqa: E402  (the path above has to come first)
from app.shell.pages import Ended, Page  # noqa: E402

PAGES = (  # a new page is a file in pages/ and a line here
    Page("overview", "Overview", "What is here, and what is worth opening first?", one_model=False),
    Page("codebooks", "Codebooks", "How is a codebook used?"),
    Page("code", "Code", "Everything about one code."),
    Page("search", "Search", "Which codes fire on this pattern?"),
    Page("concepts", "Concepts", "Which code stands for each concept?"),
    Page("lens", "Lens", "Which codes fire where in my own text?"),
    Page("states", "States", "Which codes stand for which state, and can the model be made to believe another?", ("states",)),
    Page("steer", "Steer", "What does the model write when its codes are changed?", ("steer", "generate")),
    Page("image_tokens", "Image tokens", "Which code lies where in a picture, and what does changing it change?",
         item="image", keeps=KEEPS),
    Page("compare", "Compare", "What do several image tokenizers make of the same pictures?", item="image", one_model=False),
    Page("lists", "Lists", "What have people called the codes, and which do they keep together?", one_model=False),
    Page("help", "Help", "What do the figures mean, how is it used, and what was measured?", one_model=False),
)  # fmt: skip


def run(pages: Sequence[Page] = PAGES) -> None:
    """Run the page of the address: header, page, foot. A page whose file is not there is left out."""
    st.set_page_config(page_title="Codescope", layout="wide", initial_sidebar_state="collapsed")
    here = {page.name: page for page in pages if page.path.is_file()}
    entries = [st.Page(page.path, title=page.title, url_path=name, help=page.question) for name, page in here.items()]
    first = next(iter(here.values()))
    start = st.Page(first.path, title=first.title, url_path="start", default=True)  # the address without a page
    entry = st.navigation([start, *entries], position="hidden")
    page = here.get(entry.url_path, first)
    trace.begin(page)
    header.draw(page, list(here.values()))
    with widgets.guarded():
        try:
            entry.run()
        except Ended:
            pass
    foot.draw()
    names.deliver()
    resources.warm_up()


if __name__ == "__main__":
    run()
