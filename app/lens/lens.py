"""One text seen through the codebooks: from the build or through the live model, in one form, and how it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.code.any_code import labelled
from app.components.token_strip import token_data
from app.draw import html
from app.draw.tables import Row, records
from app.items import ANY, ITEM_VIEWS
from app.shell import address, resources, script, session, widgets
from app.shell.timing import remembered
from backend.answers.stored import Token
from backend.errors import BadInput
from backend.explorer import Explorer
from backend.types import CodeRef

MAX_TEXT = 20_000  # characters
MAX_LINK = 2_000  # a longer text is kept in the session and not in the address
MAX_TOKENS = 2_000  # drawn; more would make the browser slow
FEW = 10  # codebooks: up to that many are all open
SHOWN = 8  # choices of the codebook that is looked at
IN_LINE = 3  # choices of each other codebook
OFTEN, MOST_CODES = 20, 200  # codes of a text: seen at once, and at all


@dataclass(frozen=True)
class View:
    """A text with everything that the codebooks chose.

    Attributes:
        tokens: in order, at most `MAX_TOKENS`.
        codes: `place, site, slot, code, score, margin, runner_up`.
        next: `token, before`: distribution of the next token; None where the model was not run.
        cut: how many tokens were left out.
    """

    tokens: Sequence[Token]
    codes: pd.DataFrame
    next: pd.DataFrame | None = None
    cut: int = 0


def reads_text(model: Row) -> bool:
    """Whether a person's own text can be given to a model, as a row of `Explorer.models`: images are tokens too."""
    return ITEM_VIEWS.get(model.kind, ANY).reads_text(model)


def own_text() -> str:
    """The person's text: of the address, or where it is too long for one, of the session."""
    return address.text("text", limit=MAX_TEXT) or session.draft("lens", "text", MAX_TEXT)


def bound_text(text: str) -> dict[str, Any]:
    """Ties the text area to the address, or to the session where the text is too long for that."""
    return address.bound_draft("text", "lens", text, MAX_LINK)


def placeholder(explorer: Explorer, model: str) -> str:
    """The beginning of the build's first item, as an example of what the model reads."""
    return html.visible_label(resources.aside(explorer).item(model, 0).text[:80])


@remembered(50, copied=False)
def _read_live(data_dir: str, build: str, model: str, text: str, _explorer: Any) -> View:
    seen = _explorer.live(model).lens(text)
    tables = []
    for site, grid in seen.grids.items():
        positions, slots = grid.codes.shape
        tables.append(
            pd.DataFrame(
                {
                    "place": [p for p in range(positions) for _ in range(slots)],
                    "site": site,
                    "slot": list(range(slots)) * positions,
                    "code": grid.codes.reshape(-1),
                    "score": grid.scores.reshape(-1),
                    "margin": grid.margins.reshape(-1),
                    "runner_up": grid.runner_up.repeat(slots),
                }
            )
        )
    codes = (
        pd.concat(tables, ignore_index=True)
        if tables
        else pd.DataFrame(columns=["place", "site", "slot", "code", "score", "margin", "runner_up"])
    )
    tokens = list(seen.tokens)
    return View(tokens[:MAX_TOKENS], codes[codes["place"] < MAX_TOKENS], seen.next, max(0, len(tokens) - MAX_TOKENS))


def of_text(explorer: Explorer, model: str, text: str) -> View:
    """A person's text through the live model. Raises `BadInput` where it cannot be read."""
    with st.spinner("The model reads the text ..."):
        view = _read_live(str(resources.data_dir()), explorer.build(model), model, text, explorer)
    if not view.tokens:
        raise BadInput(
            "The text has no token that this model knows. Write something like the example in the empty field."
        )
    if view.cut:
        st.info(f"{view.cut:,} further tokens were read and are not drawn.")
    return view


def of_item(explorer: Explorer, model: str, index: int) -> View:
    """An item of the build; the model itself is not needed."""
    item = explorer.item(model, index)
    tokens = list(item.tokens) if item.text else [labelled(token) for token in item.tokens]
    codes = explorer.codes_of_item(model, index)
    return View(tokens[:MAX_TOKENS], codes[codes["place"] < MAX_TOKENS], None, max(0, len(tokens) - MAX_TOKENS))


def python_of_text(model: str, text: str, site: str) -> list[str]:
    """A person's text as the page shows it, as Python."""
    return [
        f"seen = explorer.live({model!r}).lens({text!r})",
        f"for token, codes in zip(seen.tokens, seen.grids[{site!r}].codes):  # the best code first",
        "    print(repr(token.text), *codes)",
        'show(seen.next.sort_values("before", ascending=False))',
    ]


def python_of_item(model: str, index: int, site: str) -> list[str]:
    """An item of the build as the page shows it, as Python."""
    return [
        f"codes = {script.asked('codes_of_item', model=model, index=index)}",
        f'show(codes[codes["site"] == {site!r}], rows={MAX_TOKENS})',
    ]


def strip(view: View, site: str, labels: Mapping[CodeRef, str], model: str, code: int = -1) -> list[dict[str, Any]]:
    """What the token strip draws: coloured by the score of the best code of `site`, or by where `code` fires."""
    own = view.codes[view.codes["site"] == site]
    scores = own["score"]
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    by_place: dict[int, list[Row]] = {}
    for row in records(own):
        by_place.setdefault(int(row.place), []).append(row)
    drawn = []
    for place, token in enumerate(view.tokens):
        chosen = sorted(by_place.get(place, []), key=lambda r: r.slot)
        wanted = [r for r in chosen if code < 0 or r.code == code]
        strength = 0.25 + 0.75 * (wanted[0].score - low) / max(high - low, 1e-9) if wanted else 0.0
        names = [
            f"{r.code}{_named(labels, model, site, int(r.code))} {r.score:.3f} (+{r.margin:.3f})" for r in chosen[:6]
        ]
        tip = (
            f"position {place} · {site}: "
            + ", ".join(names)
            + (f" · {html.labels_text(token.labels)}" if token.labels else "")
        )
        drawn.append(
            token_data(token.text, gap=token.gap, strength=strength, tag=str(chosen[0].code) if chosen else "", tip=tip)
        )
    return drawn


