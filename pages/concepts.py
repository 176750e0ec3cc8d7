"""Which code stands for each concept? Every label value of the build with its best code, tested on the held-out half."""

import streamlit as st

from app import items
from app.draw import html
from app.search import concepts
from app.shell import address, chosen, examples, foot, resources, widgets
from app.shell.names import Names
from app.shell.pages import end
from app.steer import measured

explorer = resources.explorer()
models = explorer.models()
model = chosen.model(models)
fields = list(dict.fromkeys(explorer.all_labels(model)["field"]))
names = Names(explorer, model)
widgets.draw(html.page_title("Concepts", "Which code stands for each concept?"))
if not fields:
    searches = examples.searches(explorer, model, items.view_of(models, model))
    text = "Search for a pattern instead: a regular expression is a concept too."
    widgets.empty("This build has no labels.", text, searches)
    end()

first, second, third, fourth, fifth = st.columns([1.4, 1.4, 1.2, 1.6, 1.6], vertical_alignment="bottom")
field = address.choice("field", ["", *fields], "")
every = "all tags" if all(name.startswith("item:") for name in fields) else "all labels"
order = address.choice("order", list(concepts.ORDERS), "f1")
support = address.integer("support", 20, 1, 10**6)
neurons = address.flag("neurons")
with first:
    st.selectbox("Labels", ["", *fields], format_func=lambda f: f or every, **address.bound("field", field))
with second:
    st.selectbox(
        "Sorted by",
        list(concepts.ORDERS),
        format_func=concepts.ORDERS.__getitem__,
        **address.bound("order", order, "f1"),
    )
with third:
    st.number_input("Positions on each half, at least", 1, 10**6, **address.bound("support", support, 20))
with fourth:
    st.toggle(
        "Compare with neurons",
        help="For every concept the best single neuron at the code's recall. Takes seconds the first time.",
        **address.bound("neurons", neurons, False),
    )
with fifth:
    words = address.text("find", limit=100)
    st.text_input("Filter", placeholder="part of a name", **address.bound("find", words))
with st.spinner("Comparing every code with every label ..."):
    found = explorer.concepts(model, field=field or None, min_support=support, neurons=neurons)
if words:
    named = found["field"] + " = " + found["value"]
    found = found[named.str.contains(words, case=False, regex=False)]
found = concepts.ordered(found, order)
widgets.draw(concepts.summary(found, support))
show = address.integer("rows", 100, 1, 5000)
if len(found):
    widgets.section(
        "The best code of each",
        "chosen on one half of the items by F1, measured on the other, with Wilson's 95 % intervals; chance: share of all "
        "positions; control: mean and range of other codes of the codebook that fire as often and not together with it"
        + ("; neuron: chosen and measured on the same positions of both halves, which favours it" if neurons else ""),
    )
    steer = measured.from_concepts(explorer, models, model)
    widgets.draw(concepts.concept_table(found.head(show), model, names, steer))
    if show < len(found):
        st.button(f"Show all {len(found):,}", on_click=address.write, kwargs={"rows": len(found)})
else:
    widgets.empty("No concept is frequent enough.", "Lower the number of positions, or take out the filter.")
again = concepts.python(model, field, support, neurons, words, order, show)
foot.offer({"concepts": found}, again)
