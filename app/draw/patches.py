"""Pictures as HTML: cells of pictures drawn crisp, each a link to its picture; where a code lies; codes with a cell each."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from app.draw import html
from app.draw.tables import Row, records
from backend.answers.stored import Patch
from backend.data.images.png import encode_png
from backend.types import CodeRef

SIZE = 72  # pixels on the screen


def data_uri(pixels: np.ndarray) -> str:
    """uint8 `[height, width, 3 or 4]` as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode()


def item_address(model: str, item: int, cell: int | None = None, site: str = "") -> str:
    """The address of a picture of a build; `cell` counts row by row."""
    return html.address("image_tokens", model=model, item=item, cell=cell, site=site)


def picture(pixels: np.ndarray, size: int, alt: str, around: int = 0, css: str = "") -> Markup:
    """A picture without smoothing; with `around` the cell in its middle is framed."""
    cells = 2 * around + 1
    frame = Markup("")
    if around:
        place = f"{100 * around / cells:.3f}%"
        frame = Markup('<i style="inset:{0}"></i>').format(place)
    return Markup(
        '<span class="patch {}" style="width:{}px;height:{}px"><img src="{}" alt="{}" width="{}" height="{}">{}</span>'
    ).format(css, size, size, data_uri(pixels), alt, size, size, frame)


def patch(one: Patch, size: int = SIZE) -> Markup:
    """A patch among its neighbours, framed; leads to its picture."""
    truth = html.labels_text(one.labels)
    title = (
        f"item {one.item}, row {one.row}, column {one.column} · distance {-one.score:.3f} · margin {one.margin:.3f}"
        + (f" · {truth}" if truth else "")
    )
    href = item_address(one.ref.model, one.item, one.place, one.ref.site)
    shown = picture(one.crop, size, f"patch of item {one.item}", one.around)
    return html.link(href, shown, "patch-link", title)


def gallery(found: Sequence[Patch], size: int = SIZE, note: str = "") -> Markup:
    """Patches that flow over lines.

    Args:
        found: the patches.
        size: pixels of each on the screen.
        note: `distance` or `margin` is written under each; empty for nothing.
    """
    if not found:
        return html.empty("None.", "It fires nowhere here.")

    def one(p: Patch) -> Markup:
        figure = {"distance": f"{-p.score:.3f}", "margin": f"+{p.margin:.3f}"}.get(note, "")
        under = Markup("<figcaption>{}</figcaption>").format(figure) if figure else Markup("")
        return Markup("<figure>{}{}</figure>").format(patch(p, size), under)

    return Markup('<div class="patches">{}</div>').format(Markup("").join(one(p) for p in found))


def pictures(shown: Iterable[np.ndarray], size: int, alt: str, around: int = 0) -> Markup:
    """Pictures that lead nowhere, e.g. decoded ones."""
    return Markup('<div class="patches">{}</div>').format(
        Markup("").join(Markup("<figure>{}</figure>").format(picture(one, size, alt, around)) for one in shown)
    )


def places(counts: np.ndarray, css: str, size: int = 208) -> Markup:
    """How often a code lies at each cell of the grid, as a heat map whose cells say their count."""
    most, total = int(counts.max(initial=0)), int(counts.sum())
    cells = Markup("").join(
        Markup('<i style="--a:{:.3f}" title="row {}, column {}: {:,} ({})"></i>').format(
            count / max(1, most), row, column, count, html.share(count / max(1, total))
        )
        for row, line in enumerate(counts.tolist())
        for column, count in enumerate(line)
    )
    alt = f"How often the code lies at each of {counts.shape[0]} x {counts.shape[1]} cells"
    return Markup(
        '<div class="places {}" role="img" aria-label="{}" style="grid-template-columns:repeat({},1fr);width:{}px">{}</div>'
        '<p class="faint">at most {:,} in one cell; {:,} in all, {:.1f} a cell if all were alike</p>'
    ).format(css, alt, counts.shape[1], size, cells, most, total, total / max(1, counts.size))


def code_table(codes: pd.DataFrame, typical: Mapping[int, Patch], labels: Mapping[CodeRef, str]) -> Markup:
    """Nearest codes, each with the patch that lies nearest to it.

    Args:
        codes: what `Explorer.neighbours` says.
        typical: code -> patch.
        labels: people's labels.
    """
    if codes.empty:
        return html.empty("None.", "No other code of this codebook is alive.")
    rows = [
        [
            patch(typical[row.ref.code], 44) if row.ref.code in typical else "",
            html.chip(row.ref, int(row.count), labels.get(row.ref, "")),
            html.number(row.distance),
            html.number(row.cosine),
        ]
        for row in records(codes)
    ]
    return html.table(["Patch", "Code", "Distance", "Cosine"], rows, right=(2, 3), caption="nearest codes")


def code_gallery(codes: pd.DataFrame, typical: Mapping[int, Patch], labels: Mapping[CodeRef, str]) -> Markup:
    """Codes as the patch that lies nearest to each, with number and count below; each leads to its code's page."""

    def one(row: Row) -> Markup:
        found = typical[int(row.code)]
        label = labels.get(found.ref, "")
        title = f"{found.ref} · fires {int(row.count):,} times" + (f" · {html.visible_label(label)}" if label else "")
        shown = picture(found.crop, 52, f"patch of code {row.code}", found.around)
        return Markup("<figure>{}<figcaption>{}<br>{}</figcaption></figure>").format(
            html.link(html.code_address(found.ref), shown, "patch-link", title),
            Markup("<b>{}</b>").format(row.code),
            html.compact(int(row.count)),
        )

    shown = [one(row) for row in records(codes) if int(row.code) in typical]
    return Markup('<div class="patches">{}</div>').format(Markup("").join(shown))
