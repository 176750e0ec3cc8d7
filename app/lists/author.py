"""Who signs: a person's name is asked for once in a session, and then remembered."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.shell import session, widgets


def author_field() -> None:
    """Draw the field for the name where it is not known yet; else the name and a way to change it."""
    name = session.author()
    if not name:
        st.text_input("Your name, asked once: it signs what you add", **session.author_widget())
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        signed = Markup('<span class="faint">You sign as</span> <b>{}</b>').format(html.visible_label(name))
        st.html(html.wrap(signed), width="content")
        with st.popover("Change"):
            st.text_input("Your name", **session.author_widget())


def author_line() -> None:
    """Draw the same inside a popover, which cannot hold another one: a known name is changed on the page of lists."""
    name = session.author()
    if not name:
        st.text_input("Your name, asked once: it signs what you add", **session.author_widget())
        return
    widgets.draw(
        Markup(
            '<p style="color-scheme:{};color:var(--faint)">You sign as <b>{}</b>; it is changed under {}.</p>'
        ).format(session.theme(), html.visible_label(name), html.link(html.address("lists"), "Lists"))
    )
