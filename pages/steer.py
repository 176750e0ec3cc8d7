"""What does the model write when its codes are changed?"""

import streamlit as st

from app.draw import html
from app.draw.tables import row
from app.shell import resources, state, widgets
from app.states import states
from app.steer import edit_list, steer_find, steer_measure, steer_panels, steering

explorer = resources.explorer()
models = explorer.models()
model = state.model(models, capability=widgets.CAPABILITY["steer"])
widgets.draw(html.page_title("Steer", "What does the model write when its codes are changed?"))
if model not in states.usable(models, "steer", "generate"):
    states.unavailable(models, model, "steer", "be steered", "steer", "generate")
    widgets.footer(explorer)
    st.stop()
facts = row(models, "model", model)
machine = explorer.machine(model) if "states" in facts.capabilities else None
codebooks = explorer.codebooks(model)
labels = explorer.people.newest_labels(model)
edits, wrong = edit_list.known(state.edits(), codebooks)
for reason in wrong:
    widgets.empty("Left out:", reason)
tables, again = steer_find.find_panel(explorer, model, facts.dataset, labels)
widgets.section(
    "Edits", "codes that are put in, added, banned or emptied while the model writes; others see only their own"
)
edit_list.editor(edits, codebooks, model, labels)
prompt = steer_panels.prompt_input(explorer, machine, model)
settings = steer_panels.settings_input()
if not edits:
    widgets.empty("Add an edit.", "Find codes or choose one above, or come from a code's own page with s.")
else:
    with widgets.guarded():
        pair = steer_panels.generation(explorer, model, prompt, edits, settings, machine)
        again += steering.python(model, prompt, edits, settings)
        if pair is not None:
            tables["texts"] = steering.pair_table(pair)
            tables["codebooks"] = steer_panels.footprint_panel(explorer, model, pair, edits, labels)
            asked = steer_measure.controls(facts.dataset, settings, machine)
            tables |= steer_measure.measure_panel(explorer, model, prompt, edits, asked, machine)
            if state.flag("measure"):
                again += [asked.python(), "show(measured)"]
widgets.footer(explorer, tables, again)
