"""The Steer page's parts: how to generate, both texts as they grow, what the edits change, how often they succeed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.components.token_strip import token_data, token_strip
from app.draw import html
from app.draw.tables import records
from app.shell import resources, state, widgets
from app.shell.timing import PATIENCE, Pace
from app.states.believing import own_walk
from app.steer import steering
from app.steer.edit_list import pinned
from app.steer.steering import Kept, Pair, Written
from backend.answers.live import Lens
from backend.data.machines import Machine
from backend.explorer import Explorer
from backend.types import CodeRef, Edit, Sampling

FIRST_TOKENS = 12  # of an item of the build, as a prompt to start from
REDRAW = 0.12  # seconds between two pictures of a growing text


def default_prompt(explorer: Explorer, machine: Machine | None, model: str) -> str:
    """The beginning of the build's first item."""
    if machine is not None:
        return own_walk(explorer, machine, model, 0)
    tokens = resources.aside(explorer).item(model, 0).tokens[:FIRST_TOKENS]
    return "".join(token.gap + token.text for token in tokens).strip()


def prompt_input(explorer: Explorer, machine: Machine | None, model: str) -> str:
    """The prompt: of the address, or where it is too long for one, of the session."""
    raw = state.text("prompt", "", steering.MAX_PROMPT) or state.draft("steer", "prompt", steering.MAX_PROMPT)
    raw = raw or default_prompt(explorer, machine, model)
    st.text_area(
        f"Prompt (at most {steering.MAX_PROMPT:,} characters, and what fits the model's context)",
        height=72,
        **state.bound_draft("prompt", "steer", raw, steering.MAX_LINK),
    )
    state.say_not_in_address("prompt", raw, steering.MAX_LINK)
    return raw


def settings_input() -> Sampling:
    """Samples, length, temperature, top-k and seed; all in the address."""
    columns = st.columns(6, vertical_alignment="bottom", gap="small")
    with columns[0]:
        samples = state.integer("samples", 1, 1, steering.MAX_SAMPLES)
        st.number_input("Samples", 1, steering.MAX_SAMPLES, **state.bound("samples", samples, 1))
    with columns[1]:
        new = state.integer("new", 40, 1, steering.MAX_NEW)
        st.number_input("New tokens", 1, steering.MAX_NEW, **state.bound("new", new, 40))
    with columns[2]:
        raw = state.choice("temperature", [f"{t / 10:g}" for t in range(31)], "1")
        st.slider("Temperature", 0.0, 3.0, step=0.1, **state.bound("temperature", float(raw), 1.0))
    with columns[3]:
        top_k = state.integer("topk", 0, 0, 100_000)
        st.number_input("Top-k (0: all)", 0, 100_000, **state.bound("topk", top_k, 0))
    with columns[4]:
        seed = state.integer("seed", 0, 0, 10**6)
        st.number_input("Seed", 0, 10**6, **state.bound("seed", seed, 0))
    with columns[5]:
        st.button(
            "Generate with a new seed",
            type="primary",
            on_click=state.write,
            kwargs={"seed": (seed + 1) % 10**6, "run": "1"},
            width="stretch",
        )
    return Sampling(samples, new, float(raw), top_k or None, seed)


def question(kind: str, explorer: Explorer, model: str, *parts: Any) -> tuple[Any, ...]:
    """A key for what a live model is asked: the kind of question, the build and everything that is asked."""
    own = (tuple(map(str, part)) if isinstance(part, list) else part for part in parts)
    return (kind, str(resources.data_dir()), explorer.build(model), model, *own)


def generation(
    explorer: Explorer, model: str, prompt: str, edits: list[Edit], settings: Sampling, machine: Machine | None
) -> Pair | None:
    """Both texts: kept ones at once, new ones as they grow; None where a long run waits for a click."""
    key = question("texts", explorer, model, prompt, edits, settings)
    pair: Pair | None = Kept.shared().get(key)
    if pair is None:
        pace, work = Pace.of(f"{model} writes"), 2.0 * settings.samples * settings.max_new_tokens
        likely = pace.seconds(work)
        if likely > 4 * PATIENCE and not state.flag("run"):
            st.button(f"Generate (about {likely:.0f} s)", type="primary", on_click=state.write, kwargs={"run": "1"})
            return None
        place = st.empty()
        with st.spinner("Loading the model and writing ..."):
            live = explorer.live(model)
            drawn = 0.0
            with pace.timed(work):
                for pair in steering.stream_pair(live, prompt, edits, settings):
                    if time.perf_counter() - drawn > REDRAW:
                        place.html(html.wrap(steering.pair_html(pair, machine)))
                        drawn = time.perf_counter()
        if pair is None:
            return None
        Kept.shared().put(key, pair)
        place.html(html.wrap(steering.pair_html(pair, machine)))
    else:
        widgets.draw(steering.pair_html(pair, machine))
    widgets.draw(steering.pair_figures(pair, machine))
    made = len(pair.plain[0].ids) - pair.plain[0].prompt_length
    if made < settings.max_new_tokens:
        st.caption(f"{made} of {settings.max_new_tokens} new tokens: the model's context ends there.")
    return pair


# ---- what the edits change


