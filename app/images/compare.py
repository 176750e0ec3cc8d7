"""Image tokenizers side by side: the figures with their spread, the pictures, the trade of bits for likeness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.components.wipe import Line, Shown
from app.draw import html, pictures
from app.draw.charts import BLUE, GREEN, ORANGE
from app.draw.machine_charts import PINK
from app.draw.tables import records
from app.images import image_source
from app.images.image_source import Picture
from app.shell import state
from backend.data.images.png import to_bytes
from backend.jobs.compare import DEFINITIONS, Compared, code_colours, compare, turned_towards

MOST = 4  # tokenizers
COLOURS = [BLUE, ORANGE, GREEN, PINK]
PICTURES = (1, 64)
VIEWS = {"wipe": "Reconstruction", "difference": "|Difference|", "tokens": "Token maps"}
ORDERS = {"disagreement": "largest disagreement", "worst": "lowest PSNR", "given": "as given"}


@st.cache_data(max_entries=20, show_spinner=False)
def measured(data_dir: str, models: tuple[str, ...], pixels: np.ndarray, _lives: Sequence[Any]) -> list[Compared]:
    """What `backend.jobs.compare.compare` says, kept: its times are of the first look."""
    return compare(_lives, pixels)


def chosen_pictures(lives: Sequence[Any], first_built: bool, items: int, seed: int, size: int) -> list[Picture]:
    """Draw the fields that choose the pictures (`source`, `from`, `n`, `own`); they are those of the first tokenizer's data.

    Args:
        lives: the tokenizers.
        first_built: whether the first has a build.
        items: how many pictures that has.
        seed: its seed.
        size: pixels a side of a person's own.
    """
    options = [name for name in image_source.SOURCES if first_built or name != "item"]
    source = state.choice("source", options, "test")
    one, two, three = st.columns([1.6, 1, 1], vertical_alignment="bottom")
    with one:
        names = image_source.SOURCES
        arguments = state.bound("source", source, "test", ["start"])
        st.segmented_control("Pictures", options, format_func=names.__getitem__, required=True, **arguments)
    if source == "own":
        found = image_source.upload("Pictures of your own (their middle squares are used)", "uploads", several=True)
        if found and found != state.kept("last uploads"):
            state.keep("last uploads", found)
            state.write(own=found)
        asked = state.many("own", limit=image_source.KEPT)
        missing = [digest for digest in asked if not image_source.has(digest)]
        if missing:
            st.html(html.wrap(html.empty("Choose the files again.", _again(missing))))
        return [image_source.picture(lives[0], f"own.{one}", size) for one in asked if image_source.has(one)]
    last = (items if source == "item" else image_source.LAST_TEST + 1) - 1
    start, count = state.integer("start", 0, 0, last), state.integer("n", 16, *PICTURES)
    with two:
        st.number_input(f"From, 0 to {last:,}", 0, last, **state.bound("start", start, 0))
    with three:
        st.number_input(f"How many, up to {PICTURES[1]}", *PICTURES, **state.bound("n", count, 16))
    numbers = range(start, min(start + count, last + 1))
    return [image_source.picture(lives[0], f"{source}.{number}", size, seed) for number in numbers]


def _again(missing: Sequence[str]) -> str:
    digests = ", ".join(missing[:4])
    return f"The address is of somebody's own pictures, which are not stored here. Their SHA-256 begin with {digests}."


def figures_table(compared: Sequence[Compared], published: Mapping[str, Mapping[str, Any]]) -> Markup:
    """One row a tokenizer: every figure with its spread or denominator, the papers' in a column of their own."""
    rows = []
    for row in records(pd.DataFrame([one.row() for one in compared])):
        theirs = _published(published.get(row.model, {}))
        rows.append(
            [
                html.link(html.address("codebooks", model=row.model), row.model),
                _spread(row.psnr, row.psnr_std, row.psnr_low, row.psnr_high, 2),
                _spread(row.ssim, row.ssim_std, row.ssim_low, row.ssim_high, 3),
                _spread(
                    row.feature_distance,
                    row.feature_distance_std,
                    row.feature_distance_low,
                    row.feature_distance_high,
                    3,
                ),
                _two(f"{row.bits_per_pixel:.3f}", f"effective {row.bits_per_pixel_effective:.3f}"),
                _two(
                    html.share(row.utilization),
                    f"{int(row.used):,} of {int(row.codes):,}; ceiling {html.share(row.ceiling)}",
                ),
                _two(f"{row.perplexity:,.0f}", f"{int(row.tokens_counted):,} tokens"),
                _two(f"{row.encode_ms:.1f} + {row.decode_ms:.1f}", "encode + decode"),
                Markup('<span class="faint">{}</span>').format(theirs),
            ]
        )
    columns = [
        "Tokenizer",
        "PSNR, dB",
        "SSIM",
        "Feature distance",
        "Bits per pixel",
        "Codes used",
        "Perplexity",
        "ms per picture",
        "Published, of the paper's own model and data",
    ]
    return html.table(columns, rows, right=range(1, 8), caption="tokenizers on the same pictures")


