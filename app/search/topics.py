"""The topic finder: which codes cover a passage, and which passages a code covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.draw.tables import Row, records
from app.shell import address, chosen, resources, session, widgets
from backend.answers.stored import Context, ItemView, Token
from backend.explorer import Coverage, Explorer
from backend.types import CodeRef

MAX_TOKENS = 400  # drawn of one passage
EXAMPLES = 2
COVERED = (0.5, 0.3, 0.15, 0.05)  # shares of an item that a code covers, the largest that two do


def passage_table(found: pd.DataFrame, labels: Mapping[CodeRef, str], view: Mapping[str, object]) -> Markup:
    """The codes that cover a passage, the one that is most special to it first; each can be marked in the text above.

    Args:
        found: what `Explorer.passage_codes` says.
        labels: people's labels.
        view: parameters of this view; `mark` is added.
    """
    rows = [
        [
            html.chip(row.ref, int(row.count), labels.get(row.ref, "")),
            html.link(
                html.address("search", **{**view, "mark": f"{row.site}:{row.ref.code}"}),
                "mark",
                title="where in the passage?",
            ),
            html.link(
                html.address("search", model=row.ref.model, mode="covered", site=row.site, code=row.ref.code),
                "others",
                title="which passages does it cover?",
            ),
            html.coloured(html.colour_of(row.site), html.bar(row.share)),
            f"{int(row.fires):,}",
            html.share(row.corpus_share),
            f"{row.lift:.1f} ×",
            f"{row.bits:,.0f}",
            html.visible_label(row.tag) or "–",
            html.share(row.tag_precision),
            html.share(row.tag_share),
        ]
        for row in records(found)
    ]
    columns = [
        "Code",
        "",
        "",
        "Share of the passage",
        "Tokens",
        "Share of the build",
        "Lift",
        "Bits",
        "Tag of the item",
    ]
    columns += ["Precision for the tag", "Chance"]
    return html.table(columns, rows, right=(4, 5, 6, 7, 9, 10), caption="codes that cover the passage")


def passage_text(item: ItemView, start: int, stop: int, fires: frozenset[int], css: str) -> Markup:
    """The item's text; what lies outside the passage is faint, and the tokens at which a code fires are marked.

    Args:
        item: the item.
        start: first place of the passage.
        stop: the place behind its last.
        fires: places at which the marked code fires.
        css: its colour class.
    """
    parts = [_tokens(item.tokens[part], fires, faint) for part, faint in _parts(len(item.tokens), start, stop)]
    return Markup('<div class="text {}">{}</div>').format(css, Markup("").join(parts))


def _parts(length: int, start: int, stop: int) -> list[tuple[slice, bool]]:
    stop = min(stop, start + MAX_TOKENS)
    cut = min(length, stop + MAX_TOKENS // 4)
    return [
        (slice(max(0, start - MAX_TOKENS // 4), start), True),
        (slice(start, stop), False),
        (slice(stop, cut), True),
    ]


def _tokens(tokens: Sequence[Token], fires: frozenset[int], faint: bool) -> Markup:
    drawn = Markup("").join(html.token(one, 0.7 if one.place in fires else None) for one in tokens)
    return Markup('<span class="faint">{}</span>').format(drawn) if faint else drawn


def coverage_list(found: Coverage, ref: CodeRef) -> Markup:
    """The passages that a code covers, one below the other, its tokens marked."""
    rows = [_covered(row, passage, ref) for row, passage in zip(records(found.table), found.passages, strict=True)]
    return Markup('<div class="examples {}">{}</div>').format(html.colour_of(ref.site), Markup("").join(rows))


def _covered(row: Row, passage: Context, ref: CodeRef) -> Markup:
    tokens = [passage.token, *passage.after]
    href = html.address("search", model=ref.model, mode="passage", item=row.item, mark=f"{ref.site}:{ref.code}")
    meta = Markup("{} · {} of {:,} tokens{}<br>{}").format(
        html.link(href, f"item {row.item}", title="which codes cover it?"),
        html.share(row.share),
        int(row.positions),
        " · held out" if row.half else "",
        tag_text(row.tags),
    )
    rest = Markup(' <span class="faint">… {:,} more tokens</span>').format(row.positions - len(tokens))
    drawn = Markup("").join(html.token(one, 0.7 if one.fires else None) for one in tokens)
    return Markup('<div class="example"><div class="text">{}{}</div><div class="meta">{}</div></div>').format(
        drawn, rest if row.positions > len(tokens) else "", meta
    )


def tag_text(tags: Mapping[str, str]) -> str:
    """Truth about an item in one line."""
    return ", ".join(f"{html.visible_label(k)} {html.visible_label(str(v))}" for k, v in tags.items())


def draw_passage(explorer: Explorer, model: str, labels: Mapping[CodeRef, str]) -> dict[str, pd.DataFrame]:
    """The view "By passage"; returns the tables on the screen."""
    items = int(explorer.facts(model)["items"])
    threshold = address.integer("threshold", 50, 0, 99)
    index = address.integer("item", 0, 0, items - 1)
    item = explorer.item(model, index)
    length = len(item.tokens)
    columns = st.columns([1, 1, 1, 1.4, 2.2], vertical_alignment="bottom")
    with columns[0]:
        clears = ["start", "stop", "mark"]
        st.number_input("Item", 0, items - 1, **address.bound("item", index, 0, clears=clears))
    if not length:
        widgets.empty("This item is empty.", "Choose another one.")
        return {}
    start = address.integer("start", 0, 0, length - 1)
    stop = address.integer("stop", length, start + 1, length)
    with columns[1]:
        st.number_input("From token", 0, length - 1, **address.bound("start", start, 0))
    with columns[2]:
        st.number_input("To before token", start + 1, length, **address.bound("stop", stop, length))
    with columns[3]:
        st.number_input("Topic code: covers more than, %", 0, 99, **address.bound("threshold", threshold, 50))
    with columns[4]:
        if st.button("Next example with a topic code", icon=":material/skip_next:"):
            _next(explorer, model, index, threshold)
    if said := session.note("topic"):
        st.info(said)
    found = explorer.passage_codes(model, index, start, stop, n=30)
    marked = _marked(model, found, explorer)
    codes = resources.aside(explorer).codes_of_item(model, index, [marked.site]) if marked else None
    fires = (
        frozenset() if codes is None or marked is None else frozenset(codes.loc[codes["code"] == marked.code, "place"])
    )
    note = f"{stop - start:,} of {length:,} tokens of item {index}"
    tags = tag_text(item.tags)
    widgets.section("The passage", f"{note} · {tags}" if tags else note)
    if marked:
        chip = html.chip(marked, None, labels.get(marked, ""))
        widgets.draw(Markup('<p class="faint">Marked: the tokens at which {} fires.</p>').format(chip))
    widgets.draw(passage_text(item, start, stop, fires, html.colour_of(marked.site) if marked else "c0"))
    widgets.section(
        "Codes that cover it",
        "most special first, by bits: how often it fires times log2 of its lift; lift: how much more often than in the whole "
        "build; precision: of the code's activations, those in items with the tag; chance: of all tokens",
    )
    view = {name: values[0] for name, values in address.parameters().items()}
    widgets.draw(passage_table(found, labels, {"model": model, **view}))
    return {"codes": found}


def _next(explorer: Explorer, model: str, index: int, threshold: int) -> None:
    found = resources.aside(explorer).next_topic(model, index, threshold / 100)
    if found is None:
        session.note(
            "topic", f"No code covers more than {threshold} % of any item, three times as densely as the build."
        )
    else:
        address.write(item=found.item, mark=f"{found.ref.site}:{found.ref.code}", start=None, stop=None)
    st.rerun()


def _marked(model: str, found: pd.DataFrame, explorer: Explorer) -> CodeRef | None:
    """The code of the address that is marked in the text; else the one that is most special to the passage."""
    raw = address.text("mark", limit=200)
    if raw:
        ref = CodeRef.parse(f"{model}/{raw.rpartition(':')[0]}/{raw.rpartition(':')[2]}")
        resources.aside(explorer).code(ref)  # raises where there is none
        return ref
    return found["ref"].iloc[0] if len(found) else None


def covering(explorer: Explorer, model: str) -> list[tuple[str, str]]:
    """Two codes that each cover much of an item, half of it where there are such, else less: words and address."""
    found = dict[CodeRef, str]()
    for least in COVERED:
        item = -1
        for _ in range(4 * EXAMPLES):  # the same code may cover several items in a row
            topic = explorer.next_topic(model, item, least)
            if topic is None or topic.item <= item or len(found) == EXAMPLES:
                break
            item = topic.item
            found.setdefault(topic.ref, f"{topic.ref.site} {topic.ref.code}: {html.share(topic.share)} of item {item}")
    return [
        (words, html.address("search", model=model, mode="covered", site=ref.site, code=ref.code))
        for ref, words in found.items()
    ]


def example_links(found: Sequence[tuple[str, str]]) -> Markup:
    """Examples to click; nothing where there are none."""
    links = Markup("").join(html.link(href, words, "act") for words, href in found)
    return (
        Markup('<div class="actions"><span class="faint">For example:</span>{}</div>').format(links) if links else links
    )


def draw_covered(explorer: Explorer, model: str, labels: Mapping[CodeRef, str]) -> dict[str, pd.DataFrame]:
    """The view "By coverage": the passages of one code; returns the tables on the screen."""
    codebooks = explorer.codebooks(model)
    ref = chosen.code(model, codebooks)
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        widgets.code_picker(codebooks, ref)
    share = address.integer("share", 0, 0, 100)
    with right:
        st.number_input("Covers at least, %", 0, 100, **address.bound("share", share, 0))
    if ref is None:
        widgets.empty("Choose a code.", "The items that it covers are shown, the most covered one first.")
        widgets.draw(example_links(covering(explorer, model)))
        return {}
    found = explorer.covered_passages(ref, share / 100, n=12, cap=MAX_TOKENS)
    which = f"that it covers by {share} % at least" if share else "in which it fires"
    few = f"{len(found.table):,} of {found.items:,} items {which}"
    widgets.section("Passages", f"{few}, of {found.total:,} in the build; most covered first")
    widgets.draw(html.chips([html.chip(ref, None, labels.get(ref, ""))]))
    if len(found.table):
        widgets.draw(coverage_list(found, ref))
    else:
        widgets.empty("None.", "It covers no item by that much; lower the share.")
    return {"passages": found.table}
