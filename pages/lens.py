"""Which codes fire where in a text of one's own, or in an item of the build, and what was the runner-up?"""

import streamlit as st

from app.components.token_strip import token_strip
from app.draw import html
from app.draw.tables import row
from app.lens import lens
from app.shell import resources, state, widgets

explorer = resources.explorer()
models = explorer.models()
model = state.model(models)
codebooks = explorer.codebooks(model)
labels = explorer.people.newest_labels(model)
site = state.site(codebooks)
item = state.integer("item", -1, 0, 10**9)
about = row(models, "model", model)
if about.kind == "image":  # its lens is the token map over the picture
    place = state.integer("place", -1, 0, 10**9)
    shown = {"item": item if item >= 0 else None, "cell": place if place >= 0 else None}
    state.go("image_tokens", model=model, site=site, **shown)
ways = {"text": "Your text", "item": "Item of the build"}
if not lens.reads_text(about):
    del ways["text"]
way = state.choice("way", list(ways), "item" if item >= 0 or "text" not in ways else "text")

left, right = st.columns([4, 1], vertical_alignment="bottom")
with left:
    widgets.draw(html.page_title("Lens", "Which codes fire where, and what was the runner-up?"))
with right:
    st.segmented_control(
        "Source",
        list(ways),
        format_func=ways.__getitem__,
        required=True,
        label_visibility="collapsed",
        **state.bound("way", way, clears=["item", "place"]),
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
        state.say_not_in_address("text", text, lens.MAX_LINK)
    with second:
        st.selectbox("Coloured by", list(codebooks["site"]), **state.bound("site", site))
    if text.strip():
        view = lens.of_text(explorer, model, text)
        again.append(f"explorer.live({model!r}).lens({text!r})")
    else:
        widgets.empty(
            "Write or paste a text.",
            "The model reads it where this app runs; nothing is stored.",
        )
else:
    first, second = st.columns([4, 1], vertical_alignment="bottom")
    with first:
        last = max(0, int(row(models, "model", model).items) - 1)
        st.number_input(
            f"Item, 0 to {last:,}", 0, last, **state.bound("item", min(max(item, 0), last), clears=["place"])
        )
    with second:
        st.selectbox("Coloured by", list(codebooks["site"]), **state.bound("site", site))
    view = lens.of_item(explorer, model, min(max(item, 0), last))

if view is not None:
    place = state.integer("place", len(view.tokens) - 1, 0, 10**7)
    place = min(place, len(view.tokens) - 1)
    code = state.integer("code", -1, 0, 10**9)
    note = "coloured by score" if code < 0 else f"coloured where code {code} fires"
    widgets.section(
        f"{len(view.tokens):,} tokens through {site}",
        f"{note}; the number is the best code; point at a token for all, click to choose it",
    )
    picked = token_strip(
        lens.strip(view, site, labels, model, code),
        key=f"strip-{model}",
        selected=place,
        alt="the tokens of the text with their codes",
        hint="Point at a token.",
    )
    if picked is not None and picked != place:
        state.write(place=picked)
        place = picked
    shown = view.tokens[place]
    first, second = st.columns([3, 2], gap="medium")
    with first:
        widgets.section(
            f"Position {place}", f"token {html.visible_text(shown.text)!s} {html.labels_text(shown.labels)}"
        )
        widgets.draw(lens.position_table(view, place, model, labels, site))
    with second:
        if view.next is not None and place == len(view.tokens) - 1:
            widgets.section("Next token", "probability after the whole text")
            widgets.draw(lens.next_table(view.next))
        else:
            widgets.section("Codes of this text", f"of {site}, most frequent first")
            widgets.draw(lens.usage_chips(view, site, model, labels))
widgets.footer(explorer, {"codes": lens.long_table(view)} if view is not None else None, again)
