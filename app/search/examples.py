"""Codes to click where a search by coverage is still empty: made of the chosen model's own."""

from __future__ import annotations

from markupsafe import Markup

from app.draw import html
from backend.explorer import Explorer
from backend.types import CodeRef

MOST = 2
COVERED = (0.5, 0.3, 0.15, 0.05)  # shares of an item that a code covers, the largest that two do


def of_coverage(explorer: Explorer, model: str) -> Markup:
    """Two codes that each cover much of an item: half of it where there are such, else less."""
    found = dict[CodeRef, str]()
    for least in COVERED:
        item = -1
        for _ in range(4 * MOST):  # the same code may cover several items in a row
            topic = explorer.next_topic(model, item, least)
            if topic is None or topic.item <= item or len(found) == MOST:
                break
            item = topic.item
            found.setdefault(topic.ref, f"covers {html.share(topic.share)} of item {item}")
    return links(
        [
            (
                f"{ref.site} {ref.code}",
                html.address("search", model=model, mode="covered", site=ref.site, code=ref.code),
                words,
            )
            for ref, words in found.items()
        ]
    )


def links(found: list[tuple[str, str, str]]) -> Markup:
    """Words, address and what they mean: each a link with its meaning beside it; nothing where there are none."""
    lines = [
        Markup('<div class="actions" style="margin-top:.35rem">{} <span class="faint">{}</span></div>').format(
            html.link(href, html.visible_label(words), "act mono"), meaning
        )
        for words, href, meaning in found
    ]
    return Markup('<p class="faint">For example:</p>{}').format(Markup("").join(lines)) if lines else Markup("")