def _named(labels: Mapping[CodeRef, str], model: str, site: str, code: int) -> str:
    label = labels.get(CodeRef(model, site, code), "")
    return f" “{label}”" if label else ""


def position_table(view: View, place: int, model: str, labels: Mapping[CodeRef, str], first: str = "") -> Markup:
    """What every codebook chose at one position, with its runner-up.

    With many codebooks of many slots each that would be a wall, so the codebook `first` stands first with its choices one
    below the other, and the others follow by layer, a line each. More than a few choices are behind "and N more".
    """
    by_site: dict[str, list[Row]] = {}
    for row in records(view.codes[view.codes["place"] == place]):
        by_site.setdefault(str(row.site), []).append(row)
    first = first if first in by_site else next(iter(by_site), "")
    if not first:
        return html.empty("None.", "No codebook chose anything here.")
    layers: dict[str, list[str]] = {}
    for site in by_site:
        if site != first:
            layers.setdefault(site.partition(".")[0], []).append(site)
    many = len(by_site) > FEW
    groups = [
        Markup("<details{}><summary>{}, {}</summary>{}</details>").format(
            Markup("") if many else Markup(" open"),
            f"Layer {layer[1:]}" if layer[:1] == "L" and layer[1:].isdigit() else layer,
            "1 codebook" if len(sites) == 1 else f"{len(sites)} codebooks",
            _lines({site: by_site[site] for site in sites}, model, labels),
        )
        for layer, sites in layers.items()
    ]
    return _choices(by_site[first], first, model, labels) + Markup("").join(groups)


def _choices(rows: Sequence[Row], site: str, model: str, labels: Mapping[CodeRef, str]) -> Markup:
    """The choices of one codebook below each other, the best first."""

    def table(some: Sequence[Row]) -> Markup:
        cells = [[_chip(r.code, site, model, labels), f"{r.score:.3f}", f"+{r.margin:.3f}"] for r in some]
        return html.table([f"Chosen by {site}", "Score", "Margin"], cells, right=(1, 2), caption=f"codes of {site}")

    best = sorted(rows, key=lambda r: r.slot)
    rest = _more(len(best) - SHOWN, table(best[SHOWN:])) if len(best) > SHOWN + 1 else Markup("")
    runner_up = Markup('<p class="faint">Runner-up: {}</p>').format(_chip(best[0].runner_up, site, model, labels))
    return table(best[:SHOWN] if rest else best) + rest + runner_up


def _lines(by_site: Mapping[str, Sequence[Row]], model: str, labels: Mapping[CodeRef, str]) -> Markup:
    """The choices of several codebooks, a line each."""
    lines = []
    for site, rows in by_site.items():
        best = sorted(rows, key=lambda r: r.slot)
        chips = [_chip(r.code, site, model, labels) for r in best]
        few = html.chips(chips[:IN_LINE])
        rest = _more(len(chips) - IN_LINE, html.chips(chips[IN_LINE:])) if len(chips) > IN_LINE else Markup("")
        runner_up = _chip(best[0].runner_up, site, model, labels)
        lines.append([few + rest, f"{best[0].score:.3f}", f"+{best[0].margin:.3f}", runner_up])
    heads = ["Chosen", "Score of the best", "Margin", "Runner-up"]
    return html.table(heads, lines, right=(1, 2), caption="codes of the other codebooks")


def _chip(code: float, site: str, model: str, labels: Mapping[CodeRef, str]) -> Markup:
    """A code's chip; a dash for an empty slot."""
    return widgets.chip(CodeRef(model, site, int(code)), None, labels) if code >= 0 else Markup("–")


def _more(count: int, content: Markup) -> Markup:
    return Markup("<details><summary>and {:,} more</summary>{}</details>").format(count, content)


def next_table(frame: pd.DataFrame, most: int = 12) -> Markup:
    """The likeliest next tokens."""
    best = frame.sort_values("before", ascending=False, kind="stable").head(most)
    rows = [
        [Markup('<span class="mono">{}</span>').format(html.visible(str(row.token))), html.bar(float(row.before))]
        for row in records(best)
    ]
    return html.table(["Token", "Probability"], rows, caption="next token")


def usage_chips(view: View, site: str, model: str, labels: Mapping[CodeRef, str]) -> Markup:
    """The codes of one codebook in this text with how often each fires in it."""
    counts = Counter(int(c) for c in view.codes.loc[view.codes["site"] == site, "code"] if c >= 0)
    chips = [widgets.chip(CodeRef(model, site, c), n, labels) for c, n in counts.most_common(MOST_CODES)]
    rest = _more(len(chips) - OFTEN, html.chips(chips[OFTEN:])) if len(chips) > OFTEN + 1 else Markup("")
    if len(counts) > MOST_CODES:
        rest += Markup('<p class="faint">{:,} rarer ones are in the download.</p>').format(len(counts) - MOST_CODES)
    return html.chips(chips[:OFTEN] if rest else chips) + rest


def long_table(view: View) -> pd.DataFrame:
    """One row a choice, for downloads."""
    texts = {place: token.text for place, token in enumerate(view.tokens)}
    return view.codes.assign(token=[texts.get(int(p), "") for p in view.codes["place"]])
