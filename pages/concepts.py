"""Which code stands for each concept? Every label value of the build with its best code, tested on the held-out half."""

import streamlit as st

from app.draw import html
from app.search import concepts
from app.shell import resources, state, widgets
from app.steer import measured

explorer = resources.explorer()
model = state.model(explorer.models())
fields = list(explorer.label_fields(model)["field"])
labels = explorer.people.newest_labels(model)
widgets.draw(html.page_title("Concepts", "Which code stands for each concept?"))
if not fields:
    widgets.empty("This build has no labels.", "Search for a pattern instead: a regular expression is a concept too.")
    widgets.footer(explorer)
    st.stop()

first, second, third, fourth, fifth = st.columns([1.4, 1.4, 1.2, 1.6, 1.6], vertical_alignment="bottom")
field = state.choice("field", ["", *fields], "")
order = state.choice("order", list(concepts.ORDERS), "f1")
support = state.integer("support", 20, 1, 10**6)
neurons = state.flag("neurons")
with first:
    st.selectbox("Labels", ["", *fields], format_func=lambda f: f or "all fields", **state.bound("field", field))
with second:
    st.selectbox(
        "Sorted by", list(concepts.ORDERS), format_func=concepts.ORDERS.__getitem__, **state.bound("order", order, "f1")
    )
with third:
    st.number_input("Positions on each half, at least", 1, 10**6, **state.bound("support", support, 20))
with fourth:
    st.toggle(
        "Compare with neurons",
        help="For every concept the best single neuron at the code's recall. Takes seconds the first time.",
        **state.bound("neurons", neurons, False),
    )
with fifth:
    words = state.text("find", limit=100)
    st.text_input("Filter", placeholder="part of a name", **state.bound("find", words))
with st.spinner("Comparing every code with every label ..."):
    found = explorer.concepts(model, field=field or None, min_support=support, neurons=neurons)
if words:
    named = found["field"] + " = " + found["value"]
    found = found[named.str.contains(words, case=False, regex=False)]
found = concepts.ordered(found, order)
widgets.draw(concepts.summary(found, support))
if len(found):
    show = state.integer("rows", 100, 1, 5000)
    widgets.section(
        "The best code of each",
        "chosen on one half of the items by F1, measured on the other, with Wilson's 95 % intervals; chance: share of all "
        "positions; control: the code of the same codebook that fires most nearly as often"
        + ("; neuron: chosen and measured on the same positions of both halves, which favours it" if neurons else ""),
    )
    steer = measured.from_concepts(explorer, explorer.models(), model)
    widgets.draw(concepts.concept_table(found.head(show), model, labels, steer))
    if show < len(found):
        st.button(f"Show all {len(found):,}", on_click=state.write, kwargs={"rows": len(found)})
else:
    widgets.empty("No concept is frequent enough.", "Lower the number of positions, or take out the filter.")
widgets.footer(explorer, {"concepts": found})
