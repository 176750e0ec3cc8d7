"""The gallery's cards: one a model worth opening, with a sample of its codes, how faithful it is, and where to go first."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.draw.tables import Row
from app.overview.gallery import Badge, badge, gallery
from app.overview.samples import sample
from app.overview.views import Invitation, invitation
from app.shell import building, widgets
from backend.answers.meaning import FirstLook
from backend.explorer import Explorer
from backend.types import CodeRef

KEPT_SECONDS = 300
LEGEND = (
    "Coloured: where the code named below it fires, at random places of the held-out half; of pictures, each code in a colour "
    "of its own. In green: how faithful is the model with codes? Point at it for what was counted."
)


def draw(explorer: Explorer, models: pd.DataFrame) -> list[str]:
    """Draw the gallery; returns the models that have a card in it."""
    shown = gallery(models)
    if any(about.built for about in shown):
        widgets.draw(Markup('<p class="faint">{}</p>').format(LEGEND))
    with st.container(key="gallery"):
        for number, about in enumerate(shown):
            with st.container(key=f"card-{number}"), widgets.guarded():
                if about.built:
                    widgets.draw(built_card(explorer, about))
                else:
                    widgets.draw(heading(about), what(about))
                    building.offer(str(about.model))
    return [str(about.model) for about in shown]


def built_card(explorer: Explorer, about: Row) -> Markup:
    """Return the card of a model that can be opened."""
    model = str(about.model)
    look = explorer.first_look(model)
    labels = explorer.people.newest_labels(model)
    return Markup("").join(
        [
            heading(about, badge(explorer.metrics(model))),
            what(about),
            Markup('<div class="sample">{}</div>').format(sample(explorer, about, look)),
            claim(look, CodeRef(model, look.site, look.code), labels.get(CodeRef(model, look.site, look.code), "")),
            actions(model, _invitation(str(explorer.data_dir), explorer.build(model), model, explorer, about, look)),
        ]
    )


@st.cache_data(max_entries=256, ttl=KEPT_SECONDS, show_spinner=False)
def _invitation(
    data_dir: str, build: str, model: str, _explorer: Explorer, _about: Row, _look: FirstLook
) -> Invitation | None:
    """Keep the invitation of a build for a while: it is made of pictures, and of the model card, which may change."""
    return invitation(_explorer, _about, _look)


def heading(about: Row, faithful: Badge | None = None) -> Markup:
    """Return a card's first line: the model's name, whose it is, how faithful it is."""
    name = html.link(html.address("codebooks", model=about.model), about.model) if about.built else about.model
    own = Markup('<span class="tag" title="of your data directory">yours</span>') if about.own else ""
    figure = (
        Markup('<span class="badge" tabindex="0" title="{}">{}</span>').format(faithful.definition, faithful.text)
        if faithful
        else ""
    )
    return Markup('<div class="card-head"><h3>{}</h3>{}{}</div>').format(name, own, figure)


def what(about: Row) -> Markup:
    """Return what the model is, in one line."""
    return Markup('<p class="what" title="{}">{}</p>').format(about.title, about.about or about.title)


def claim(look: FirstLook, ref: CodeRef, label: str) -> Markup:
    """Return the model's best code with what it stands for, how surely, and over how much that was counted."""
    shown = html.chip(ref, None, label)
    if not look.text:
        return Markup('<p class="claim">{} <span class="faint">fires {:,} times</span></p>').format(shown, look.n)
    held_out = ", held out" if look.kind == "label" else ""
    return Markup('<p class="claim">{} <b>{}</b> <span class="faint">{} of its {:,} firings{}</span></p>').format(
        shown, html.visible_label(look.text), html.share(look.precision), look.n, held_out
    )


def actions(model: str, first: Invitation | None) -> Markup:
    """Return where a card leads: its most persuasive view, then the usual ones."""
    begin = html.link(first.address, Markup("Try this: {}").format(first.title), "act try") if first else Markup("")
    others = [
        html.link(html.address("codebooks", model=model), "codebooks"),
        html.link(html.address("overview", model=model), "figures"),
    ]
    return Markup('<div class="actions">{}<span class="others">{}</span></div>').format(
        begin, Markup(" · ").join(others)
    )
