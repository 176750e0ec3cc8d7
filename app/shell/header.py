"""The bar at the top: the search box, the model's picker, and the pages with the model in their addresses."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.components.finder import Hit, finder
from app.components.navigator import navigator
from app.draw import html
from app.shell import address, chosen, resources, session
from app.shell.landing import landing
from app.shell.pages import Page
from app.shell.trace import aside
from app.shell.widgets import STYLE, guarded
from backend.errors import CodescopeError

MOST = 12  # lines below the search box


def draw(page: Page, pages: Sequence[Page]) -> None:
    """Draw the bar.

    Args:
        page: the page that is open.
        pages: all that are here.
    """
    st.html(STYLE)
    with st.container(key="behind", gap=None):
        navigator()
    with aside():
        models = resources.explorer().models()
    with st.container(key="head", horizontal=True, vertical_alignment="center", gap="small"):
        brand = html.link(html.address(""), "Codescope", "brand")
        st.html(str(Markup('<div class="cs-brand">{}</div>').format(brand)), width="content")
        with st.container(key="search", width=400):
            _search_box()
        if page.one_model:
            with st.container(key="picker", width=250), guarded():
                _picker(page, models)
    links = [_link(one, one is page, models) for one in pages]
    keys = Markup('<button type="button" class="keys" data-sheet="1" title="keys and words">?</button>')
    st.html(str(Markup('<nav class="cs-nav" aria-label="Pages">{}{}</nav>').format(Markup("").join(links), keys)))


def _link(page: Page, here: bool, models: pd.DataFrame) -> Markup:
    """One page of the navigation; its address has the model at hand where the page can show that."""
    model = chosen.model_hint() if page.one_model else ""
    fits = model in set(models["model"]) and not page.lacks(models, model)
    where = html.address("" if page.name == "overview" else page.name, model=model if fits else None)
    return html.link(where, page.title, "here" if here else "", page.question)


def _picker(page: Page, models: pd.DataFrame) -> None:
    fitting = page.fitting(models)
    if not fitting:
        return
    try:
        current = chosen.model(models, pin=False)
    except chosen.DoesNotFit as error:
        current = error.model  # what the page says of it is below; another one is chosen here
    except CodescopeError:
        return  # the page itself says what is wrong with the address
    options = fitting if current in fitting else [current, *fitting]
    others = [name for name in address.parameters() if name not in ("model", *page.keeps)]
    st.selectbox("Model", options, label_visibility="collapsed", **address.bound("model", current, clears=others))


# ---- the search box


@st.fragment
def _search_box() -> None:
    text = str(session.triggered("finder", "written") or "")
    with guarded():
        finder(text, *hits(text), key="finder")


def hits(text: str) -> tuple[list[Hit], int]:
    """Return what has that name, each with the page that it leads to; and how many models are still to be looked into."""
    if not text:
        return [], 0
    rows = resources.shared_explorer().find(text, MOST, waits=False)
    return [_hit(row) for row in rows.to_dict("records")], int(rows.attrs["waiting"])


def _hit(row: Mapping[Hashable, Any]) -> Hit:
    page, parameters = landing(row)
    whose = [] if row["kind"] == "model" else [str(row["model"])]  # equal names of several models must be told apart
    detail = " · ".join([*whose, str(row["detail"])])
    return Hit(
        str(row["kind"]),
        html.visible_label(str(row["title"])),
        html.visible_label(detail),
        html.address(page, **parameters),
    )
