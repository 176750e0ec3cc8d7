"""What an empty first screen offers to click: questions that have an answer in the chosen model, with their addresses."""

from __future__ import annotations

import re

from app.draw import html
from app.draw.item_view import ItemView
from app.shell import chosen
from app.shell.trace import aside
from backend.explorer import Explorer
from backend.types import CodeRef

Examples = list[tuple[str, str]]
MOST = 2
LENGTH = 110  # characters of a text


@aside()
def searches(explorer: Explorer, model: str, view: ItemView) -> Examples:
    """Return searches: for the label that the most meaningful code fires on, and for the token under it as a pattern."""
    ref = chosen.first_look(explorer, model)
    found: Examples = []
    labels = explorer.labels_of(ref, 12).sort_values(["precision", "recall"], ascending=False, kind="stable")
    for field, value in zip(labels["field"], labels["value"], strict=True):
        where = html.address("search", model=model, field=field, value=value)
        found.append((f"{field} = {html.visible_label(str(value))}", where))
    if not view.text:
        return found[:MOST]
    tokens = [str(token) for token in explorer.tokens_of(ref, 12)["token"]]
    words = [token.strip() for token in tokens if token.strip().isalnum() and token.isascii()]
    patterns = [(f"the pattern {w}", html.address("search", model=model, pattern=rf"\b{re.escape(w)}")) for w in words]
    return [*found[:1], *patterns[:1], *found[1:], *patterns[1:]][:MOST]


@aside()
def queries(explorer: Explorer, model: str) -> Examples:
    """Return queries of two codes: one that fires with the most meaningful code, and one that fires right after it."""
    ref = chosen.first_look(explorer, model)
    found: Examples = []
    for word, others in (("and", explorer.together(ref, 1)), ("then1", explorer.beside(ref, 1, 1))):
        for other in others["ref"]:
            query = f"{_short(ref)} {word} {_short(other)}"
            found.append((query, html.address("search", model=model, mode="codes", query=query)))
    alone = (_short(ref), html.address("search", model=model, mode="codes", query=_short(ref)))
    return [*found, alone][:MOST]


def _short(ref: CodeRef) -> str:
    return f"{ref.site}:{ref.code}"


@aside()
def texts(explorer: Explorer, model: str) -> Examples:
    """Return the beginnings of two texts of the build, to be read by the model."""
    found: Examples = []
    for item in range(min(MOST, int(explorer.facts(model)["items"]))):
        view = explorer.item(model, item)
        text = "".join(token.gap + token.text for token in view.tokens[1:] or view.tokens).strip()
        if len(text) > LENGTH:
            text = text[:LENGTH].rsplit(" ", 1)[0]
        if text:
            shown = html.visible_label(text.replace("\n", " "))
            found.append((f"“{shown[:50]} ...”", html.address("lens", model=model, text=text)))
    return found


@aside()
def codes(explorer: Explorer) -> Examples:
    """Return the most meaningful codes of the first two models."""
    models = explorer.models()
    built = models[(models["built"] != "") & (models["codebooks"] > 0)]
    ordered = built.assign(first=built["demo"].where(built["demo"] > 0, 10**6)).sort_values("first", kind="stable")
    refs = [chosen.first_look(explorer, str(model)) for model in ordered["model"].head(MOST)]
    return [(f"{ref.model} {ref.site} {ref.code}", html.code_address(ref)) for ref in refs]
