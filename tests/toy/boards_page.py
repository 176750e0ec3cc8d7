"""A toy page: how many of a model's boards each side leads."""

import streamlit as st

from app.shell import chosen, foot, resources, widgets

explorer = resources.explorer()
model = chosen.model(explorer.models())
tags = explorer.tag_fields(model)
with widgets.titled("Boards", "Who leads?"):
    st.button("Deal again")
widgets.draw(", ".join(f"{row.value}: {row.items}" for row in tags.itertuples()))
foot.offer({"tags": tags})
