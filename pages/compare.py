"""What do several image tokenizers make of the same pictures?"""

import numpy as np
import streamlit as st

from app.components.wipe import wipe, wipe_data
from app.draw import drawing, html
from app.draw.tables import row
from app.images import compare, compare_figures, image_source
from app.shell import address, chosen, foot, resources, widgets
from app.shell.pages import end
from backend.jobs.compare import common_size, picture_table, table

explorer = resources.explorer()
models = explorer.models()
models = models[(models["kind"] == chosen.page().item) & models["checkpoint"]]
widgets.draw(html.page_title("Compare", "What do several image tokenizers make of the same pictures?"))
if models.empty:
    widgets.empty("There is no image tokenizer here yet.", "Train one (python -m backend train --help) or import one.")
    end()
names = list(models["model"])
asked = address.many("tokenizer", names, limit=compare.MOST)
chosen = asked or compare.opening(models)
if not asked:
    address.write(tokenizer=chosen)  # whoever is sent the address sees the same ones, whatever is built there
left, right = st.columns([4, 1], vertical_alignment="bottom")
with left:
    st.multiselect("Tokenizers, up to four", names, max_selections=compare.MOST, **address.bound("tokenizer", chosen))
if not chosen:
    end()
lives = [explorer.live(name) for name in chosen]
about = row(models, "model", chosen[0])
built = about.built != ""
seed = int(explorer.facts(chosen[0])["seed"]) if built else 0
sizes = [size for size in (32, 64, 128, 256, 512) if size >= max(live.cell for live in lives)]
wished = int(address.choice("size", list(map(str, sizes)), "128"))
with right:
    st.selectbox("Pixels a side, own pictures", sizes, **address.bound("size", wished, 128))
pictures = compare.chosen_pictures(lives, built, int(about.items), seed, common_size(lives, wished))
if not pictures:
    examples = [
        (html.address("compare", tokenizer=chosen), "the first 16 held-out pictures"),
        (html.address("compare", tokenizer=chosen, start=100, n=4, view="difference"), "where four pictures differ"),
    ]
    widgets.empty("No picture is chosen.", image_source.examples("Choose some of your own, or look at", examples))
    end()

with st.spinner("Encoding and decoding ..."):
    pixels = np.stack([picture.pixels for picture in pictures])
    compared = compare.measured(str(resources.data_dir()), tuple(chosen), pixels, lives)
frame, single = table(compared), picture_table(compared, [picture.name for picture in pictures])
widgets.draw(compare_figures.verdict(compared))

view = address.choice("view", list(compare.VIEWS), "wipe")
how = address.choice("order", list(compare.ORDERS), "disagreement")
widgets.section("Pictures", f"by {compare.ORDERS[how]}; a title opens the picture's tokens")
first, second = st.columns(2, vertical_alignment="bottom")
with first:
    st.segmented_control(
        "Shown",
        list(compare.VIEWS),
        format_func=compare.VIEWS.__getitem__,
        required=True,
        wrap=True,
        **address.bound("view", view, "wipe"),
    )
with second:
    st.selectbox(
        "Order",
        list(compare.ORDERS),
        format_func=compare.ORDERS.__getitem__,
        **address.bound("order", how, "disagreement"),
    )
ordered = compare.order(single, how)
everything = address.flag("all") or len(ordered) <= compare.FIRST + 1
shown = ordered if everything else ordered[: compare.FIRST]
rows, note = compare.lines(compared, pictures, lives, single, view, shown)
wipe(wipe_data(compare.headings(compared), rows, right=compare.VIEWS[view], note=note), key="wipe")
if len(ordered) > compare.FIRST + 1:
    st.toggle(f"All {len(ordered)} pictures", **address.bound("all", everything, False))

height, width = pixels.shape[2:]
several = f"{len(pictures)} pictures of {width} x {height} pixels; ± one standard deviation; lowest to highest"
widgets.section(
    "Figures", f"over the same {several}" if len(pictures) > 1 else f"of one picture, {width} x {height} pixels"
)
widgets.draw(compare_figures.figures_table(compared, {name: explorer.published(name) for name in chosen}))
with st.popover("What the figures mean"):
    widgets.draw(compare_figures.definitions())

score = address.choice("score", ["psnr", "ssim", "feature_distance"], "psnr")
first, second = st.columns([4, 1], vertical_alignment="bottom")
with first:
    widgets.section(
        "Rate and distortion", "bits as if all codes cost the same (nominal), and by their entropy on these pictures"
    )
with second:
    st.selectbox("Score", ["psnr", "ssim", "feature_distance"], **address.bound("score", score, "psnr"))
drawing.draw(
    compare_figures.rate_distortion, frame, score, alt=f"Bits per pixel against {score} of {', '.join(chosen)}"
)
below = st.container()
foot.offer({"tokenizers": frame, "pictures": single}, compare.python(chosen, pictures, seed))
with below:  # last: many passes, for which nothing else should wait, and which nothing else should disturb
    compare.times_panel(tuple(chosen), compared, pixels, lives)
