"""Which codes fire on this pattern, and where do codes fire together, without each other or after each other?"""

from typing import cast

import pandas as pd
import streamlit as st

from app.draw import html, patches
from app.draw.tables import row
from app.search import label_filter, queries, results, topics
from app.shell import resources, state, widgets
from backend.answers.stored import Order
from backend.explorer import MAX_PATTERN

explorer = resources.explorer()
models = explorer.models()
model = state.model(models)
of_images = row(models, "model", model).kind == "image"
labels = explorer.people.newest_labels(model)
sites = list(explorer.codebooks(model)["site"])
tables: dict[str, pd.DataFrame] = {}
modes = {"pattern": "By pattern", "codes": "By codes", "passage": "By passage", "covered": "By coverage"}
questions = {
    "pattern": "Which codes fire on this pattern?",
    "codes": "Where do these codes fire together?",
    "passage": "Which codes cover this passage?",
    "covered": "Which passages does this code cover?",
}
if of_images:
    modes = {"pattern": "By label", "codes": "By codes"}
    questions["pattern"] = "Which codes are chosen for cells with these labels?"
mode = state.choice("mode", list(modes), "pattern")
left, right = st.columns([3, 2], vertical_alignment="bottom")
with left:
    widgets.draw(html.page_title("Search", questions[mode]))
with right:
    st.segmented_control(
        "Search",
        list(modes),
        format_func=modes.__getitem__,
        required=True,
        label_visibility="collapsed",
        **state.bound("mode", mode, "pattern"),
    )

if mode == "pattern":
    pattern = state.text("pattern", limit=10 * MAX_PATTERN)
    fields = list(dict.fromkeys(explorer.all_labels(model)["field"]))
    first, second, third, fourth = st.columns([4, 1.2, 1.2, 1.2], vertical_alignment="bottom")
    with first:
        if of_images:
            also = label_filter.also(explorer, model)
        else:
            st.text_input(
                f"Pattern (RE2, the first group names the token, at most {MAX_PATTERN} characters)",
                placeholder=r"e.g. 17 (42)",
                help="Press / anywhere to come here. The token at the start of group 1, or of the match, counts.",
                **state.bound("pattern", pattern),
            )
    with second:
        field = state.choice("field", ["", *fields], "")
        st.selectbox(
            "Label",
            ["", *fields],
            format_func=lambda f: f or "any",
            **state.bound("field", field, clears=["value"]),
        )
    with third:
        value = state.text("value", limit=200)
        values = list(explorer.all_labels(model, 200).query("field == @field")["value"]) if field else []
        shown = values if value in values or not value else [value, *values]
        st.selectbox(
            "Value",
            shown,
            index=None,
            disabled=not field,
            placeholder="of the label",
            **state.bound("value", value or None),
        )
    with fourth:
        order = state.choice("order", ["f1", "precision", "recall", "hits"], "f1")
        st.selectbox(
            "Best by",
            ["f1", "precision", "recall", "hits"],
            format_func=str.capitalize,
            **state.bound("order", order, "f1"),
        )
    first, second, third = st.columns([4, 1.2, 2.4], vertical_alignment="bottom")
    with first:
        chosen = state.many("site", sites)
        st.multiselect("Codebooks", sites, placeholder="all", **state.bound("site", chosen))
    with second:
        support = state.integer("support", 5, 1, 10**6)
        st.number_input("At least this many hits", 1, 10**6, **state.bound("support", support, 5))
    if not of_images:
        with third:
            also = label_filter.also(explorer, model)
    if not pattern and not (field and value) and not also:
        widgets.empty(
            "Write a pattern or choose a label.",
            "Every code of every codebook is then compared with it, over the whole build.",
        )
    else:
        result = explorer.search(
            model,
            pattern,
            sites=chosen or None,
            min_support=support,
            field=field if field and value else None,
            value=value or None if field else None,
            also=also,
            order=cast(Order, order),
        )
        widgets.draw(results.search_summary(result))
        if len(result.codes):
            show = state.integer("rows", 25, 1, 200)
            note = "intervals are Wilson's, 95 %; held out: measured on the half of the items kept for testing"
            widgets.section(f"Best codes by {order.upper() if order == 'f1' else order}", note)
            for site, some in result.codes.head(show).groupby("site", sort=False) if of_images else ():
                typical = explorer.typical_patches(model, str(site), list(some["code"]))
                widgets.draw(patches.code_gallery(some, typical, labels))
            widgets.draw(results.search_table(result, labels, show))
            if show < len(result.codes):
                st.button(f"Show all {len(result.codes)}", on_click=state.write, kwargs={"rows": len(result.codes)})
        else:
            widgets.empty(
                "No code fires there often enough.",
                f"{result.matches:,} positions match. Lower the number of hits, or make the pattern wider.",
            )
        tables["codes"] = result.codes
elif mode == "passage":
    tables = topics.draw_passage(explorer, model, labels)
elif mode == "covered":
    tables = topics.draw_covered(explorer, model, labels)
else:
    query = state.text("query", limit=2000)
    st.text_input(
        "Pattern of codes: SITE:CODE joined by and, not, thenN",
        placeholder=f"{sites[0]}:4 and {sites[-1]}:7 not {sites[-1]}:9 then5 {sites[0]}:8",
        **state.bound("query", query),
    )
    n, around = state.integer("n", 20, 1, 200), state.integer("context", 20, 0, 100)
    if not query.strip():
        widgets.empty(
            "Write a query of codes.",
            "The first code sets the positions; and, not and thenN keep some of them. Counts are exact.",
        )
    else:
        clauses = queries.parse(query)
        answer = explorer.query(model, clauses, n=n, context=around)
        widgets.draw(results.query_summary(answer), widgets.clause_chips(clauses, model, labels))
        widgets.section("Where", f"{len(answer.examples)} of {answer.count:,} positions, chosen at random with seed 0")
        if not answer.examples:
            widgets.empty("Nowhere.", "No position satisfies all steps; take one out.")
        elif of_images:
            found = [example.pos for example in answer.examples]
            widgets.draw(patches.gallery(explorer.patches_at(model, clauses[0].site, found)))
        else:
            widgets.draw(widgets.context_list(answer.examples, model))
        tables["steps"] = answer.steps
widgets.footer(explorer, tables)
