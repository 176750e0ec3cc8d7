"""Examples to click where a search is still empty: made of the chosen model's own codes, labels and tokens."""

from __future__ import annotations

import re

from markupsafe import Markup

from app.draw import html
from app.draw.tables import records
from backend.explorer import Explorer
from backend.types import CodeRef

MOST = 2
COVERED = (0.5, 0.3, 0.15, 0.05)  # shares of an item that a code covers, the largest that two do
LONG = 5  # letters of a word that is more than grammar


def of_codes(explorer: Explorer, model: str) -> Markup:
    """Two queries with the model's best code: what fires with it, and what fires just behind it."""
    look = explorer.first_look(model)
    first = CodeRef(model, look.site, look.code)
    about = f"{first.site} {first.code}" + (f" ({look.text})" if look.text else "")
    ways = (
        ("{first} and {other}", explorer.together(first, 1), "with the code that goes with it most"),
        ("{first} then1 {other}", explorer.beside(first, 1, 1), "right before the code that follows it most"),
        ("{other} then1 {first}", explorer.beside(first, -1, 1), "right behind the code that comes before it most"),
    )
    found = []
    for form, table, words in ways:
        for other in list(table["ref"])[: 1 if len(found) < MOST else 0]:
            query = form.format(first=f"{first.site}:{first.code}", other=f"{other.site}:{other.code}")
            href = html.address("search", model=model, mode="codes", query=query)
            found.append((query, href, f"{about} {words}"))
    return links(found)


def of_patterns(explorer: Explorer, model: str, of_text: bool) -> Markup:
    """A label value that a code stands for, and of text a pattern, the commonest token of that code; else another value."""
    concepts = explorer.concepts(model).sort_values("f1", ascending=False, kind="stable").head(MOST)
    found = [
        (
            f"{r.field} = {r.value}",
            html.address("search", model=model, field=r.field, value=r.value),
            f"which codes stand for it? {r.site} {r.code} does, at {html.share(r.precision)} precision",
        )
        for r in records(concepts)
    ]
    if of_text and (word := _word(explorer, model)):
        pattern = rf"\b({re.escape(word)})\b" if word.isalpha() else f"({re.escape(word)})"
        found[1:] = [(pattern, html.address("search", model=model, pattern=pattern), "which codes fire on this word?")]
    return links(found)


def _word(explorer: Explorer, model: str) -> str:
    """A word that the model's best code fires on: what it stands for where that is one of them, else a longer one; or ''."""
    look = explorer.first_look(model)
    tokens = [str(token).strip() for token in explorer.tokens_of(CodeRef(model, look.site, look.code), 50)["token"]]
    tokens = [token for token in tokens if token.isalnum()]
    value = look.text.rpartition(" = ")[2]
    return min(tokens, key=lambda token: (token.lower() != value.lower(), len(token) < LONG), default="")


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
