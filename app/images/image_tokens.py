"""One picture as a token map: what the model chose, a person's changes, what is decoded, and what the changes reach."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from markupsafe import Markup

from app.components.token_map import Cells, Pane
from app.draw import html, pictures
from app.images.image_source import LAST_TEST, SOURCES, Picture
from app.shell import address
from app.shell.timing import remembered
from backend.analysis.pixels import to_bytes
from backend.analysis.token_colours import code_colours
from backend.answers.live import TokenMap
from backend.edits.token_maps import Change, Copy, Footprint, Nearest, Paint, Swap, apply, footprint, parse
from backend.errors import CodescopeError

TOOLS = {
    "look": "Look",
    "paint": "Paint a code",
    "fill": "Fill a rectangle",
    "swap": "Swap two codes",
    "nearest": "M-th nearest",
    "copy": "Copy a region",
}
BRUSHES = ("paint", "fill")  # tools that give cells one code
OVERLAYS = {"none": "Nothing", "codes": "Codes", "error": "Cell error", "margin": "Margin"}
HINTS = {
    "look": "Point at a cell. Click chooses it, double click or O opens its code. Shift and drag move, Ctrl and wheel zoom.",
    "paint": "Every cell that a stroke touches gets the code above; a click paints one. Shift and drag move.",
    "fill": "Drag a rectangle to give all its cells the code above.",
    "swap": "Both codes are exchanged wherever they lie; drag a rectangle to exchange them there alone.",
    "nearest": "Drag a rectangle to replace the codes in it; the button replaces all.",
    "copy": "Drag a rectangle here to copy it from the other picture's same place; or drag one there and click here.",
}


@dataclass(frozen=True)
class View:
    """One picture, its tokens and what is decoded from them.

    Attributes:
        picture: the picture.
        chosen: site -> what the model chose, one picture.
        before: site -> int32 `[H, W]`, the model's own tokens.
        after: the same with the changes.
        decoded, changed: float32 `[3, height, width]`, decoded from `before` and `after`.
        footprint: where they differ.
    """

    picture: Picture
    chosen: Mapping[str, TokenMap]
    before: Mapping[str, np.ndarray]
    after: Mapping[str, np.ndarray]
    decoded: np.ndarray
    changed: np.ndarray
    footprint: Footprint

    @property
    def cell(self) -> tuple[int, int]:
        """Pixels of a cell, down and across."""
        rows, columns = next(iter(self.before.values())).shape
        return self.decoded.shape[1] // rows, self.decoded.shape[2] // columns


def changes() -> list[Change]:
    """Return the changes of the address (`change`, repeated). Raises `BadAddress` where one cannot be read."""
    try:
        return [parse(text) for text in address.many("change", limit=500)]
    except CodescopeError as error:
        raise address.BadAddress(f"The address asks for a change that cannot be read. {error}") from error


@remembered(200)
def encoded(
    data_dir: str, model: str, name: str, pixels: np.ndarray, _live: Any
) -> tuple[dict[str, TokenMap], np.ndarray]:
    """Return what the model chooses and decodes for one picture; kept, so that an edit decodes only itself."""
    chosen = _live.encode(pixels[None])
    return chosen, _live.decode({site: maps.codes for site, maps in chosen.items()})[0]


def view(data_dir: str, model: str, live: Any, picture: Picture, edits: Sequence[Change], other: Any) -> View:
    """Encode, change, decode.

    Args:
        data_dir: of the model.
        model: its name.
        live: the live tokenizer.
        picture: the picture.
        edits: the changes.
        other: name of another picture -> `Picture`, for copies.
    """
    chosen, decoded = encoded(data_dir, model, picture.name, picture.pixels, live)
    before = {site: maps.codes[0] for site, maps in chosen.items()}

    def tokens_of(name: str) -> dict[str, np.ndarray]:
        return {
            site: maps.codes[0] for site, maps in encoded(data_dir, model, name, other(name).pixels, live)[0].items()
        }

    after = apply(edits, before, {site: live.table(site) for site in before}, tokens_of)
    same = all(np.array_equal(before[site], after[site]) for site in before)
    changed = decoded if same else live.decode({site: codes[None] for site, codes in after.items()})[0]
    return View(picture, chosen, before, after, decoded, changed, footprint(before, after, decoded, changed))


# -- changing ------------------------------------------------------------------------------------------------------


def added(edits: Sequence[Change], new: Change) -> list[Change]:
    """Return the changes with one more; strokes of the same code become one."""
    last = edits[-1] if edits else None
    if (
        isinstance(new, Paint)
        and isinstance(last, Paint)
        and (last.site, last.code) == (new.site, new.code)
        and isinstance(last.cells, tuple)
        and isinstance(new.cells, tuple)
    ):
        return [*edits[:-1], Paint(new.site, new.code, tuple(sorted({*last.cells, *new.cells})))]
    return [*edits, new]


def cells_of(box: Sequence[int], columns: int) -> tuple[int, ...]:
    """Return the cells of a region (top, left, bottom, right) in reading order."""
    top, left, bottom, right = box
    return tuple(row * columns + column for row in range(top, bottom) for column in range(left, right))


def picked(
    report: Any, tool: str, site: str, sites: Sequence[str], columns: int, brush: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a click, a stroke or a dragged rectangle on the map means: parameters of the address to set.

    Args:
        report: `{"pane", "box"}` of the map, of a stroke also `cells`.
        tool: key of `TOOLS`.
        site: the codebook that is shown.
        sites: all codebooks; a region is copied in each.
        columns: of the map.
        brush: `code`, `first`, `second`, `rank` or `other` (written form of a picture), as the tool has them.
    """
    box = [int(v) for v in report["box"]]
    touched = [int(cell) for cell in report.get("cells") or ()]
    cells, edits = tuple(sorted(set(touched))) or cells_of(box, columns), changes()
    new: list[Change] = []
    if report["pane"] == "other":
        return {"region": ".".join(map(str, box))}
    if tool in BRUSHES:
        new = [Paint(site, brush["code"], cells)]
    elif tool == "swap" and len(cells) > 1:
        new = [Swap(site, brush["first"], brush["second"], cells)]
    elif tool == "nearest" and len(cells) > 1:
        new = [Nearest(site, brush["rank"], cells)]
    elif tool == "copy":
        top, left, bottom, right = (region() if len(cells) == 1 else None) or box
        new = [Copy(one, brush["other"], (top, left, bottom, right), (box[0], box[1])) for one in sites]
    if not new:
        return {"cell": cells[0]}
    for change in new:
        edits = added(edits, change)
    if tool not in BRUSHES:
        return {"change": [str(change) for change in edits]}
    return {"change": [str(change) for change in edits], "cell": touched[-1] if touched else cells[0]}


