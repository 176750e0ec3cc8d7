"""What does the model write when its codes are changed?"""

import streamlit as st

from app.draw import html
from app.draw.tables import row
from app.shell import address, chosen, foot, resources, widgets
from app.shell.names import Names
from app.steer import edit_list, measured, steer_find, steer_measure, steer_panels, steering, telling

explorer = resources.explorer()
models = explorer.models()
widgets.draw(html.page_title("Steer", "What does the model write when its codes are changed?"))
model = chosen.model(models)
facts = row(models, "model", model)
machine = explorer.machine(model) if "states" in facts.capabilities else None
codebooks = explorer.codebooks(model)
labels = Names(explorer, model)
edits, wrong = edit_list.known(address.edits(), codebooks)
for reason in wrong:
    widgets.empty("Left out:", reason)
known = measured.measured(explorer, model)
others = measured.elsewhere(explorer, models, model, facts.dataset) if not known else ""
if known:
    note = measured.random_code_note(explorer, model, {one.field: None for one in known})
    measured.gallery(known, facts.dataset, edits, note)
tables, again = steer_find.find_panel(explorer, model, facts.dataset, labels, known)
widgets.section(
    "Edits", "codes that are put in, added, banned or emptied while the model writes; others see only their own"
)
edit_list.editor(edits, codebooks, model, labels)
prompt = steer_panels.prompt_input(explorer, machine, model, facts.dataset)
aim = telling.aim_of(explorer, model, facts.dataset, edits)
settings = steer_panels.settings_of_address()
with widgets.guarded():
    settings = telling.with_telling_seed(explorer, model, prompt, edits, settings, aim)
steer_panels.settings_input(settings)
if not edits:
    examples = [] if known else measured.examples(explorer, model, facts.dataset)
    steer_panels.first_screen(examples, others, machine, model)
else:
    with widgets.guarded():
        pair = steer_panels.generation(explorer, model, prompt, edits, settings, machine, aim)
        again += steering.python(model, prompt, edits, settings)
        if pair is not None:
            weak, measuring = st.container(), st.container()
            tables["texts"] = steering.pair_table(pair)
            tables["codebooks"], moved = steer_panels.footprint_panel(explorer, model, pair, edits, labels)
            with weak:
                if said := telling.weakness(edits, pair, moved, aim):
                    telling.offer(said, known, facts.dataset, aim, others)
                else:
                    st.caption(telling.seed_note(explorer, model, prompt, edits, settings, aim))
            with measuring:  # drawn last: it may take minutes, and nothing else should wait for it
                asked = steer_measure.controls(facts.dataset, settings, machine, model)
                tables |= steer_measure.measure_panel(explorer, model, prompt, edits, asked, machine)
                if address.flag("measure"):
                    again += [asked.python(), "show(measured)"]
foot.offer(tables, again)
