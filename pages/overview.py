"""What is here, what is worth opening first, and how faithful is it?"""

import streamlit as st

from app.draw import html
from app.overview import cards, measures, tables
from app.shell import address, building, chosen, foot, resources, script, widgets

VIEWS = {
    "gallery": "Worth opening",
    "models": "All models",
    "paper": "Beside the paper",
    "figures": "Figures of one model",
}

explorer = resources.explorer()
models = explorer.models()
built = models[models["built"] != ""]
usual = chosen.usual_model(built[built["codebooks"] > 0])
view = address.choice("view", list(VIEWS), "figures" if "model" in address.parameters() else "gallery")
lead = "See, search, test and steer the discrete codes inside neural networks."
widgets.draw(html.page_title("Overview", lead), measures.introduction(usual))
st.segmented_control(
    "View",
    list(VIEWS),
    format_func=VIEWS.__getitem__,
    required=True,
    label_visibility="collapsed",
    **address.bound("view", view, "gallery", clears=["model"]),
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
if view == "figures" and "model" in address.parameters():
    again.append(f"show({script.asked('facts', model=address.text('model'))})")
foot.offer(downloads, again)