# -- showing -------------------------------------------------------------------------------------------------------


def panes(shown: View, other: Picture | None, over: str = "") -> list[Pane]:
    """Return original, decoded, and with changes what is decoded now and where it differs; the other picture to copy from.

    Args:
        shown: the view.
        other: the picture to copy from.
        over: title of a pane for what lies over the picture; empty: nothing does.
    """
    picture, foot = shown.picture, shown.footprint
    edited = bool(foot.edited.any())
    error = np.abs(shown.decoded - picture.pixels).mean(0) / 2
    alt = f"{picture.title}, as the model is shown it"
    row = [Pane("original", "Original", to_bytes(picture.pixels), alt, picture.title)]
    if over:
        under, note = (shown.changed, "with your changes") if edited else (picture.pixels, "over the picture")
        row.append(Pane("map", over, to_bytes(under), f"{over} of {picture.title}", note, "after", overlay=True))
    note = f"mean error {html.share(float(error.mean()))}"
    row.append(Pane("decoded", "Decoded", to_bytes(shown.decoded), "decoded from the model's tokens", note))
    if edited:
        note = f"{int(foot.edited.sum())} of {foot.edited.size:,} cells edited"
        now = to_bytes(shown.changed)
        row.append(Pane("changed", "With your changes", now, "decoded with the changes", note, edited=True))
        top = max(float(foot.difference.max()), 1 / 255)
        note = f"0 to {html.share(top)}; {html.share(foot.outside_share)} outside"
        heat, alt = pictures.heat(foot.difference, top), "difference to what was decoded before"
        row.append(Pane("footprint", "What they change", heat, alt, note, edited=True))
    else:
        top = max(float(error.max()), 1 / 255)
        heat, alt = pictures.heat(error, top), "difference of decoded and original"
        row.append(Pane("error", "What is lost", heat, alt, f"0 to {html.share(top)} of the range"))
    if other is not None:
        row.append(Pane("other", "Copy from", to_bytes(other.pixels), f"{other.title}, to copy from", other.title))
    return row


def errors(shown: View, site: str) -> np.ndarray:
    """Return the cell errors: mean |difference| of what is decoded now to the original, a share of the range, `[H, W]`."""
    return pictures.by_cell(np.abs(shown.changed - shown.picture.pixels).mean(0) / 2, shown.before[site].shape)


def overlay(shown: View, kind: str, site: str, table: np.ndarray) -> np.ndarray | None:
    """Return uint8 `[H, W, 3]`, one colour a cell, of a key of `OVERLAYS`."""
    if kind == "codes":
        return pictures.places_to_rgb(code_colours(shown.after[site][None], table)[0])
    values = {"error": errors(shown, site), "margin": shown.chosen[site].margins[0]}.get(kind)
    return None if values is None else pictures.heat(values, float(np.nanmax(np.where(np.isfinite(values), values, 0))))


