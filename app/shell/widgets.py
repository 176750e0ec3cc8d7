"""What several pages draw in the same way: header, chips, code card, code picker, examples, foot, and problems."""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.components.navigator import navigator
from app.draw import html
from app.draw.tables import records
from app.shell import resources, state
from backend.answers.stored import Clause, CodeStats, Context, Example
from backend.calls import as_python
from backend.errors import BadPattern, CodescopeError, NoBuild, UnknownModel
from backend.explorer import Explorer
from backend.types import CodeRef

_STYLE = Path(__file__).parent.with_name("style.css")
_log = logging.getLogger(__name__)
PER_MODEL = ("codebooks", "code", "search", "concepts", "lens", "states", "steer")  # pages that show one model
CAPABILITY = {"states": "states", "steer": "steer"}  # what a model must have where the page chooses by itself
# the picture, cell and tool of an image page: the same with another tokenizer (`app.images.image_source.KEEPS`)
PICTURE = ("source", "item", "own", "size", "cell", "tool", "overlay", "lines", "widely")
OF_IMAGES = ("image_tokens",)  # of these, one that reads images: links to them name no model that may read text


def draw(*parts: Markup | str) -> None:
    """Draw HTML of `app.draw.html`, one part below the other; plain strings are escaped."""
    st.html(html.wrap(Markup("").join(parts)))


def header(page: str, titles: Mapping[str, str]) -> None:
    """The bar at the top: the pages, each with the model in its address, and on pages about one model its picker."""
    st.html(_STYLE)
    navigator()
    hint = state.model_hint()
    links = [html.link(html.address(""), "Codescope", "brand")]
    for name, title in titles.items():
        href = html.address("" if name == "overview" else name, model=hint if name in PER_MODEL else None)
        links.append(html.link(href, title, "here" if name == page else "", key="/" if name == "search" else ""))
    left, right, _ = st.columns([5, 1.5, 0.12], vertical_alignment="center")
    with left:
        st.html(str(Markup('<nav class="cs-nav" aria-label="Pages">{}</nav>').format(Markup("").join(links))))
    if page in PER_MODEL or page in OF_IMAGES:
        with right, guarded():
            _model_picker(page)


def _model_picker(page: str) -> None:
    models = resources.explorer().models()
    if page in OF_IMAGES:
        models = models[models["kind"] == "image"]
    built = list(models.loc[(models["built"] != "") & (models["codebooks"] > 0), "model"])
    if not built:
        return
    try:
        current = state.model(models, capability=CAPABILITY.get(page, ""), pin=False)
    except CodescopeError:
        return  # the page itself says what is wrong with the address
    options = built if current in built else [current, *built]
    kept = ("model", "pattern", "text", *(PICTURE if page in OF_IMAGES else ()))
    others = [name for name in state.parameters() if name not in kept]
    st.selectbox("Model", options, label_visibility="collapsed", **state.bound("model", current, clears=others))


@contextmanager
def guarded() -> Iterator[None]:
    """Show what goes wrong inside the block as an explanation with a way back, never as a traceback."""
    try:
        yield
    except CodescopeError as error:
        problem(error)
    except Exception as error:
        _log.exception("a page failed")
        problem(error)


def problem(error: Exception) -> None:
    """One calm box: what is wrong, and where to go from here."""
    if isinstance(error, BadPattern):
        title, text = "This pattern cannot be used.", str(error)
    elif isinstance(error, NoBuild):
        title, text = "Nothing to show yet.", str(error)
    elif isinstance(error, CodescopeError):
        title, text = "This view cannot be shown.", str(error)
    else:
        title = "Something went wrong that should not have."
        text = f"{type(error).__name__}: {str(error)[:500]}. The log of the app has the details; the data are unharmed."
    ways = [html.link(html.address(""), "Overview", "act")]
    hint = state.model_hint()
    if hint and not isinstance(error, UnknownModel | NoBuild | state.NoCodebooks):
        ways.append(html.link(html.address("codebooks", model=hint), f"Codebooks of {hint}", "act"))
    pattern = "".join(state.parameters().get("pattern", []))
    shown = html.pattern_error(pattern, error.position) if isinstance(error, BadPattern) else Markup("")
    draw(
        Markup('<div class="problem" role="alert"><h2>{}</h2><p>{}</p>{}<div class="actions">{}</div></div>').format(
            title, text, shown, Markup("").join(ways)
        )
    )


