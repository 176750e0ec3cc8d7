"""Which code lies where in a picture, and what does changing it change?"""

import streamlit as st

from app import html, image_editor, image_source, resources, state, widgets
from app.tables import row

explorer = resources.explorer()
models = explorer.models()
models = models[models["kind"] == "image"]
model = state.model(models)
about = row(models, "model", model)
built = about.built != ""
live = explorer.live(model)
seed = int(explorer.facts(model)["seed"]) if built else 0

widgets.draw(html.page_title("Image tokens", "Which code lies where, and what does changing it change?"))
picture = image_source.choose(live, built, int(about.items), seed)
if picture is None:
    widgets.footer(explorer)
    st.stop()
image_editor.draw(image_editor.Editor(explorer, model, live, built, seed, picture))
