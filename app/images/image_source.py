"""The pictures that image pages show: of a build, held out, or a person's own, which stays in the session.

A picture has one written form, for addresses: `item.12` (of the build), `test.5` (held out), `own.3f2a...` (the first 16
digits of its file's SHA-256: whoever opens the address chooses the file again).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.shell import address, session
from backend.data.images.files import read_picture
from backend.errors import BadInput

KEPT = 12  # own pictures of one session
DIGITS = 16
# parameters of the address that stay with another tokenizer: the picture, the cell, the tool, and how it is looked at
KEEPS = ("source", "item", "own", "size", "cell", "tool", "overlay", "lines", "widely")
SOURCES = {"item": "Of the build", "test": "Held out", "own": "My own"}
LAST_TEST = 9_999


@dataclass(frozen=True)
class Picture:
    """A picture as a model takes it.

    Attributes:
        name: its written form.
        title: for people.
        pixels: float32 `[3, height, width]` in [-1, 1].
        tags: what is true of it.
    """

    name: str
    title: str
    pixels: np.ndarray
    tags: Mapping[str, str] = field(default_factory=dict)


def picture(live: Any, name: str, size: int, seed: int = 0) -> Picture:
    """Return the picture of a written form.

    Args:
        live: the live tokenizer that is to see it.
        name: its written form.
        size: pixels a side of a person's own.
        seed: of the build's items.

    Raises:
        BadInput: there is none; an own one has to be chosen again.
    """
    source, _, rest = name.partition(".")
    if source in ("item", "test") and rest.isascii() and rest.isdigit() and len(rest) < 10:
        index = int(rest)
        items = live.items(index, index + 1, seed) if source == "item" else live.held_out(index, index + 1)
        if not items:
            raise BadInput(f"There is no picture {index}. Choose a smaller number.")
        return Picture(
            name, f"{'item' if source == 'item' else 'held-out picture'} {index}", items[0].payload, items[0].tags
        )
    uploads = session.kept("uploads", {})
    if source == "own" and rest in uploads:
        title, data = uploads[rest]
        return Picture(name, title, live.fit(_pixels(rest, data), size))
    raise BadInput(f"The picture {name[:60]} is not here. If it is your own, choose its file again.")


def _pixels(digest: str, data: bytes) -> np.ndarray:
    """Return uint8 `[height, width, 3]`; the last one is kept decoded."""
    if session.kept("decoded", ("", None))[0] != digest:
        session.keep("decoded", (digest, read_picture(data)))
    pixels: np.ndarray = session.kept("decoded")[1]
    return pixels


def has(digest: str) -> bool:
    """Say whether the session holds that file."""
    return digest in session.kept("uploads", {})


def upload(label: str, key: str, *, several: bool = False) -> list[str]:
    """Let a person choose pictures; broken ones are said and left out.

    Args:
        label: of the field.
        key: names it on the page.
        several: more than one may be chosen.

    Returns:
        Digests of what is chosen now, in order.
    """
    chosen = st.file_uploader(
        label, accept_multiple_files=several, key=key, help="It stays in this session and is never stored."
    )
    files = chosen if isinstance(chosen, list) else [] if chosen is None else [chosen]
    uploads, digests = dict(session.kept("uploads", {})), []
    for file in files[:KEPT]:
        data = file.getvalue()
        digest = hashlib.sha256(data).hexdigest()[:DIGITS]
        if digest not in uploads:
            try:
                read_picture(data)
            except BadInput as error:
                st.warning(f"{html.visible_label(file.name[:80])}: {error}")
                continue
            uploads[digest] = (file.name[:80], data)
        digests.append(digest)
    while len(uploads) > KEPT:
        uploads.pop(next(iter(uploads)))
    session.keep("uploads", uploads)
    return digests


def choose(live: Any, built: bool, items: int, seed: int) -> Picture | None:
    """Draw the fields that choose one picture, all in the address (`source`, `item`, `own`, `size`).

    Args:
        live: the live tokenizer.
        built: whether the model has a build.
        items: how many pictures that has.
        seed: its seed.

    Returns:
        The picture; None where a person has still to choose a file.
    """
    options = [name for name in SOURCES if built or name != "item"]
    source = address.choice("source", options, options[0])
    clears = ["item", "change", "cell", "region"]
    first, second, third = st.columns([1.5, 1.2, 2.2], vertical_alignment="bottom")
    with first:
        st.segmented_control(
            "Picture",
            options,
            format_func=SOURCES.__getitem__,
            required=True,
            **address.bound("source", source, options[0], clears),
        )
    if source != "own":
        last = items - 1 if source == "item" else LAST_TEST
        number = address.integer("item", 0, 0, last)
        with second:
            st.number_input(
                f"Number, 0 to {last:,}", 0, last, **address.bound("item", number, None, ["change", "cell", "region"])
            )
        shown = picture(live, f"{source}.{number}", live.size, seed)
        with third:
            st.html(html.wrap(_tags(shown.tags)))
        return shown
    sizes = own_sizes(live.size, live.cell)
    digest = address.text("own", "", 64)
    with second:
        size = int(address.choice("size", list(map(str, sizes)), str(default_size(sizes))))
        st.selectbox(
            "Pixels a side", sizes, **address.bound("size", size, default_size(sizes), ["change", "cell", "region"])
        )
    with third:
        uploaded = upload("A picture of your own (its middle square is used)", "upload")
    if uploaded and uploaded[0] != digest and session.kept("last upload") != uploaded[0]:
        session.keep("last upload", uploaded[0])
        address.write(own=uploaded[0], change=None, cell=None, region=None)
        digest = uploaded[0]
    if digest and has(digest):
        return picture(live, f"own.{digest}", size, seed)
    text: str | Markup = (
        f"This address is of a picture of somebody's own, whose file's SHA-256 begins with {digest}. It is not stored here: "
        "choose the same file again."
        if digest
        else examples(
            "PNG, JPEG, WebP, TIFF and more; a photo is cut to its middle square and scaled to the size beside. Or look at",
            [
                (html.address("image_tokens", model=live.spec.name), "the picture on which one code says most"),
                (
                    html.address("image_tokens", model=live.spec.name, source="test", item=7, overlay="codes"),
                    "a held-out one",
                ),
            ],
        )
    )
    st.html(html.wrap(html.empty("Choose a picture.", text)))
    return None


def examples(text: str, links: Sequence[tuple[str, str]]) -> Markup:
    """Return what to look at instead where nothing is chosen yet.

    Args:
        text: leads to the links.
        links: address and words of each.
    """
    shown = Markup(" ").join(html.link(href, words, "act") for href, words in links)
    return Markup('{}: <span class="actions" style="display:inline-flex">{}</span>').format(text, shown)


def _tags(tags: Mapping[str, str]) -> Markup:
    """Draw what is true of the picture, in one line."""
    said = Markup(" ").join(
        Markup('<span class="tag">{} {}</span>').format(name, html.visible_label(value))
        for name, value in tags.items()
        if value
    )
    return Markup('<div class="chips">{}</div>').format(said)


def same_place(cell: int, before: int, after: int) -> int:
    """Return the cell at the same place of the same picture where it is cut into another number of cells.

    Args:
        cell: in reading order.
        before: cells along one side when it was chosen.
        after: cells along one side now.
    """
    row, column = divmod(cell, before)
    return row * after // before * after + column * after // before


def own_sizes(size: int, cell: int) -> list[int]:
    """Return the sides that a person's own picture can have: from the trained one up to 256 pixels, doubling."""
    sizes = [size]
    while sizes[-1] * 2 <= 256:
        sizes.append(sizes[-1] * 2)
    return [one - one % cell for one in sizes]


def default_size(sizes: Sequence[int]) -> int:
    """Return 128 pixels, or the nearest above that there is."""
    return next((one for one in sizes if one >= 128), sizes[-1])
