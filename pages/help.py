"""How to, what figures mean, keys, results, papers: the docs, as they stand in `app/docs/`."""

import streamlit as st

from app.help import docs
from app.shell import address

titles = docs.names()
name = address.choice("doc", list(titles), docs.FIRST)
menu, page = st.columns([1, 4], gap="large")
with menu:
    st.radio("Page", list(titles), format_func=titles.__getitem__, **address.bound("doc", name, docs.FIRST))
with page:
    for part in docs.parts(name):
        if part.picture is not None:
            st.image(part.picture, caption=part.text)
        elif part.text.strip():
            st.markdown(part.text)
