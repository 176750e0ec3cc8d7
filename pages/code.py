"""Everything about one code: where it fires, on what, beside which others, what it does, and what people say of it."""

import streamlit as st

from app.code import codes, effects, image_code, people
from app.draw import html, patches
from app.draw.tables import row
from app.shell import resources, state, widgets
from backend.answers.stored import How

explorer = resources.explorer()
models = explorer.models()
model = state.model(models)
codebooks = explorer.codebooks(model)
ref = state.code(model, codebooks)
labels = explorer.people.newest_labels(model)
if ref is None:
    site = state.site(codebooks)
    widgets.draw(html.page_title("Code", "Choose one, or find one by what it fires on."))
    widgets.code_picker(codebooks, None)
    widgets.section(f"Most used codes of {site}")
    most = explorer.codes(model, site).nlargest(120, "count")
    if row(models, "model", model).kind == "image":
        live = most[most["count"] > 0]
        typical = explorer.typical_patches(model, site, list(live["code"]))
        widgets.draw(patches.code_gallery(live, typical, labels))
    else:
        widgets.draw(widgets.code_chips(most, model, labels, site))
    widgets.footer(explorer)
    st.stop()

stats = explorer.code(ref)
about = row(models, "model", model)
left, right = st.columns([3, 2], vertical_alignment="bottom")
with left:
    widgets.draw(codes.heading(ref, labels.get(ref, "")), codes.actions(explorer, ref, about))
with right:
    widgets.code_picker(codebooks, ref)
widgets.draw(widgets.code_card(stats, "labels" if about.kind == "image" else "tokens"))
if stats.count == 0:
    text = (
        "it fires nowhere in this build, so there is nothing to show. j and k lead to the next and previous live code."
    )
    widgets.empty("This code is dead:", text)
    widgets.footer(explorer)
    st.stop()

people.described(explorer, ref)
if about.kind == "image":
    image_code.code_page(explorer, stats, about, labels)
    st.stop()

fields = list(explorer.label_fields(model)["field"])
n = state.integer("n", 8, 1, 100)
around = state.integer("context", 10, 0, 100)
seed = state.integer("seed", 0, 0, 10**6)
kinds: list[tuple[How, str, str]] = [
    ("top", "Strongest", "highest score"),
    ("random", "At random", f"uniform over all {stats.count:,}, seed {seed}"),
    ("boundary", "At the boundary", "smallest margin to the runner-up"),
]
for column, (how, title, note) in zip(st.columns(3, gap="medium"), kinds, strict=True):
    with column:
        widgets.section(title, note)
        found = explorer.examples(ref, how, n=n, seed=seed, context=around)
        widgets.draw(widgets.example_list(found, ref, field=fields[0] if fields else ""))
with st.popover("How many examples"):
    st.number_input("Examples in each column", 1, 100, **state.bound("n", n, 8))
    st.number_input("Tokens before and after", 0, 100, **state.bound("context", around, 10))
    st.number_input("Seed of the random ones", 0, 10**6, **state.bound("seed", seed, 0))

tokens, truth = explorer.tokens_of(ref, 12), explorer.labels_of(ref, 12)
first, second = st.columns([1, 2], gap="medium")
with first:
    widgets.section("Tokens under it", f"share of its {stats.count:,} activations")
    widgets.draw(codes.token_table(tokens, ref))
with second:
    widgets.section("Labels under it", "precision: of its activations; recall: of the positions with that label")
    widgets.draw(codes.label_table(truth, ref))

together, alike, near = explorer.together(ref, 10), explorer.alike(ref, 10), explorer.neighbours(ref, 10)
before, after = explorer.beside(ref, -1, 10), explorer.beside(ref, 1, 10)
cells = {"PMI, bits": lambda r: html.number(r.pmi, 2), "Together": lambda r: html.compact(r.together)}
for column, title, note, found in zip(
    st.columns(3, gap="medium"),
    ("Fires together with", "Fires just before it", "Fires just after it"),
    ("same position", "one position earlier", "one position later"),
    (together, before, after),
    strict=True,
):
    with column:
        widgets.section(title, f"{note}, by PMI")
        widgets.draw(widgets.chip_table(found, cells, labels, title))
first, second, third = st.columns(3, gap="medium")
with first:
    widgets.section(
        "Nearest vectors", f"same codebook, by {'distance' if stats.info.similarity == 'euclidean' else 'cosine'}"
    )
    cells = {"Distance": lambda r: html.number(r.distance), "Cosine": lambda r: html.number(r.cosine)}
    widgets.draw(widgets.chip_table(near, cells, labels, "nearest vectors"))
with second:
    widgets.section("Alike in other codebooks", "overlap (Jaccard) of the positions")
    widgets.draw(widgets.chip_table(alike, {"Overlap": lambda r: html.bar(r.jaccard)}, labels, "alike codes"))
with third:
    widgets.section("What people say", "a label is a claim, measured on held-out items")
    people.panel(explorer, ref)
tables = {"tokens": tokens, "labels": truth, "neighbours": near, "together": together, "alike": alike}
tables |= {"before": before, "after": after}
effect, _ = st.columns([2, 1], gap="medium")
widgets.footer(explorer, tables, effects.python(ref))
with effect:  # last, because measuring takes seconds and nothing else should wait for it
    effects.effect_panel(explorer, ref, "steer" in about.capabilities)