def chip(ref: CodeRef, count: int | None = None, labels: Mapping[CodeRef, str] | None = None, **options: Any) -> Markup:
    """The code's chip with the newest label from `labels` (what `explorer.people.newest_labels(model)` says)."""
    return html.chip(ref, count, (labels or {}).get(ref, ""), **options)


def chip_table(
    frame: pd.DataFrame, columns: Mapping[str, Callable[[Any], Any]], labels: Mapping[CodeRef, str], caption: str
) -> Markup:
    """A table of codes: the chip first (columns `ref` and, where there is one, `count`), then the given columns.

    Args:
        frame: one row a code.
        columns: heading -> function from a row (a named tuple) to the cell.
        labels: people's labels.
        caption: what the table is, for those who hear it.
    """
    if frame.empty:
        return html.empty("None.", "Too few activations to say.")
    has_count = "count" in frame.columns
    rows = [
        [chip(row.ref, int(row.count) if has_count else None, labels), *(cell(row) for cell in columns.values())]
        for row in records(frame)
    ]
    return html.table(
        ["Code", *columns],
        rows,
        right=[i for i in range(1, len(columns) + 1) if not rows or not isinstance(rows[0][i], Markup)],
        caption=caption,
    )


def code_card(stats: CodeStats, symbols: str = "tokens") -> Markup:
    """The figures of one code with their denominators; `symbols`: what its entropy is taken over."""
    info = stats.info
    return html.stats(
        [
            ("fires", f"{stats.count:,}", f"{html.share(stats.share)} of {stats.positions:,} positions"),
            (
                "in items",
                f"{stats.items:,}",
                f"{html.share(stats.items / max(1, stats.total_items))} of {stats.total_items:,}",
            ),
            ("rank by use", f"{stats.rank:,}", f"of {info.num_codes:,} codes"),
            ("entropy", f"{stats.entropy:.2f} bits", f"of the {symbols} under it"),
            (
                "codebook",
                info.site,
                f"{info.slots} per position, {info.dim} dimensions, {info.similarity.replace('_', ' ')}",
            ),
        ]
    )


def code_picker(codebooks: pd.DataFrame, ref: CodeRef | None) -> None:
    """Choose a codebook and a code; writes both into the address."""
    sites = list(codebooks["site"])
    current = ref.site if ref is not None and ref.site in sites else state.site(codebooks)
    size = int(codebooks.loc[codebooks["site"] == current, "num_codes"].iloc[0])
    left, right = st.columns([1, 1])
    with left:
        st.selectbox("Codebook", sites, **state.bound("site", current, clears=["code"] if ref is None else []))
    with right:
        value = min(ref.code, size - 1) if ref is not None else None
        st.number_input(
            f"Code, 0 to {size - 1:,}", 0, size - 1, step=1, **state.bound("code", value), placeholder="number"
        )


def code_chips(codes: pd.DataFrame, model: str, labels: Mapping[CodeRef, str], site: str) -> Markup:
    """Chips of rows of `Explorer.codes`."""
    pairs = zip(codes["code"], codes["count"], strict=True)
    return html.chips(chip(CodeRef(model, site, int(c)), int(n), labels) for c, n in pairs)


