"""How is a codebook used? Rank and frequency, entropy, dead and rare codes, and all its codes at a glance."""

import math

import streamlit as st
from markupsafe import Markup

from app import items
from app.code.codes import codebook_table
from app.components.code_map import code_map, map_data
from app.draw import charts, drawing, html
from app.draw.tables import row
from app.search import concepts
from app.shell import address, chosen, foot, resources, script, widgets
from app.shell.names import Names

explorer = resources.explorer()
models = explorer.models()
model = chosen.model(models)
chosen.open_first_look(explorer, model)
codebooks = explorer.codebooks(model)
site = chosen.site(codebooks)
info = row(codebooks, "site", site)
codes = explorer.codes(model, site)
names, view = Names(explorer, model), items.view_of(models, model)
positions = int(row(models, "model", model).positions)

widgets.draw(html.page_title("Codebooks", f"How is each codebook of {model} used over {positions:,} positions?"))
widgets.draw(codebook_table(codebooks, model, site))

left, right = st.columns([2, 1], vertical_alignment="bottom")
with left:
    widgets.section(site, f"{int(info.num_codes):,} codes, {int(info.slots)} chosen per position")
with right:
    st.selectbox("Codebook", list(codebooks["site"]), label_visibility="collapsed", **address.bound("site", site))
used = max(1.0, float(info.alive))
filling = explorer.utilization(model, site)
reach = filling["ceiling"].iloc[-1]
unseen = "never fire in this build" + (f"; its choices can reach {html.share(reach)} at most" if reach < 0.99 else "")
widgets.draw(
    html.stats(
        [
            (
                "alive",
                f"{int(info.alive):,}",
                f"{html.share(info.alive / info.num_codes)} of {int(info.num_codes):,} codes",
            ),
            ("dead", f"{int(info.dead):,}", unseen),
            ("rare", f"{int(info.rare):,}", "fire 1 to 4 times"),
            (
                "entropy of use",
                f"{info.entropy_bits:.2f} bits",
                f"at most {f'{math.log2(used):.2f}'} with the codes alive",
            ),
            (
                "perplexity",
                f"{info.perplexity:,.0f}",
                f"of {int(info.num_codes):,}: codes in equal use that would be as hard to guess",
            ),
            ("activations", html.compact(info.activations), f"{int(info.activations):,} in the build"),
        ]
    )
)

layouts = {"grid": "One cell a code", "projection": "UMAP", "pca": "PCA"}
if info.projection == "pca":
    del layouts["projection"]
outputs = explorer.outputs(model, site)
layout = address.choice("map", list(layouts), "grid")
main, side = st.columns([3, 2], gap="medium")
with main:
    chosen = st.segmented_control(
        "Map", list(layouts), format_func=layouts.__getitem__, required=True, **address.bound("map", layout, "grid")
    )
    note = (
        "codes by number"
        if chosen == "grid"
        else f"code vectors in two dimensions by {layouts[str(chosen)]}; live codes only"
    )
    if chosen == "pca" and len(outputs):
        note += f"; over them, in orange, {len(outputs):,} vectors that were compared with them"
    code_map(
        map_data(
            codes,
            model,
            site,
            layout=str(chosen),
            labels=explorer.people.newest_labels(model),
            spoken=names.of_site(model, site),
            alt=f"All codes of {site}, {note}, coloured by use",
            positions=positions,
            outputs=outputs,
        ),
        key=f"map-{site}-{chosen}",
    )
    widgets.draw(Markup('<p class="faint">{}</p>').format(note[:1].upper() + note[1:] + "."))
with side:
    widgets.section("Rank and frequency", "both axes logarithmic")
    drawing.draw(charts.rank_frequency, codes, positions, alt=f"Activations of the codes of {site} by rank")
    widgets.section("How many codes fire how often")
    drawing.draw(charts.usage_histogram, codes, alt=f"Number of codes of {site} by number of activations")

curve = explorer.training_curve(model)
held_out = charts.held_out_use(explorer.metrics(model), int(info.num_codes))
trained = {"step", "utilization"} <= set(curve)
left, right = st.columns(2, gap="medium")
with left:
    last = filling.iloc[-1]
    note = (
        f"{last.codes:,.0f} of {int(info.num_codes):,} after T = {last.chosen:,.0f}; "
        f"{html.share(last.share)}, ceiling {html.share(last.ceiling)}"
    )
    if len(held_out):
        end = held_out.iloc[-1]
        note += f"; held out {html.share(end.share)} after {end.chosen:,.0f}"
    widgets.section("Use against codes chosen", note)
    alt = f"Share of the codes of {site} used at least once, by choices"
    drawing.draw(charts.utilization, filling, held_out, alt=alt)
with right:
    widgets.section(
        "Use along the training", "counted then, over the newest training tokens; dashed: equally likely codes"
    )
    if trained:
        drawing.draw(charts.training_curve, curve, alt="Share of the codes in use along the training")
    else:
        widgets.empty("Not written down.", "The model's card has no curve of its training.")

enough = max(5, min(50, round(2 * info.activations / used)))  # a large codebook's codes fire a few times each
alive = codes[codes["count"] > 0].sort_values(["count", "code"], ascending=[False, True])
first, second, third = st.columns(3, gap="medium")
for column, title, note, chosen_codes in (
    (first, "Most used", "by activations", alive.head(40)),
    (
        second,
        "Most specific",
        f"lowest entropy of {view.symbols}, at least {enough} activations",
        alive[alive["count"] >= enough].sort_values("entropy").head(40),
    ),
    (third, "Rarest", "fewest activations, still alive", alive.tail(40).iloc[::-1]),
):
    with column:
        widgets.section(title, note)
        if chosen_codes.empty:
            widgets.empty("None.", "No code qualifies in this build.")
        else:
            widgets.draw(view.codes(explorer, model, site, chosen_codes, names))
tables = {"codebooks": codebooks, "codes": codes, "use": filling, "training": curve}
if address.flag("described"):
    found = explorer.descriptions(model, site)
    note = f"{len(found):,} of {len(alive):,} live codes; found on one half of the items, tested on the other"
    widgets.section("What its codes fire on", note)
    widgets.draw(concepts.descriptions_table(found, model, site, names))
    tables["descriptions"] = found
else:
    st.button("Describe its codes", on_click=address.write, kwargs={"described": "1"})
again = [
    f"show({script.asked('codebooks', model=model)})",
    f'show({script.asked("codes", model=model, site=site)}.sort_values("count", ascending=False))',
]
foot.offer(tables, again)