def footprint_panel(
    explorer: Explorer, model: str, pair: Pair, edits: list[Edit], labels: Mapping[CodeRef, str]
) -> pd.DataFrame:
    """Per-token divergence over the unsteered text, and which codebooks choose otherwise; returns the latter."""
    own = pair.plain[0]
    key = question("footprint", explorer, model, own, edits)
    found: Lens = Kept.shared().answer(key, lambda: steering.footprint(explorer.live(model), own, edits))
    fixed = pinned(edits, own.prompt_length, len(own.ids))
    widgets.section(
        "What the edits change",
        "the unsteered text of sample 1, read again with the edits: how far each next-token prediction moves",
    )
    first, second = st.columns([3, 2], gap="medium")
    with first:
        widgets.draw(kl_figures(found, fixed))
        place = min(state.integer("place", int(found.kl.argmax()), 0, 10**6), len(found.tokens) - 1)
        picked = token_strip(
            kl_strip(found, own),
            key=f"kl-{model}",
            selected=place,
            alt="the unsteered text, each token coloured by how far its prediction moves",
            hint="Coloured by KL divergence; point at a token, click to see which codes change there.",
        )
        if picked is not None and picked != place:
            state.write(place=picked)
            place = picked
    table = changed_table(found, fixed)
    with second:
        widgets.draw(changed_html(table, len(found.tokens)))
    here = codes_changed_at(found, place)
    token = html.visible_text(found.tokens[place].text)
    if here:
        widgets.section(f"Codes that change at position {place}", f"token {token}; {len(here)} choices")
        widgets.draw(changes_html(here, model, labels))
    else:
        widgets.section(f"No code changes at position {place}", f"token {token}")
    return table


def kl_figures(found: Lens, fixed: Sequence[Edit]) -> Markup:
    """Mean divergence where the edits are made and elsewhere, and the largest."""
    edited = np.zeros(len(found.kl), dtype=bool)
    for edit in fixed:
        if edit.where == "all":
            edited[:] = True
        elif not isinstance(edit.where, str):
            edited[[p for p in edit.where if p < len(edited)]] = True
    after = np.arange(len(edited)) > (int(edited.argmax()) if edited.any() else len(edited))
    away = after & ~edited

    def mean(where: np.ndarray) -> str:
        return f"{found.kl[where].mean():.3f} nats" if where.any() else "–"

    top = int(found.kl.argmax())
    return html.stats(
        [
            ("KL at edited positions", mean(edited), f"mean over {int(edited.sum())} of {len(edited)} positions"),
            ("off target: KL after them", mean(away), f"mean over {int(away.sum())} later positions without an edit"),
            ("largest", f"{found.kl[top]:.3f} nats", f"at position {top}"),
        ]
    )


def kl_strip(found: Lens, own: Written) -> list[dict[str, Any]]:
    """The tokens coloured by divergence."""
    most = max(float(found.kl.max()), 1e-9)
    drawn = []
    for place, token in enumerate(found.tokens):
        kl = float(found.kl[place])
        count = sum(int((g.codes[place] != found.before[s].codes[place]).any()) for s, g in found.grids.items())
        where = f"position {place}{' (prompt)' if place < own.prompt_length else ''}"
        tip = f"{where} · KL {kl:.3f} nats · {count} codebooks change"
        drawn.append(token_data(token.text, gap=token.gap, strength=kl / most if kl > 1e-6 else 0.0, tip=tip))
    return drawn


def changed_table(found: Lens, fixed: Sequence[Edit]) -> pd.DataFrame:
    """`site, changed, positions, edited`: where each codebook chooses otherwise, in the order of the forward pass."""
    edited = {edit.site for edit in fixed}
    rows = [(site, count, len(found.tokens), site in edited) for site, count in found.changed.items()]
    return pd.DataFrame(rows, columns=["site", "changed", "positions", "edited"])


def changed_html(table: pd.DataFrame, positions: int) -> Markup:
    """The codebooks with a bar each."""
    css = html.colour_of
    rows = [
        [
            Markup('<span class="{}"><span style="color:var(--c)">■</span> {}</span>').format(css(r.site), r.site),
            Markup('<span class="tag">edited</span>') if r.edited else "",
            f"{r.changed:,}",
            Markup('<span class="{}">{}</span>').format(css(r.site), html.bar(r.changed / max(1, r.positions))),
        ]
        for r in records(table)
    ]
    heads = ["Codebook", "", "Changed", f"of {positions:,} positions"]
    note = Markup('<p class="faint">A blend or an add moves the output of its own codebook, not the choice.</p>')
    return html.table(heads, rows, right=(2,), caption="codebooks that choose otherwise") + note


def codes_changed_at(found: Lens, place: int) -> list[tuple[str, int, int]]:
    """`site, code before, code after` for every code that another one takes the place of at a position.

    The order of the k codes says nothing of the output, so only what is gone and what is new counts.
    """
    changes = []
    for site, grid in found.grids.items():
        before, after = (Counter(codes.codes[place].tolist()) for codes in (found.before[site], grid))
        gone, new = ((one - other).elements() for one, other in ((before, after), (after, before)))
        changes += [(site, *pair) for pair in zip(gone, new, strict=True)]
    return changes


def changes_html(changes: Sequence[tuple[str, int, int]], model: str, labels: Mapping[CodeRef, str]) -> Markup:
    """Chips: what was chosen, what is chosen now."""

    def one(site: str, code: int) -> Markup | str:
        return widgets.chip(CodeRef(model, site, code), None, labels) if code >= 0 else "nothing"

    parts = [
        Markup('<span style="white-space:nowrap;margin-right:1rem">{} <span class="faint">→</span> {}</span>').format(
            one(site, before), one(site, after)
        )
        for site, before, after in changes
    ]
    return html.chips(parts)
