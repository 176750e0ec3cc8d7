"""Which code lies where in a picture, and what does changing it change?"""

import streamlit as st

from app.draw import html
from app.draw.tables import row
from app.images import first_view, image_editor, image_source
from app.overview import measures
from app.shell import resources, state, widgets

explorer = resources.explorer()
models = explorer.models()
models = models[models["kind"] == "image"]
widgets.draw(html.page_title("Image tokens", "Which code lies where, and what does changing it change?"))
if "model" not in state.parameters() and (models["built"] == "").all():
    where = measures.place_in_queue(resources.builds_under_way(), set(models["model"]))
    text = where or "Build one: python -m backend build NAME."
    ready = models.loc[models["checkpoint"], "model"].head(2)
    examples = [
        (html.address("image_tokens", model=name, item=7, overlay="codes"), f"{name} as it is") for name in ready
    ]
    more = image_source.examples(f"{text} Or, without what a build knows of its codes", examples) if examples else text
    widgets.empty("No image tokenizer is built yet.", more)
    widgets.footer(explorer)
    st.stop()
model = state.model(models)
about = row(models, "model", model)
built = about.built != ""
live = explorer.live(model)
seed = int(explorer.facts(model)["seed"]) if built else 0
if built and set(state.parameters()) <= {"model"}:  # nothing was chosen: open where there is most to see
    state.write(**first_view.first_view(str(resources.data_dir()), about.built, model, explorer))

picture = image_source.choose(live, built, int(about.items), seed)
if picture is None:
    widgets.footer(explorer)
    st.stop()
image_editor.keep_place(model, live, picture)
image_editor.draw(image_editor.Editor(explorer, model, live, built, seed, picture))
