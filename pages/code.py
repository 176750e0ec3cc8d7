"""Everything about one code: where it fires, on what, beside which others, what it does, and what people say of it."""

import streamlit as st

from app import items
from app.code import codes, people
from app.draw import html
from app.draw.tables import row
from app.shell import chosen, resources, widgets
from app.shell.names import Names
from app.shell.pages import end

explorer = resources.explorer()
models = explorer.models()
model = chosen.model(models)
chosen.open_first_look(explorer, model, code=True)
codebooks = explorer.codebooks(model)
ref = chosen.code(model, codebooks)
names, view, about = Names(explorer, model), items.view_of(models, model), row(models, "model", model)
if ref is None:
    site = chosen.site(codebooks)
    widgets.draw(html.page_title("Code", "Choose one, or find one by what it fires on."))
    widgets.code_picker(codebooks, None)
    widgets.section(f"Most used codes of {site}")
    most = explorer.codes(model, site).nlargest(120, "count")
    widgets.draw(view.codes(explorer, model, site, most[most["count"] > 0], names))
    end()

stats = explorer.code(ref)
left, right = st.columns([3, 2], vertical_alignment="bottom")
with left:
    widgets.draw(
        codes.heading(ref, explorer.people.newest_labels(model).get(ref, "")), codes.actions(explorer, ref, about, view)
    )
with right:
    widgets.code_picker(codebooks, ref)
widgets.draw(widgets.code_card(stats, view.symbols))
if stats.count == 0:
    text = (
        "it fires nowhere in this build, so there is nothing to show. j and k lead to the next and previous live code."
    )
    widgets.empty("This code is dead:", text)
    end()

people.described(explorer, ref)
view.code_page(explorer, stats, about, names)
