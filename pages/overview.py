"""Which models and builds are here, how faithful are they, and what was precomputed when?"""

import streamlit as st

from app.draw import html
from app.overview import measures
from app.shell import resources, script, state, widgets

explorer = resources.explorer()
models = explorer.models()
lead = "See, search, test and steer the discrete codes inside neural networks."
built = models[models["built"] != ""]
coded = built[built["codebooks"] > 0]
usual = state.usual_model(coded)
widgets.draw(html.page_title("Overview", lead), measures.introduction(usual))


@st.fragment(run_every="2s")
def progress() -> None:
    """What is being built now; looked at again every two seconds, and the page once more when one is done."""
    entries = resources.builds_under_way()
    widgets.draw(measures.builds([entry for entry in entries if entry.get("state") != "done"]))
    for name in [str(entry["model"]) for entry in entries if entry.get("state") == "failed"]:
        st.button(f"Try {name} again", key=f"again-{name}", on_click=resources.build_again, args=[name])
    done = [str(entry["model"]) for entry in entries if entry.get("state") == "done"]
    if state.changed("builds.done", done):
        st.rerun()


if any(entry.get("state") != "done" for entry in resources.builds_under_way()):
    progress()

tables, again = {"models": models}, ["show(explorer.models())"]
if built.empty:
    text = "Run python -m backend build MODEL, or wait for the builds above to finish; this page then lists them."
    widgets.empty("No model is built yet.", text)
else:
    metrics = {str(name): explorer.metrics(str(name)) for name in built["model"]}
    widgets.section("Models", f"{len(built)} built of {len(models)} known; every count is over the whole build")
    widgets.draw(measures.model_table(models, metrics))

    for name, record in explorer.comparisons().items():
        if record["rows"] and any(row["paper"] for row in record["rows"]):
            widgets.section(f"Beside the paper: {name}", measures.comparison_note(record))
            widgets.draw(measures.comparison_table(record))

    names = list(metrics)
    chosen = state.choice("model", names, usual or names[0])
    left, right = st.columns([5, 1.2], vertical_alignment="bottom")
    with left:
        note = "measured by this project; the figures of papers are of other models and stand apart"
        widgets.section(f"How faithful is {chosen}?", note)
    with right:
        st.selectbox("Details of", names, label_visibility="collapsed", **state.bound("model", chosen))
    left, right = st.columns([5, 2], gap="medium")
    with left:
        if len(metrics[chosen]):
            widgets.draw(measures.metric_table(metrics[chosen], measures.published(explorer, chosen)))
        else:
            widgets.empty("Nothing was measured yet.", f"Run: python -m backend evaluate {chosen}")
    with right:
        widgets.section("The build", "what was precomputed, from what, and when")
        has_codes = int(models.loc[models["model"] == chosen, "codebooks"].iloc[0]) > 0
        widgets.draw(measures.fact_table(explorer.facts(chosen)), measures.ways(chosen) if has_codes else "")
    tables["metrics"] = metrics[chosen]
    again.append(f"show({script.asked('facts', model=chosen)})")
widgets.footer(explorer, tables, again)
