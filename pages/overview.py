"""What is here, what is worth opening first, and how faithful is it?"""

import streamlit as st

from app.draw import html
from app.overview import cards, measures, tables
from app.shell import building, foot, resources, script, state, widgets

VIEWS = {
    "gallery": "Worth opening",
    "models": "All models",
    "paper": "Beside the paper",
    "figures": "Figures of one model",
}

explorer = resources.explorer()
models = explorer.models()
built = models[models["built"] != ""]
usual = state.usual_model(built[built["codebooks"] > 0])
view = state.choice("view", list(VIEWS), "figures" if "model" in state.parameters() else "gallery")
lead = "See, search, test and steer the discrete codes inside neural networks."
widgets.draw(html.page_title("Overview", lead), measures.introduction(usual))
st.segmented_control(
    "View",
    list(VIEWS),
    format_func=VIEWS.__getitem__,
    required=True,
    label_visibility="collapsed",
    **state.bound("view", view, "gallery", clears=["model"]),
)
building.line()
if view == "gallery":
    shown = cards.draw(explorer, models)
    tables.other_builds(shown)
    downloads = {"models": models}
elif view == "models":
    downloads = tables.all_models(explorer, models)
elif view == "paper":
    downloads = tables.beside_the_paper(explorer)
else:
    downloads = tables.figures(explorer, models, usual)
again = ["show(explorer.models())"]
if view == "figures" and "model" in state.parameters():
    again.append(f"show({script.asked('facts', model=state.text('model'))})")
foot.offer(downloads, again)
