"""Image tokenizers side by side: the pictures that are compared, and what each tokenizer makes of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.components.wipe import Line, Shown
from app.draw import html, pictures
from app.draw.tables import records
from app.images import compare_figures, image_source
from app.images.image_source import Picture
from app.shell import address, resources, session, widgets
from app.shell.timing import remembered
from backend.analysis.pixels import to_bytes
from backend.analysis.token_colours import code_colours, turned_towards
from backend.jobs.compare import Compared, compare
from backend.jobs.timing import Timing, time_passes

MOST = 4  # tokenizers
PICTURES = (1, 64)
FIRST = 3  # pictures that are shown before all are asked for
VIEWS = {"wipe": "Reconstruction", "difference": "|Difference|", "tokens": "Token maps"}
ORDERS = {"disagreement": "largest disagreement", "worst": "lowest PSNR", "given": "as given"}


@remembered(20)
def measured(data_dir: str, models: tuple[str, ...], pixels: np.ndarray, _lives: Sequence[Any]) -> list[Compared]:
    """Return what `backend.jobs.compare.compare` says of quality; kept."""
    return compare(_lives, pixels, timed=False)


@st.cache_data(max_entries=20, show_spinner=False)
def timed(
    data_dir: str, models: tuple[str, ...], pixels: np.ndarray, again: int, _lives: Sequence[Any]
) -> tuple[list[Timing], str]:
    """Return how long the tokenizers take, and the time of day at which that was measured; kept.

    Args:
        data_dir: of the models.
        models: their names.
        pixels: the pictures.
        again: another number measures anew.
        _lives: the live tokenizers.
    """
    return time_passes(_lives, pixels), time.strftime("%H:%M")


def opening(models: pd.DataFrame) -> list[str]:
    """Return the tokenizers to open with: the first two of the demos that are built, else the first two that are there.

    Args:
        models: rows of `Explorer.models`, of image tokenizers with weights.
    """
    built = models[models["built"] != ""]
    usable = built if len(built) else models
    rank = usable["demo"].where(usable["demo"] > 0, 10**6)
    return list(usable.assign(rank=rank).sort_values("rank", kind="stable")["model"].head(2))


def chosen_pictures(lives: Sequence[Any], first_built: bool, items: int, seed: int, size: int) -> list[Picture]:
    """Draw the fields that choose the pictures (`source`, `start`, `n`, `own`): of the first tokenizer's data, or own ones.

    Args:
        lives: the tokenizers.
        first_built: whether the first has a build.
        items: how many pictures that has.
        seed: its seed.
        size: pixels a side of a person's own.
    """
    options = [name for name in image_source.SOURCES if first_built or name != "item"]
    source = address.choice("source", options, "test")
    one, two, three = st.columns([1.6, 1, 1], vertical_alignment="bottom")
    with one:
        names = image_source.SOURCES
        arguments = address.bound("source", source, "test", ["start"])
        st.segmented_control("Pictures", options, format_func=names.__getitem__, required=True, wrap=True, **arguments)
    if source == "own":
        uploaded = image_source.upload("Pictures of your own (their middle squares are used)", "uploads", several=True)
        if uploaded and uploaded != session.kept("last uploads"):
            session.keep("last uploads", uploaded)
            address.write(own=uploaded)
        digests = address.many("own", limit=image_source.KEPT)
        missing = [digest for digest in digests if not image_source.has(digest)]
        if missing:
            st.html(html.wrap(html.empty("Choose the files again.", _again(missing))))
        return [image_source.picture(lives[0], f"own.{one}", size) for one in digests if image_source.has(one)]
    last = (items if source == "item" else image_source.LAST_TEST + 1) - 1
    start, count = address.integer("start", 0, 0, last), address.integer("n", 16, *PICTURES)
    with two:
        st.number_input(f"From, 0 to {last:,}", 0, last, **address.bound("start", start, 0))
    with three:
        st.number_input(f"How many, up to {PICTURES[1]}", *PICTURES, **address.bound("n", count, 16))
    numbers = range(start, min(start + count, last + 1))
    return [image_source.picture(lives[0], f"{source}.{number}", size, seed) for number in numbers]


def _again(missing: Sequence[str]) -> str:
    digests = ", ".join(missing[:4])
    return f"The address is of somebody's own pictures, which are not stored here. Their SHA-256 begin with {digests}."


def order(frame: pd.DataFrame, how: str) -> list[int]:
    """Return the numbers of the pictures, the most interesting first.

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
        names = [picture.title for picture in shown]
        lines += [f"files = {names!r}  # write where they are"]
        lines.append(f"pictures = [lives[0].fit(read_picture(Path(file)), {size}) for file in files]")
    else:
        start, stop = int(first), int(first) + len(shown)
        items = f"items({start}, {stop}, {seed})" if source == "item" else f"held_out({start}, {stop})"
        lines.append(f"pictures = [picture.payload for picture in lives[0].{items}]")
    return [
        *lines,
        "compared = compare(lives, np.stack(pictures), timed=False)",
        "show(table(compared))",
        f"show(picture_table(compared, {names!r}))",
    ]


