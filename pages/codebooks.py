"""How is a codebook used? Rank and frequency, entropy, dead and rare codes, and all its codes at a glance."""

import math

import streamlit as st

from app import charts, html, resources, state, widgets
from app.codes import codebook_table
from app.components.code_map import code_map, map_data
from app.tables import row

explorer = resources.explorer()
models = explorer.models()
model = state.model(models)
codebooks = explorer.codebooks(model)
site = state.site(codebooks)
info = row(codebooks, "site", site)
codes = explorer.codes(model, site)
labels = explorer.people.newest_labels(model)
positions = int(row(models, "model", model).positions)

widgets.draw(html.page_title("Codebooks", f"How is each codebook of {model} used over {positions:,} positions?"))
widgets.draw(codebook_table(codebooks, model, site))

left, right = st.columns([2, 1], vertical_alignment="bottom")
with left:
    widgets.section(site, f"{int(info.num_codes):,} codes, {int(info.slots)} chosen per position")
with right:
    st.selectbox("Codebook", list(codebooks["site"]), label_visibility="collapsed", **state.bound("site", site))
used = max(1.0, float(info.alive))
widgets.draw(
    html.stats(
        [
            (
                "alive",
                f"{int(info.alive):,}",
                f"{html.share(info.alive / info.num_codes)} of {int(info.num_codes):,} codes",
            ),
            ("dead", f"{int(info.dead):,}", "never fire in this build"),
            ("rare", f"{int(info.rare):,}", "fire 1 to 4 times"),
            (
                "entropy of use",
                f"{info.entropy_bits:.2f} bits",
                f"at most {f'{math.log2(used):.2f}'} with the codes alive",
            ),
            ("perplexity", f"{info.perplexity:,.0f}", "codes in equal use that would be as hard to guess"),
            ("activations", html.compact(info.activations), f"{int(info.activations):,} in the build"),
        ]
    )
)

layouts = {"grid": "One cell a code", "projection": str(info.projection).upper(), "pca": "PCA"}
if info.projection == "pca":
    del layouts["pca"]
layout = state.choice("map", list(layouts), "grid")
main, side = st.columns([3, 2], gap="medium")
with main:
    chosen = st.segmented_control(
        "Map", list(layouts), format_func=layouts.__getitem__, required=True, **state.bound("map", layout, "grid")
    )
    note = (
        "codes by number"
        if chosen == "grid"
        else f"code vectors in two dimensions by {layouts[str(chosen)]}; live codes only"
    )
    code_map(
        map_data(
            codes, model, site, layout=str(chosen), labels=labels, alt=f"All codes of {site}, {note}, coloured by use"
        ),
        key=f"map-{site}-{chosen}",
    )
with side:
    widgets.section("Rank and frequency", "both axes logarithmic")
    st.altair_chart(charts.rank_frequency(codes, positions), alt=f"Activations of the codes of {site} by rank")
    widgets.section("How many codes fire how often")
    st.altair_chart(charts.usage_histogram(codes), alt=f"Number of codes of {site} by number of activations")

alive = codes[codes["count"] > 0].sort_values(["count", "code"], ascending=[False, True])
first, second, third = st.columns(3, gap="medium")
for column, title, note, chosen_codes in (
    (first, "Most used", "by activations", alive.head(40)),
    (
        second,
        "Most specific",
        "lowest token entropy, at least 50 activations",
        alive[alive["count"] >= 50].sort_values("entropy").head(40),
    ),
    (third, "Rarest", "fewest activations, still alive", alive.tail(40).iloc[::-1]),
):
    with column:
        widgets.section(title, note)
        widgets.draw(
            widgets.code_chips(chosen_codes, model, labels, site)
            if len(chosen_codes)
            else html.empty("None.", "No code qualifies in this build.")
        )
widgets.footer(explorer, {"codebooks": codebooks, "codes": codes})
