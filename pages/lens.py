"""Which codes fire where in a text of one's own, or in an item of the build, and what was the runner-up?"""

import streamlit as st

from app import items
from app.components.token_strip import token_strip
from app.draw import html
from app.draw.tables import row
from app.lens import lens
from app.shell import address, chosen, examples, foot, resources, widgets
from app.shell.names import Names

explorer = resources.explorer()
models = explorer.models()
model = chosen.model(models)
view_of_items = items.view_of(models, model)
item = address.integer("item", -1, 0, 10**9)
if view_of_items.page != "lens":  # e.g. the token map over a picture
    place = address.integer("place", -1, 0, 10**9)
    place_there = {view_of_items.place: place if place >= 0 else None}
    address.go(
        view_of_items.page, model=model, item=item if item >= 0 else None, **place_there, site=address.text("site")
    )
chosen.open_first_look(explorer, model)
codebooks = explorer.codebooks(model)
names = Names(explorer, model)
site = chosen.site(codebooks)
about = row(models, "model", model)
ways = {"text": "Your text", "item": "Item of the build"}
if not lens.reads_text(about):
    del ways["text"]
way = address.choice("way", list(ways), "item" if item >= 0 or "text" not in ways else "text")

with widgets.titled("Lens", "Which codes fire where, and what was the runner-up?"):
    st.segmented_control(
        "Source",
        list(ways),
        format_func=ways.__getitem__,
        required=True,
        label_visibility="collapsed",
        **address.bound("way", way, clears=["item", "place"]),
    )
view, again = None, []
if way == "text":
    text = lens.own_text()
    first, second = st.columns([4, 1], vertical_alignment="bottom")
    with first:
        st.text_area(
            f"Text (at most {lens.MAX_TEXT:,} characters, and what fits the model's context)",
            height=90,
            placeholder=lens.placeholder(explorer, model),
            **lens.bound_text(text),
        )
        address.say_not_in_address("text", text, lens.MAX_LINK)
    with second:
        st.selectbox("Coloured by", list(codebooks["site"]), **address.bound("site", site))
    if text.strip():
        view = lens.of_text(explorer, model, text)
        again = lens.python_of_text(model, text, site)
    else:
        widgets.empty(
            "Write or paste a text.",
            "The model reads it where this app runs; nothing is stored.",
            examples.texts(explorer, model),
        )
else:
    first, second = st.columns([4, 1], vertical_alignment="bottom")
    with first:
        last = max(0, int(about.items) - 1)
        st.number_input(
            f"Item, 0 to {last:,}", 0, last, **address.bound("item", min(max(item, 0), last), clears=["place"])
        )
    with second:
        st.selectbox("Coloured by", list(codebooks["site"]), **address.bound("site", site))
    view = lens.of_item(explorer, model, min(max(item, 0), last))
    again = lens.python_of_item(model, min(max(item, 0), last), site)

if view is not None:
    place = address.integer("place", len(view.tokens) - 1, 0, 10**7)
    place = min(place, len(view.tokens) - 1)
    code = address.integer("code", -1, 0, 10**9)
    note = "coloured by score" if code < 0 else f"coloured where code {code} fires"
    widgets.section(
        f"{len(view.tokens):,} {view_of_items.position}s through {site}",
        f"{note}; the number is the best code; point at a {view_of_items.position} for all, click to choose it",
    )
    picked = token_strip(
        lens.strip(view, site, names, model, code),
        key=f"strip-{model}",
        selected=place,
        alt=f"the {view_of_items.position}s of the item with their codes",
        hint=f"Point at a {view_of_items.position}.",
    )
    if picked is not None and picked != place:
        address.write(place=picked)
        place = picked
    shown = view.tokens[place]
    first, second = st.columns([3, 2], gap="medium")
    with first:
        widgets.section(
            f"Position {place}",
            f"{view_of_items.position} {html.visible_text(shown.text)!s} {html.labels_text(shown.labels)}",
        )
        widgets.draw(lens.position_table(view, place, model, names, site))
    with second:
        if view.next is not None and place == len(view.tokens) - 1:
            widgets.section("Next token", "probability after the whole text")
            widgets.draw(lens.next_table(view.next))
        else:
            widgets.section("Codes of this item", f"of {site}, most frequent first")
            widgets.draw(lens.usage_chips(view, site, model, names))
foot.offer({"codes": lens.long_table(view)} if view is not None else None, again)