def headings(compared: Sequence[Compared]) -> list[tuple[str, str]]:
    """Return the headings of the columns that `lines` fills."""
    return [("Original", ""), *((one.model, f"{one.row()['psnr']:.2f} dB mean") for one in compared)]


def lines(
    compared: Sequence[Compared],
    shown: Sequence[Picture],
    lives: Sequence[Any],
    frame: pd.DataFrame,
    view: str,
    numbers: Sequence[int],
) -> tuple[list[Line], str]:
    """Return rows of pictures, and what stands beside the slider.

    Args:
        compared: the tokenizers.
        shown: the pictures.
        lives: the live tokenizers, for their tables.
        frame: what `backend.jobs.compare.picture_table` says.
        view: key of `VIEWS`.
        numbers: of the pictures to draw, in order.
    """
    originals = np.stack([one.pixels for one in shown])
    lost = [np.abs(one.decoded - originals).mean(1) / 2 for one in compared]  # [picture, height, width] each
    top = max(float(np.quantile(np.stack(lost), 0.999)), 1 / 255)
    colours = _matched(compared, lives) if view == "tokens" else []
    scores = {(row.picture, row.model): row for row in records(frame)}
    rows = []
    for i in numbers:
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
        place = {"own": index, "size": originals.shape[2]} if source == "own" else {"item": index}
        href = html.address("image_tokens", model=compared[0].model, source=source, **place)
        rows.append(Line(shown[i].title, href, notes, to_bytes(originals[i]), cells))
    notes_of = {
        "wipe": "Drag in any picture to lay the original over it. Shift and drag move, Ctrl and wheel zoom.",
        "difference": f"Mean over colours, one scale for all: black 0, white {html.share(top)} of the range and more.",
        "tokens": "One colour a cell: alike colours are alike codes of one tokenizer; palettes are turned to agree.",
    }
    return rows, notes_of[view]


def _matched(compared: Sequence[Compared], lives: Sequence[Any]) -> list[np.ndarray]:
    """Return the colours of every tokenizer's first codebook, those after the first turned towards it."""
    matched: list[np.ndarray] = []
    for one, live in zip(compared, lives, strict=True):
        site, tokens = next(iter(one.tokens.items()))
        colours = code_colours(tokens, live.table(site))
        matched.append(turned_towards(colours, matched[0]) if matched else colours)
    return matched


@st.fragment
def times_panel(names: tuple[str, ...], compared: Sequence[Compared], pixels: np.ndarray, lives: Sequence[Any]) -> None:
    """Draw how long the tokenizers take, measured by itself, and a button that measures again.

    Args:
        names: of the tokenizers.
        compared: what they make of the pictures.
        pixels: the pictures.
        lives: the live tokenizers.
    """
    again = int(session.kept("timed", 0))
    with widgets.guarded():
        heading = st.empty()
        with st.spinner("Measuring how long they take ..."):
            timings, when = timed(str(resources.data_dir()), names, pixels, again, lives)
        note = compare_figures.times_note(timings, len(pixels), when)
        heading.html(html.wrap(html.section("Time per picture", note)))
        widgets.draw(compare_figures.times_table(compared, timings))
        warning = compare_figures.busy_note(timings)
        left, right = st.columns([1, 5], vertical_alignment="center")
        left.button("Measure again", on_click=session.keep, args=("timed", again + 1), width="stretch")
        if warning:
            with right:
                widgets.draw(Markup('<p class="bad" role="status">{}</p>').format(warning))
