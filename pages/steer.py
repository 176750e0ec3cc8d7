"""What does the model write when its codes are changed?"""

import streamlit as st

from app import edit_list, html, resources, state, states, steer_panels, steering, widgets
from app.tables import row

explorer = resources.explorer()
models = explorer.models()
model = state.model(models, capability="steer")
widgets.draw(html.page_title("Steer", "What does the model write when its codes are changed?"))
if model not in states.usable(models, "steer", "generate"):
    states.unavailable(models, model, "steer", "be steered", "steer", "generate")
    widgets.footer(explorer)
    st.stop()
capabilities = row(models, "model", model).capabilities
machine = explorer.machine(model) if "states" in capabilities else None
codebooks = explorer.codebooks(model)
labels = explorer.people.newest_labels(model)
edits, wrong = edit_list.known(state.edits(), codebooks)
for reason in wrong:
    widgets.empty("Left out:", reason)
widgets.section("Edits", "codes that are put in, banned or emptied while the model writes; others see only their own")
edit_list.editor(edits, codebooks, model, labels)
prompt = steer_panels.prompt_input(explorer, machine, model)
settings = steer_panels.settings_input()
tables, again = {}, []
if not edits:
    widgets.empty("Add an edit.", "Choose a codebook and a code above, or come from a code's own page with s.")
else:
    with widgets.guarded():
        pair = steer_panels.generation(explorer, model, prompt, edits, settings, machine)
        measuring = state.flag("measure")
        again = steering.python(model, prompt, edits, settings, state.text("success") if measuring else None)
        if pair is not None:
            tables["texts"] = steering.pair_table(pair)
            tables["codebooks"] = steer_panels.footprint_panel(explorer, model, pair, edits, labels)
            arms = steer_panels.measure_panel(explorer, model, prompt, edits, settings, machine)
            if arms is not None:
                tables["success"] = arms
widgets.footer(explorer, tables, again)
