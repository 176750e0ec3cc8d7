"""What a card shows of a model: an item of its build with the codes in it. One function a kind of item."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st
from markupsafe import Markup

from app.draw import html, patches
from app.draw.pictures import places_to_rgb
from app.draw.tables import Row
from backend.answers.meaning import FirstLook
from backend.answers.stored import Context, Token
from backend.explorer import Explorer
from backend.types import CodeRef

LINES, CHARACTERS = 2, 92  # places of a text that are shown, and how much of it around each
AROUND = 40  # tokens read on each side, of which as many are shown as fit
PICTURES, SIDE = 2, 88  # pictures that are shown, and their pixels on the screen


def sample(explorer: Explorer, about: Row, look: FirstLook) -> Markup:
    """Return the sample of a model; empty where nothing is known of how its items look.

    Args:
        explorer: the explorer.
        about: the model's row of `Explorer.models`.
        look: its most meaningful code.
    """
    draw = SAMPLES.get(str(about.kind))
    return draw(explorer, CodeRef(str(about.model), look.site, look.code)) if draw else Markup("")


def _text(explorer: Explorer, ref: CodeRef) -> Markup:
    """Draw random held-out places at which the code fires, coloured where it does."""
    places = explorer.examples(ref, "random", n=LINES, context=AROUND, half=1)
    places = places or explorer.examples(ref, "random", n=LINES, context=AROUND)
    lines = [
        html.link(
            html.address("lens", model=ref.model, item=place.item, place=place.place, site=ref.site),
            text_line(around(place, CHARACTERS)),
            "line",
            f"item {place.item}: see all of it",
        )
        for place in places
    ]
    return Markup('<div class="text {}">{}</div>').format(html.colour_of(ref.site), Markup("").join(lines))


def around(place: Context, characters: int) -> list[Token]:
    """Return the token of a place with as many before and after it as fit into so many characters, evenly on both sides."""
    shown, room = [place.token], characters - _length(place.token)
    before, after = list(place.before), list(place.after)
    in_front = behind = 0
    while before or after:
        front = bool(before) and (not after or in_front <= behind)
        token = before.pop() if front else after.pop(0)
        room -= _length(token)
        if room < 0:
            break
        shown = [token, *shown] if front else [*shown, token]
        in_front, behind = in_front + front, behind + (not front)
    return shown


def _length(token: Token) -> int:
    return len(token.text) + len(token.gap)


def text_line(tokens: Sequence[Token]) -> Markup:
    """Return tokens as they read, coloured where the code in question fires; spaces stay spaces, so that words can wrap."""
    parts = []
    for token in tokens:
        text = html.visible_label(token.gap + token.text)
        word = text.lstrip(" ")
        parts.append(Markup(" ") if len(word) < len(text) else Markup(""))
        parts.append(Markup('<span class="t fires">{}</span>').format(word) if token.fires else Markup.escape(word))
    return Markup("").join(parts)


def _pictures(explorer: Explorer, ref: CodeRef) -> Markup:
    """Draw pictures in which the code lies, beside their token maps: each code a colour, near codes near colours."""
    found = explorer.patches(ref, "random", n=12, around=0)
    items = list(dict.fromkeys(patch.item for patch in found))[:PICTURES]
    colours = code_colours(str(explorer.data_dir), explorer.build(ref.model), ref.model, ref.site, explorer)
    parts = []
    for item in items:
        tokens = explorer.token_map(ref.model, item, ref.site)[..., 0]  # [row, column]: the best of the slots
        pair = (explorer.picture(ref.model, item), colours[np.maximum(tokens, 0)])
        names = (f"item {item}", f"the codes of item {item}")
        drawn = [patches.picture(pixels, SIDE, name) for pixels, name in zip(pair, names, strict=True)]
        title = f"item {item} and its {tokens.size} codes: see which is which"
        parts.append(
            html.link(patches.item_address(ref.model, item, site=ref.site), Markup("").join(drawn), "pair", title)
        )
    return Markup('<div class="pictures">{}</div>').format(Markup("").join(parts))


@st.cache_data(max_entries=64, show_spinner=False)
def code_colours(data_dir: str, build: str, model: str, site: str, _explorer: Explorer) -> np.ndarray:
    """Return a colour for every code of a codebook by its place among them, uint8 `[num_codes, 3]`."""
    codes = _explorer.codes(model, site)
    live = codes["count"] > 0
    # ranks among the codes that fire spread the colours evenly, however the codes crowd together
    x, y = (2 * codes[axis].where(live).rank(pct=True).fillna(0.5).to_numpy() - 1 for axis in ("pca_x", "pca_y"))
    return places_to_rgb(np.stack([x, y, -(x + y) / 2], axis=-1)[None])[0]


SAMPLES: dict[str, Callable[[Explorer, CodeRef], Markup]] = {"text": _text, "image": _pictures}