def cells(shown: View, site: str, counts: np.ndarray | None, other: Mapping[str, TokenMap] | None) -> Cells:
    """Return what the map says of each cell.

    Args:
        shown: the view.
        site: the codebook.
        counts: how often each code fires in the build, or None.
        other: the other picture's tokens.
    """
    after, choice = shown.after[site], shown.chosen[site]
    if counts is None:
        counts, counted = (
            np.bincount(after[after >= 0], minlength=int(after.max(initial=0)) + 1),
            "times in this picture",
        )
    else:
        counted = "times in the build"
    return Cells(
        site,
        shown.before[site],
        after,
        choice.runner_up[0],
        choice.margins[0],
        np.where(after >= 0, counts[np.maximum(after, 0)], 0),
        counted,
        errors(shown, site),
        None if other is None else other[site].codes[0],
    )


def codes_json(shown: View, model: str, edits: Sequence[Change]) -> str:
    """Return tokens and changes as a JSON document."""
    document = {
        "model": model,
        "picture": shown.picture.name,
        "changes": [str(change) for change in edits],
        "codes": {site: codes.tolist() for site, codes in shown.after.items()},
        "codes_before": {site: codes.tolist() for site, codes in shown.before.items()},
    }
    return json.dumps(document)


def change_list(edits: Sequence[Change]) -> Markup:
    """Draw the changes in their order, as addresses write them."""
    said = Markup("").join(
        Markup('<span class="tag mono">{}</span>').format(_short(str(change))) for change in edits[-6:]
    )
    more = Markup('<span class="faint">{} before these</span>').format(len(edits) - 6) if len(edits) > 6 else Markup("")
    return Markup('<div class="chips">{}{}</div>').format(more, said)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


def tool_fields(tool: str, site: str, last: int, here: int, other: str) -> dict[str, Any]:
    """Draw the fields of a tool; what they say is the `brush` of `picked`.

    Args:
        tool: key of `TOOLS`, not `look`.
        site: the codebook.
        last: its highest code.
        here: the code of the chosen cell.
        other: written form of the picture to copy from where nothing is said.
    """
    brush: dict[str, Any] = {}
    fields = st.columns([1, 1, 2], vertical_alignment="bottom")

    def number(place: int, label: str, name: str, default: int, low: int, high: int) -> int:
        value = address.integer(name, default, low, high)
        with fields[place]:
            st.number_input(label, low, high, **address.bound(name, value))
        return value

    if tool in BRUSHES:
        brush["code"] = number(0, f"Code, 0 to {last:,}", "code", here, 0, last)
    elif tool == "swap":
        brush["first"] = number(0, f"Code of {site}", "code", here, 0, last)
        brush["second"] = number(1, "and code", "second", min(here + 1, last), 0, last)
    elif tool == "nearest":
        brush["rank"] = number(0, "M", "rank", 1, 1, last)
    else:
        options = ["item", "test"] if other.startswith("item") else ["test"]
        source = address.choice("from", options, options[0])
        with fields[0]:
            st.selectbox(
                "Copy from",
                options,
                format_func=SOURCES.__getitem__,
                **address.bound("from", source, options[0], ["region"]),
            )
        index = number(1, "Number", "other", 1, 0, LAST_TEST)
        brush["other"] = f"{source}.{index}"
    return brush


def region() -> list[int] | None:
    """Return the region chosen on the other picture, from the address."""
    parts = address.text("region", "", 40).split(".")
    return (
        [int(part) for part in parts] if len(parts) == 4 and all(p.isascii() and p.isdigit() for p in parts) else None
    )


def as_python(model: str, picture: Picture, edits: Sequence[Change], seed: int) -> list[str]:
    """Return lines that encode and decode the same picture with the same changes."""
    source, _, index = picture.name.partition(".")
    pixels = {
        "item": f"live.items({index}, {index} + 1, {seed})[0].payload[None]",
        "test": f"live.held_out({index}, {index} + 1)[0].payload[None]",
    }.get(source, f"live.fit(read_picture(Path('YOUR-PICTURE')), {picture.pixels.shape[1]})[None]")
    lines = (
        []
        if source in ("item", "test")
        else ["from pathlib import Path", "from backend.data.images.files import read_picture"]
    )
    lines += [
        f"live = explorer.live({model!r})",
        f"tokens = {{site: maps.codes for site, maps in live.encode({pixels}).items()}}",
    ]
    if edits:
        lines += [
            "from backend.edits.token_maps import apply, parse",
            "def others(name):  # the pictures that regions are copied from",
            "    source, start = name.split('.')[0], int(name.split('.')[1])",
            f"    items = live.items(start, start + 1, {seed}) if source == 'item' else live.held_out(start, start + 1)",
            "    return {site: map.codes[0] for site, map in live.encode(items[0].payload[None]).items()}",
            f"changes = [parse(text) for text in {[str(change) for change in edits]!r}]",
            "before, tables = {s: c[0] for s, c in tokens.items()}, {s: live.table(s) for s in tokens}",
            "tokens = {s: c[None] for s, c in apply(changes, before, tables, others).items()}",
        ]
    return [
        *lines,
        "pixels = live.decode(tokens)",
        "for site, codes in tokens.items():",
        '    print(site, codes[0], sep="\\n")',
    ]