PUBLISHED = {"utilization": "codes used", "rfid": "rFID", "psnr": "PSNR", "ssim": "SSIM"}


def _published(figures: Mapping[str, Any]) -> Markup:
    """A paper's figures and whose they are."""
    shown = [
        f"{PUBLISHED.get(name, name)} {html.share(value) if name == 'utilization' else value}"
        for name, value in figures.items()
        if name != "source"
    ]
    return _two(", ".join(shown), str(figures.get("source", ""))) if shown else Markup("–")


def _two(value: str, note: str) -> Markup:
    return Markup('{}<br><span class="faint">{}</span>').format(value, note)


def _spread(value: float, std: float, low: float, high: float, digits: int) -> Markup:
    if std != std:  # of one picture
        return _two(html.number(value, digits), "")
    shown = f"{html.number(value, digits)} ± {html.number(std, digits)}"
    return _two(shown, f"{html.number(low, digits)} to {html.number(high, digits)}")


def definitions() -> Markup:
    """What every figure means."""
    rows = [[name.replace("_", " "), text] for name, text in DEFINITIONS.items()]
    return html.table(["Figure", "Definition"], rows, caption="definitions")


def rate_distortion(frame: pd.DataFrame, score: str) -> alt.LayerChart:
    """Bits per pixel against a score: nominal (hollow) and effective (filled) of each tokenizer, with one deviation.

    Args:
        frame: what `backend.jobs.compare.table` says.
        score: `psnr`, `ssim` or `feature_distance`.
    """
    rows = [
        {
            "tokenizer": row["model"],
            "bits": row[name],
            "count": kind,
            "score": row[score],
            "low": row[score] - np.nan_to_num(row[f"{score}_std"]),
            "high": row[score] + np.nan_to_num(row[f"{score}_std"]),
        }
        for row in frame.to_dict("records")
        for kind, name in (("nominal", "bits_per_pixel"), ("effective", "bits_per_pixel_effective"))
    ]
    base = alt.Chart(pd.DataFrame(rows)).encode(
        alt.X("bits:Q", title="bits per pixel", scale=alt.Scale(zero=False, padding=20)),
        alt.Color("tokenizer:N", legend=alt.Legend(orient="top", title=None), scale=alt.Scale(range=COLOURS)),
    )
    title = score.replace("_", " ").replace("psnr", "PSNR, dB").replace("ssim", "SSIM")
    y = alt.Y("score:Q", title=title, scale=alt.Scale(zero=False, padding=15))
    points = base.mark_point(size=110, filled=True, opacity=1).encode(
        y,
        alt.Shape(
            "count:N",
            legend=alt.Legend(orient="top", title=None, symbolFillColor="grey", symbolStrokeColor="grey"),
            scale=alt.Scale(range=["circle", "diamond"]),
        ),
        tooltip=["tokenizer:N", "count:N", alt.Tooltip("bits:Q", format=".3f"), alt.Tooltip("score:Q", format=".3f")],
    )
    bars = base.mark_rule(opacity=0.7).encode(alt.Y("low:Q", title=title), alt.Y2("high:Q"))
    return (bars + points).properties(height=300)


def order(frame: pd.DataFrame, how: str) -> list[int]:
    """Numbers of the pictures, the most interesting first.

    Args:
        frame: what `backend.jobs.compare.picture_table` says.
        how: key of `ORDERS`.
    """
    if how == "given":
        return sorted(frame["picture"].unique().tolist())
    worst = frame.groupby("picture").agg(disagreement=("disagreement", "first"), worst=("psnr", "min"))
    column, rising = ("disagreement", False) if how == "disagreement" else ("worst", True)
    return [int(i) for i in worst.sort_values(column, ascending=rising, kind="stable").index]


