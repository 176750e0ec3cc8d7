"""Which models and builds are here, how faithful are they, and what was precomputed when?"""

import streamlit as st
from markupsafe import Markup

from app import html, measures, resources, state, widgets

explorer = resources.explorer()
models = explorer.models()
widgets.draw(
    html.page_title("Overview", "See, search, test and steer the discrete codes inside neural networks."),
)


@st.fragment(run_every="2s" if resources.builds_under_way() else None)
def progress() -> None:
    """What is being built now; looked at again every two seconds."""
    waiting = [entry for entry in resources.builds_under_way() if entry.get("state") != "done"]
    widgets.draw(measures.builds(waiting))
    if st.session_state.setdefault("builds.waiting", len(waiting)) != len(waiting):
        st.session_state["builds.waiting"] = len(waiting)
        st.rerun()


if resources.builds_under_way():
    progress()

built = models[models["built"] != ""]
if built.empty:
    widgets.empty(
        "No model is built yet.",
        "Run `python -m backend build MODEL`, or wait for the builds above to finish; this page then lists them.",
    )
else:
    metrics = {name: explorer.metrics(name) for name in built["model"]}
    widgets.section("Models", f"{len(built)} built of {len(models)} known · every count is over the whole build")
    widgets.draw(measures.model_table(models, metrics))

    chosen = state.choice("model", list(built["model"]), state.model(models))
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    with right:
        st.selectbox("Details of", list(built["model"]), **state.bound("model", chosen))
    with left:
        widgets.section(
            f"How faithful is {chosen}?",
            "measured by this project; the paper's own figures stand apart and are never mixed in",
        )
    widgets.draw(
        measures.metric_table(metrics[chosen], measures.published(explorer, chosen))
        if len(metrics[chosen])
        else html.empty("Nothing was measured yet.", f"Run `python -m backend evaluate {chosen}`.")
    )
    widgets.section("The build", "what was precomputed, from what, and when")
    widgets.draw(measures.fact_table(explorer.facts(chosen)))
    ways = [
        html.link(html.address("codebooks", model=chosen), "Codebooks", "act"),
        html.link(html.address("search", model=chosen), "Search", "act"),
        html.link(html.address("lens", model=chosen), "Lens", "act"),
    ]
    widgets.draw(Markup('<div class="actions">{}</div>').format(Markup("").join(ways)))
    widgets.footer(explorer, {"models": models, "metrics": metrics[chosen]})
