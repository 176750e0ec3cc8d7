"""What several pages draw in the same way: chips, code card, code picker, examples, and problems."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.draw.tables import records
from app.shell import address, building, chosen
from backend.answers.stored import Clause, CodeStats, Context, Example
from backend.errors import BadPattern, CodescopeError, NoBuild, StoreVersion, UnknownModel
from backend.types import CodeRef

STYLE = Path(__file__).parent.with_name("style.css")
_log = logging.getLogger(__name__)


def draw(*parts: Markup | str) -> None:
    """Draw HTML of `app.draw.html`, one part below the other; plain strings are escaped."""
    st.html(html.wrap(Markup("").join(parts)))


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
    """Draw one calm box: what is wrong, and where to go from here."""
    text = str(error)
    if isinstance(error, BadPattern):
        title = "This pattern cannot be used."
    elif isinstance(error, NoBuild):
        title = "Nothing to show yet."
    elif isinstance(error, chosen.DoesNotFit):
        title = f"Nothing to show for {error.model}."
    elif isinstance(error, CodescopeError):
        title = "This view cannot be shown."
    else:
        title = "Something went wrong that should not have."
        text = f"{type(error).__name__}: {text[:500]}. The log of the app has the details; the data are unharmed."
    pattern = "".join(address.parameters().get("pattern", []))
    shown = html.pattern_error(pattern, error.position) if isinstance(error, BadPattern) else Markup("")
    draw(
        Markup('<div class="problem" role="alert"><h2>{}</h2><p>{}</p>{}<div class="actions">{}</div></div>').format(
            title, text, shown, Markup("").join(_ways_on(error))
        )
    )
    hint = chosen.model_hint()
    unbuilt = isinstance(error, NoBuild | StoreVersion) or (isinstance(error, chosen.DoesNotFit) and not error.built)
    if unbuilt and building.can_build(hint):
        building.offer(hint)


def _ways_on(error: Exception) -> list[Markup | str]:
    """Return links that lead on from a problem."""
    ways: list[Markup | str] = [html.link(html.address(""), "Overview", "act")]
    if isinstance(error, chosen.DoesNotFit):
        if not error.others:
            return [*ways, Markup('<span class="faint">No model here can.</span>')]
        links = [html.link(html.address(error.page.name, model=name), name, "act") for name in error.others]
        return [Markup('<span class="faint">Models that can:</span>'), *links, *ways]
    hint = chosen.model_hint()
    if hint and not isinstance(error, UnknownModel | NoBuild):
        ways.append(html.link(html.address("codebooks", model=hint), f"Codebooks of {hint}", "act"))
    return ways


def chip(ref: CodeRef, count: int | None = None, labels: Mapping[CodeRef, str] | None = None, **options: Any) -> Markup:
    """Return the code's chip with its name from `labels` (`app.shell.names.Names`)."""
    return html.chip(ref, count, "" if labels is None else labels.get(ref, ""), **options)


def chip_table(
    frame: pd.DataFrame, columns: Mapping[str, Callable[[Any], Any]], labels: Mapping[CodeRef, str], caption: str
) -> Markup:
    """A table of codes: the chip first (columns `ref` and, where there is one, `count`), then the given columns.

    Args:
        frame: one row a code.
        columns: heading -> function from a row (a named tuple) to the cell.
        labels: people's labels.
        caption: what the table is, for screen readers.
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
    current = ref.site if ref is not None and ref.site in sites else chosen.site(codebooks)
    size = int(codebooks.loc[codebooks["site"] == current, "num_codes"].iloc[0])
    left, right = st.columns([1, 1])
    with left:
        st.selectbox("Codebook", sites, **address.bound("site", current, clears=["code"] if ref is None else []))
    with right:
        value = min(ref.code, size - 1) if ref is not None else None
        st.number_input(
            f"Code, 0 to {size - 1:,}", 0, size - 1, step=1, **address.bound("code", value), placeholder="number"
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
    """Return examples of a code; each links to its item in the Lens."""

    def where(example: Context) -> str:
        return html.address("lens", model=ref.model, item=example.item, place=example.place, site=ref.site)

    return html.examples(found, html.colour_of(ref.site), where=where, field=field)


def context_list(found: Sequence[Context], model: str, site: str = "") -> Markup:
    """Return places without a score, e.g. of a boolean query, coloured by a codebook; each links to the Lens."""

    def where(context: Context) -> str:
        return html.address("lens", model=model, item=context.item, place=context.place, site=site)

    return html.contexts(found, html.colour_of(site) if site else "c0", where=where)


def empty(title: str, text: str, examples: Sequence[tuple[str, str]] = ()) -> None:
    """Say why there is nothing here and what to do; `examples`: what could be asked, with the address that asks it."""
    draw(html.empty(title, text, examples))


def titled(title: str, lead: str = "") -> Any:
    """Draw a page's heading and return the place beside it, for the choice of its view; below it where there is no room."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        draw(html.page_title(title, lead))
        return st.container(width="content")


def section(title: str, note: str = "") -> None:
    """A heading with what it counts beside it."""
    draw(html.section(title, note))