def python(models: Sequence[str], shown: Sequence[Picture], seed: int) -> list[str]:
    """The figures as Python.

    Args:
        models: names of the tokenizers.
        shown: the pictures, all of one source.
        seed: of the items of the first one's build.
    """
    source, _, first = shown[0].name.partition(".")
    names = [picture.name for picture in shown]
    lines = [
        "import numpy as np",
        "from backend.jobs.compare import compare, picture_table, table",
        f"lives = [explorer.live(name) for name in {list(models)!r}]",
    ]
    if source == "own":
        lines += ["from pathlib import Path", "from backend.data.images.files import read_picture"]
        size = shown[0].pixels.shape[1]
        lines.append(f"pictures = [lives[0].fit(read_picture(Path(name)), {size}) for name in ['YOUR-PICTURE']]")
        names = ["YOUR-PICTURE"]
    else:
        start, stop = int(first), int(first) + len(shown)
        items = f"items({start}, {stop}, {seed})" if source == "item" else f"held_out({start}, {stop})"
        lines.append(f"pictures = [picture.payload for picture in lives[0].{items}]")
    return [
        *lines,
        "compared = compare(lives, np.stack(pictures))",
        "show(table(compared))",
        f"show(picture_table(compared, {names!r}))",
    ]


def headings(compared: Sequence[Compared]) -> list[tuple[str, str]]:
    """Of the columns that `lines` fills."""
    return [("Original", ""), *((one.model, f"{one.row()['psnr']:.2f} dB mean") for one in compared)]


def lines(
    compared: Sequence[Compared],
    shown: Sequence[Picture],
    lives: Sequence[Any],
    frame: pd.DataFrame,
    view: str,
    how: str,
) -> tuple[list[Line], str]:
    """The rows of the pictures in order, and what stands beside the slider.

    Args:
        compared: the tokenizers.
        shown: the pictures.
        lives: the live tokenizers, for their tables.
        frame: what `backend.jobs.compare.picture_table` says.
        view: key of `VIEWS`.
        how: key of `ORDERS`.
    """
    originals = np.stack([one.pixels for one in shown])
    lost = [np.abs(one.decoded - originals).mean(1) / 2 for one in compared]  # [picture, height, width] each
    top = max(float(np.quantile(np.stack(lost), 0.999)), 1 / 255)
    colours = _matched(compared, lives) if view == "tokens" else []
    scores = {(row.picture, row.model): row for row in records(frame)}
    made = []
    for i in order(frame, how):
        cells = [Shown(to_bytes(originals[i]), shown[i].title)]
        for number, one in enumerate(compared):
            row = scores[i, one.model]
            note = f"{row.psnr:.2f} dB · SSIM {row.ssim:.3f}"
            if view == "wipe":
                cell = Shown(to_bytes(one.decoded[i]), f"{shown[i].title} by {one.model}", note, True)
            elif view == "difference":
                cell = Shown(pictures.heat(lost[number][i], top), f"what {one.model} loses of {shown[i].title}", note)
            else:
                cell = Shown(
                    pictures.places_to_rgb(colours[number][i]), f"codes of {shown[i].title} by {one.model}", note, True
                )
            cells.append(cell)
        notes = [f"{scores[i, compared[0].model].disagreement:.2f} dB apart"] if len(compared) > 1 else []
        source, _, index = shown[i].name.partition(".")
        place = {"own": index} if source == "own" else {"item": index}
        href = html.address("image_tokens", model=compared[0].model, source=source, **place)
        made.append(Line(shown[i].title, href, notes, to_bytes(originals[i]), cells))
    notes_of = {
        "wipe": "Drag in any picture. Shift and drag move, Ctrl and wheel zoom.",
        "difference": f"Mean over colours, one scale for all: black 0, white {html.share(top)} of the range and more.",
        "tokens": "One colour a cell: alike colours are alike codes of one tokenizer; palettes are turned to agree.",
    }
    return made, notes_of[view]


def _matched(compared: Sequence[Compared], lives: Sequence[Any]) -> list[np.ndarray]:
    """Colours of every tokenizer's first codebook, those after the first turned towards it."""
    found: list[np.ndarray] = []
    for one, live in zip(compared, lives, strict=True):
        site, tokens = next(iter(one.tokens.items()))
        colours = code_colours(tokens, live.table(site))
        found.append(turned_towards(colours, found[0]) if found else colours)
    return found
