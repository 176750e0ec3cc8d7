"""Which codes stand for which state, which transitions do they imply, and can it be made to believe another state?"""

import streamlit as st

from app.shell import address, chosen, foot, resources, widgets
from app.shell.earlier import Earlier
from app.shell.names import Names
from app.shell.timing import PATIENCE, Pace
from app.states import believing, states

explorer = resources.explorer()
models = explorer.models()
views = {"matrix": "States and codes", "transitions": "Transitions", "believe": "Make it believe"}
view = address.choice("view", list(views), "matrix")
beside = widgets.titled("States", "Which codes stand for which state, and can it be made to believe another?")
model = chosen.model(models)
with beside:
    st.segmented_control(
        "View",
        list(views),
        format_func=views.__getitem__,
        required=True,
        label_visibility="collapsed",
        **address.bound("view", view, "matrix"),
    )
machine = explorer.machine(model)
codebooks = explorer.codebooks(model)
names = Names(explorer, model)
tables, again = {}, []
if view == "believe":
    chosen.need(models, model, "steer")
    widgets.section("It is in state A: make it believe B", "the codes of B are put in where A has just been read")
    asked = believing.controls(explorer, machine, model, codebooks)
    widgets.draw(believing.examples(explorer, machine, model, codebooks))
    earlier = Earlier(f"believe.{model}", lambda shown: believing.result_panel(shown[0], model, shown[1]))
    likely = Pace.of(model).seconds(asked.samples * asked.new_states)
    if likely > PATIENCE and not address.flag("run"):
        st.button(f"Run (about {likely:.0f} s)", type="primary", on_click=address.write, kwargs={"run": "1"})
        earlier.show(asked, "another walk, state or setting; Run asks again")
    else:
        area = st.empty()
        with widgets.guarded(), st.spinner("The model reads the walk ..."):
            with area.container():
                earlier.show(asked, "another walk, state or setting, until the new result is there")
            found = believing.believed(str(resources.data_dir()), explorer.build(model), model, asked, explorer)
            area.empty()
            tables = believing.result_panel(found, model, asked)
            again = [believing.python(model, asked)]
            earlier.keep(asked, (found, asked))
else:
    site = chosen.site(codebooks)
    if "site" not in address.parameters():
        last = codebooks[codebooks["place"] == "mlp"]
        site = str((last if len(last) else codebooks)["site"].iloc[-1])
    st.pills("Codebook", list(codebooks["site"]), required=True, **address.bound("site", site))
    found_states = explorer.states(model, site)
    widgets.draw(states.figures(found_states, machine))
    if view == "matrix":
        tables = states.matrix_panel(found_states, model, site, names)
    else:
        tables = states.transitions_panel(found_states, model, site)
foot.offer(tables, again)
