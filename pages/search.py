"""Which codes fire on this pattern, and where do codes fire together, without each other or after each other?"""

from typing import cast

import pandas as pd
import streamlit as st

from app import html, queries, resources, results, state, widgets
from backend.answers import Order
from backend.explorer import MAX_PATTERN

explorer = resources.explorer()
model = state.model(explorer.models())
labels = explorer.people.newest_labels(model)
sites = list(explorer.codebooks(model)["site"])
tables: dict[str, pd.DataFrame] = {}
modes = {"pattern": "By pattern", "codes": "By codes"}
mode = state.choice("mode", list(modes), "pattern")
left, right = st.columns([4, 1], vertical_alignment="bottom")
with left:
    widgets.draw(
        html.page_title(
            "Search",
            "Which codes fire on this pattern?" if mode == "pattern" else "Where do these codes fire together?",
        )
    )
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
    fields = explorer.label_fields(model)
    first, second, third, fourth = st.columns([4, 1.2, 1.2, 1.2], vertical_alignment="bottom")
    with first:
        st.text_input(
            f"Pattern (RE2, the first group names the token, at most {MAX_PATTERN} characters)",
            placeholder=r"e.g. 17 (42)",
            help="Press / anywhere to come here. The token at the start of group 1, or of the match, counts.",
            **state.bound("pattern", pattern),
        )
    with second:
        field = state.choice("field", ["", *fields["field"]], "")
        st.selectbox(
            "Label",
            ["", *fields["field"]],
            format_func=lambda f: f or "any",
            **state.bound("field", field, clears=["value"]),
        )
    with third:
        value = state.text("value", limit=200)
        values = list(explorer.label_values(model, field)["value"]) if field else []
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
    if not pattern and not (field and value):
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
            field=field or None,
            value=value or None if field else None,
            order=cast(Order, order),
        )
        widgets.draw(results.search_summary(result))
        if len(result.codes):
            show = state.integer("rows", 25, 1, 200)
            note = "intervals are Wilson's, 95 %; held out: measured on the half of the items kept for testing"
            widgets.section(f"Best codes by {order.upper() if order == 'f1' else order}", note)
            widgets.draw(results.search_table(result, labels, show))
            if show < len(result.codes):
                st.button(f"Show all {len(result.codes)}", on_click=state.write, kwargs={"rows": len(result.codes)})
        else:
            widgets.empty(
                "No code fires there often enough.",
                f"{result.matches:,} positions match. Lower the number of hits, or make the pattern wider.",
            )
        tables["codes"] = result.codes
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
        widgets.draw(
            widgets.context_list(answer.examples, model)
            if answer.examples
            else html.empty("Nowhere.", "No position satisfies all steps; take one out.")
        )
        tables["steps"] = answer.steps
widgets.footer(explorer, tables)