def clause_chips(clauses: Sequence[Clause], model: str, labels: Mapping[CodeRef, str]) -> Markup:
    """A boolean query as chips with its operators between them."""
    parts: list[Markup] = []
    for number, clause in enumerate(clauses):
        if number:
            word = f"then, within {clause.within}" if clause.operator == "then" else clause.operator
            parts.append(Markup('<span class="faint">{}</span>').format(word))
        parts.append(chip(CodeRef(model, clause.site, clause.code), None, labels))
    return html.chips(parts)


def example_list(found: Sequence[Example], ref: CodeRef, field: str = "") -> Markup:
    """Examples of a code; each links to its item in the Lens."""

    def where(example: Context) -> str:
        return html.address("lens", model=ref.model, item=example.item, place=example.place, site=ref.site)

    return html.examples(found, html.colour_of(ref.site), where=where, field=field)


def context_list(found: Sequence[Context], model: str, css: str = "c0") -> Markup:
    """Places without a score, e.g. of a boolean query."""
    return html.contexts(found, css, where=lambda c: html.address("lens", model=model, item=c.item, place=c.place))


def empty(title: str, text: str) -> None:
    """Say why there is nothing here and what to do."""
    draw(html.empty(title, text))


def section(title: str, note: str = "") -> None:
    """A heading with what it counts beside it."""
    draw(html.section(title, note))


def footer(
    explorer: Explorer, tables: Mapping[str, pd.DataFrame] | None = None, extra_python: Iterable[str] = ()
) -> None:
    """The foot of a page: how long it took, how many rows it read, downloads, and the same as Python.

    Args:
        explorer: the explorer.
        tables: name -> the data on the screen, offered as CSV and JSON.
        extra_python: further lines for "Copy as Python", e.g. of a live model.
    """
    trace = state.trace()
    seconds = time.perf_counter() - trace.started
    rows = sum(call.rows for call, _ in trace.calls)
    cached = sum(kept for _, kept in trace.calls)
    text = f"{1000 * seconds:,.0f} ms · {rows:,} rows read in {len(trace.calls)} questions" + (
        f" ({cached} from the cache)" if cached else ""
    )
    if trace.live:
        text += f" · {trace.live} to the model itself"
    left, *right = st.columns([6, 1.1, 1.1], vertical_alignment="center")
    with left:
        st.html(str(Markup('<div class="cs-foot">{}</div>').format(text)))
    lines = [*dict.fromkeys(as_python(call) for call, _ in trace.calls), *extra_python]
    with right[1], st.popover("Copy as Python", width="stretch"):
        st.code(python(lines, str(explorer.data_dir)), language="python")
    if tables:
        with right[0], st.popover("Download", width="stretch"):
            _downloads(tables)


def python(lines: Iterable[str], data_dir: str) -> str:
    """A program that asks the same questions."""
    body = "\n".join(lines)
    imports = [
        "from backend.explorer import Clause, Explorer"
        if "Clause(" in body
        else "from backend.explorer import Explorer"
    ]
    imports += [
        f"from backend.types import {name}"
        for name in ("CodeRef", "Edit", "Sampling")
        if f"{name}." in body or f"{name}(" in body
    ]
    return "\n".join([*imports, "", f"explorer = Explorer({data_dir!r})", body])


def _downloads(tables: Mapping[str, pd.DataFrame]) -> None:
    """One CSV a table and one JSON with all of them, made when they are asked for."""

    def plain(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.map(lambda v: str(v) if isinstance(v, CodeRef) else v) if len(frame) else frame

    def document() -> str:
        found = {name: json.loads(plain(frame).to_json(orient="records")) for name, frame in tables.items()}
        return json.dumps(found, ensure_ascii=False, indent=1)

    for name, frame in tables.items():
        made = functools.partial(lambda given: plain(given).to_csv(index=False), frame)
        title = f"{name}.csv · {len(frame):,} rows"
        st.download_button(title, made, f"{name}.csv", "text/csv", on_click="ignore", width="stretch")
    title = "all of it as JSON"
    st.download_button(title, document, "codescope.json", "application/json", on_click="ignore", width="stretch")
