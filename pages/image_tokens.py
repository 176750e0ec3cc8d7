"""Which code lies where in a picture, and what does changing it change?"""

import streamlit as st

from app import html, image_source, image_tokens, resources, state, widgets
from app.components.token_map import map_data, token_map
from app.tables import row
from backend.data.png import encode_png, to_bytes
from backend.image_edits import Nearest, Swap

explorer = resources.explorer()
models = explorer.models()
models = models[models["kind"] == "image"]
model = state.model(models)
about = row(models, "model", model)
built = about.built != ""
live = explorer.live(model)
sites = [info.site for info in live.codebooks()]
sizes = {info.site: info.num_codes for info in live.codebooks()}
site = state.choice("site", sites, sites[0])
seed = int(explorer.facts(model)["seed"]) if built else 0
where = str(resources.data_dir())

widgets.draw(html.page_title("Image tokens", "Which code lies where, and what does changing it change?"))
picture = image_source.choose(live, built, int(about.items), seed)
if picture is None:
    widgets.footer(explorer)
    st.stop()

side = picture.pixels.shape[1]
grid = side // live.cell
first, second, third, fourth = st.columns([2.6, 2.6, 1.2, 0.9], vertical_alignment="bottom")
tool = state.choice("tool", list(image_tokens.TOOLS), "look")
shade = state.choice("overlay", list(image_tokens.OVERLAYS), "none")
lines = state.flag("lines", True)
with first:
    names = image_tokens.OVERLAYS
    st.segmented_control(
        "Shown over it",
        list(names),
        format_func=names.__getitem__,
        required=True,
        **state.bound("overlay", shade, "none"),
    )
with second:
    names = image_tokens.TOOLS
    st.segmented_control(
        "A click", list(names), format_func=names.__getitem__, required=True, **state.bound("tool", tool, "look")
    )
with third:
    if len(sites) > 1:
        st.selectbox("Codebook", sites, **state.bound("site", site, sites[0], ["code", "second"]))
with fourth:
    st.toggle("Grid", **state.bound("lines", lines, True))

made = image_tokens.changes()
cell = state.integer("cell", -1, -1, grid * grid - 1)
last = sizes[site] - 1
brush = {"region": None}
other, act = None, st.container()


def other_picture(name: str) -> image_source.Picture:
    """The picture that a region is copied from."""
    return image_source.picture(live, name, side, seed)


shown = image_tokens.view(where, model, live, picture, made, other_picture)
here = int(shown.after[site].reshape(-1)[max(cell, 0)])
if tool != "look":
    with act:
        brush = image_tokens.tool_fields(tool, site, last, max(here, 0), "item" if built else "test")
if tool == "copy":
    other = other_picture(brush["other"])


def on_pick() -> None:
    """A cell or region was chosen on the map."""
    report = state.triggered("token-map", "picked")
    if report:
        state.write(**image_tokens.picked(report, tool, site, sites, grid, brush))


counts = explorer.codes(model, site)["count"].to_numpy() if built else None
labels = explorer.people.newest_labels(model)
others = image_tokens.encoded(where, model, other.name, other.pixels, live)[0] if other is not None else None
token_map(
    map_data(
        image_tokens.panes(shown, other),
        image_tokens.cells(shown, site, counts, others),
        model=model,
        tool=tool,
        selected=cell if cell >= 0 else None,
        overlay=image_tokens.overlay(shown, shade, site, live.table(site)),
        look={"lines": lines, "ids": shade == "codes"},
        region=brush.get("region"),
        answer="changed",
        hint=image_tokens.HINTS[tool],
    ),
    key="token-map",
    on_pick=on_pick,
)

buttons = st.columns([1, 1, 1.3, 1.3, 3.4], vertical_alignment="center")
written = [str(change) for change in made]
buttons[0].button(
    "Undo",
    disabled=not made,
    on_click=state.write,
    kwargs={"change": written[:-1] or None},
    width="stretch",
    shortcut="ctrl+z",
)
buttons[1].button("Reset", disabled=not made, on_click=state.write, kwargs={"change": None}, width="stretch")
name = f"{model}-{picture.name}"
buttons[2].download_button(
    "PNG", lambda: encode_png(to_bytes(shown.changed)), f"{name}.png", "image/png", on_click="ignore", width="stretch"
)
document = image_tokens.codes_json(shown, model, made)
buttons[3].download_button(
    "Codes, JSON", document, f"{name}.json", "application/json", on_click="ignore", width="stretch"
)
if tool in ("swap", "nearest"):
    everywhere = Swap(site, brush["first"], brush["second"]) if tool == "swap" else Nearest(site, brush["rank"])
    text = "Exchange them everywhere" if tool == "swap" else "Replace all codes"
    buttons[4].button(text, type="primary", on_click=state.write, kwargs={"change": [*written, str(everywhere)]})
elif made:
    with buttons[4]:
        widgets.draw(image_tokens.change_list(made))

if shown.footprint.edited.any():
    widgets.section(
        "What your changes reach", "decoded with and without them; a decoder looks past the borders of a cell"
    )
    widgets.draw(image_tokens.footprint_figures(shown.footprint))
left, right = st.columns([3, 2], gap="medium")
with right:
    widgets.section("Where most is lost", f"mean |difference| to the original; {model} now, below the original")
    widgets.draw(image_tokens.worst_cells(shown, site))
with left:
    if cell >= 0:
        widgets.section(
            f"Row {cell // grid}, column {cell % grid}",
            "codes that could stand here, each decoded in its place; best first",
        )
        found = image_tokens.candidates(live, shown, site, cell)
        widgets.draw(image_tokens.candidate_table(found, shown, site, cell, made, model, counts, labels))
    else:
        widgets.section("One cell")
        widgets.empty("Choose a cell on the map.", "Its code, and others that could stand there, are shown here.")
widgets.footer(
    explorer, {"cells": image_tokens.cell_table(shown, site)}, image_tokens.as_python(model, picture, made, seed)
)
