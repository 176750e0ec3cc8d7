"""Which codes fire on this pattern, and where do codes fire together, without each other or after each other?"""

from typing import cast

import pandas as pd
import streamlit as st

from app import items
from app.search import label_filter, queries, results, topics
from app.shell import address, chosen, examples, foot, resources, widgets
from app.shell.names import Names
from backend.answers.stored import Order
from backend.explorer import MAX_PATTERN

explorer = resources.explorer()
models = explorer.models()
model = chosen.model(models)
view = items.view_of(models, model)
names = Names(explorer, model)
sites = list(explorer.codebooks(model)["site"])
tables: dict[str, pd.DataFrame] = {}
modes = {"pattern": "By pattern", "codes": "By codes", "passage": "By passage", "covered": "By coverage"}
questions = {
    "pattern": "Which codes fire on this pattern?",
    "codes": "Where do these codes fire together?",
    "passage": "Which codes cover this passage?",
    "covered": "Which passages does this code cover?",
}
if not view.text:
    modes = {"pattern": "By label", "codes": "By codes"}
    questions["pattern"] = f"Which codes are chosen for {view.position}s with these labels?"
mode = address.choice("mode", list(modes), "pattern")
with widgets.titled("Search", questions[mode]):
    st.segmented_control(
        "Search",
        list(modes),
        format_func=modes.__getitem__,
        required=True,
        label_visibility="collapsed",
        **address.bound("mode", mode, "pattern"),
    )

if mode == "pattern":
    # an address that was written for a model of text still holds its pattern after a change of the model
    pattern = address.text("pattern", limit=10 * MAX_PATTERN) if view.text else ""
    fields = list(dict.fromkeys(explorer.all_labels(model)["field"]))
    first, second, third, fourth = st.columns([4, 1.2, 1.2, 1.2], vertical_alignment="bottom")
    with first:
        if not view.text:
            also = label_filter.also(explorer, model)
        else:
            st.text_input(
                f"Pattern (RE2, the first group names the token, at most {MAX_PATTERN} characters)",
                placeholder=r"e.g. 17 (42)",
                help="Press / anywhere to come here. The token at the start of group 1, or of the match, counts.",
                **address.bound("pattern", pattern),
            )
    with second:
        field = address.choice("field", ["", *fields], "")
        st.selectbox(
            "Label",
            ["", *fields],
            format_func=lambda f: f or "any",
            **address.bound("field", field, clears=["value"]),
        )
    with third:
        value = address.text("value", limit=200)
        values = list(explorer.all_labels(model, 200).query("field == @field")["value"]) if field else []
        shown = values if value in values or not value else [value, *values]
        st.selectbox(
            "Value",
            shown,
            index=None,
            disabled=not field,
            placeholder="of the label",
            **address.bound("value", value or None),
        )
    with fourth:
        order = address.choice("order", ["f1", "precision", "recall", "hits"], "f1")
        st.selectbox(
            "Best by",
            ["f1", "precision", "recall", "hits"],
            format_func=str.capitalize,
            **address.bound("order", order, "f1"),
        )
    first, second, third = st.columns([4, 1.2, 2.4], vertical_alignment="bottom")
    with first:
        chosen = address.many("site", sites)
        st.multiselect("Codebooks", sites, placeholder="all", **address.bound("site", chosen))
    with second:
        support = address.integer("support", 5, 1, 10**6)
        st.number_input("At least this many hits", 1, 10**6, **address.bound("support", support, 5))
    if view.text:
        with third:
            also = label_filter.also(explorer, model)
    if not pattern and not (field and value) and not also:
        widgets.empty(
            "Write a pattern or choose a label." if view.text else "Choose a label.",
            "Every code of every codebook is then compared with it, over the whole build.",
            examples.searches(explorer, model, view),
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
            show = address.integer("rows", 25, 1, 200)
            note = "intervals are Wilson's, 95 %; held out: measured on the half of the items kept for testing"
            widgets.section(f"Best codes by {order.upper() if order == 'f1' else order}", note)
            for site, some in result.codes.head(show).groupby("site", sort=False) if view.gallery else ():
                widgets.draw(view.codes(explorer, model, str(site), some, names))
            widgets.draw(results.search_table(result, names, show))
            if show < len(result.codes):
                st.button(f"Show all {len(result.codes)}", on_click=address.write, kwargs={"rows": len(result.codes)})
        else:
            widgets.empty(
                "No code fires there often enough.",
                f"{result.matches:,} positions match. Lower the number of hits, or make the pattern wider.",
            )
        tables["codes"] = result.codes
elif mode == "passage":
    tables = topics.draw_passage(explorer, model, names)
elif mode == "covered":
    tables = topics.draw_covered(explorer, model, names)
else:
    query = address.text("query", limit=2000)
    st.text_input(
        "Pattern of codes: SITE:CODE joined by and, not, thenN",
        placeholder=f"{sites[0]}:4 and {sites[-1]}:7 not {sites[-1]}:9 then5 {sites[0]}:8",
        **address.bound("query", query),
    )
    n, around = address.integer("n", 20, 1, 200), address.integer("context", 20, 0, 100)
    if not query.strip():
        widgets.empty(
            "Write a query of codes.",
            "The first code sets the positions; and, not and thenN keep some of them. Counts are exact.",
            examples.queries(explorer, model),
        )
    else:
        clauses = queries.parse(query)
        answer = explorer.query(model, clauses, n=n, context=around)
        widgets.draw(results.query_summary(answer), widgets.clause_chips(clauses, model, names))
        widgets.section("Where", f"{len(answer.examples)} of {answer.count:,} positions, chosen at random with seed 0")
        if not answer.examples:
            widgets.empty("Nowhere.", "No position satisfies all steps; take one out.")
        else:
            widgets.draw(view.places(explorer, model, clauses[0].site, answer.examples))
        tables["steps"] = answer.steps
foot.offer(tables)
