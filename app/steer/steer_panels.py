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
from app.shell import address, resources, session, widgets
from app.shell.timing import PATIENCE, Pace
from app.states.believing import own_walk
from app.steer import judged, steering
from app.steer.edit_list import pinned
from app.steer.judged import Aim
from app.steer.steering import Kept, Pair, Written
from backend.answers.live import Lens
from backend.data.machines import Machine
from backend.explorer import Explorer
from backend.types import CodeRef, Edit, Sampling

FIRST_TOKENS = 12  # of an item of the build, as a prompt to start from
CHANGES = 12  # of the codes at one position that are drawn at once
REDRAW = 0.12  # seconds between two pictures of a growing text


def default_prompt(explorer: Explorer, machine: Machine | None, model: str, dataset: str) -> str:
    """Return a beginning that says nothing of what will follow; the first item's own where the data set has none."""
    if machine is not None:
        return own_walk(explorer, machine, model, 0)
    if (trial := judged.trial(dataset)) is not None:
        return trial.testing[0]
    tokens = resources.aside(explorer).item(model, 0).tokens[:FIRST_TOKENS]
    return "".join(token.gap + token.text for token in tokens).strip()


def prompt_input(explorer: Explorer, machine: Machine | None, model: str, dataset: str) -> str:
    """The prompt: of the address, or where it is too long for one, of the session."""
    raw = address.text("prompt", "", steering.MAX_PROMPT) or session.draft("steer", "prompt", steering.MAX_PROMPT)
    raw = raw or default_prompt(explorer, machine, model, dataset)
    st.text_area(
        f"Prompt (at most {steering.MAX_PROMPT:,} characters, and what fits the model's context)",
        height=72,
        **address.bound_draft("prompt", "steer", raw, steering.MAX_LINK),
    )
    address.say_not_in_address("prompt", raw, steering.MAX_LINK)
    return raw


def settings_of_address() -> Sampling:
    """Samples, length, temperature, top-k and seed, as the address has them."""
    return Sampling(
        address.integer("samples", 1, 1, steering.MAX_SAMPLES),
        address.integer("new", 40, 1, steering.MAX_NEW),
        float(address.choice("temperature", [f"{t / 10:g}" for t in range(31)], "1")),
        address.integer("topk", 0, 0, 100_000) or None,
        address.integer("seed", 0, 0, 10**6),
    )


def settings_input(settings: Sampling) -> None:
    """Draw what says how to generate; all of it stands in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.number_input("Samples", 1, steering.MAX_SAMPLES, width=120, **address.bound("samples", settings.samples, 1))
        new = address.bound("new", settings.max_new_tokens, 40)
        st.number_input("New tokens", 1, steering.MAX_NEW, width=120, **new)
        warmth = address.bound("temperature", settings.temperature, 1.0)
        st.slider("Temperature", 0.0, 3.0, step=0.1, width=200, **warmth)
        st.number_input("Top-k (0: all)", 0, 100_000, width=130, **address.bound("topk", settings.top_k or 0, 0))
        st.number_input("Seed", 0, 10**6, width=130, **address.bound("seed", settings.seed, 0))
        st.button(
            "Generate with a new seed",
            type="primary",
            on_click=address.write,
            kwargs={"seed": (settings.seed + 1) % 10**6, "run": "1"},
        )


def first_screen(examples: Sequence[tuple[str, str]], others: Markup, machine: Machine | None, model: str) -> None:
    """Draw what stands where there is no edit yet: how to come by one, and examples to click."""
    widgets.empty("Add an edit.", "Find codes or choose one above, or come from a code's own page with s.")
    links = [html.link(href, words, "act") for words, href in examples]
    if machine is not None:
        href = html.address("states", model=model, view="believe")
        links.append(html.link(href, "Make it believe another state", "act"))
    if links:
        widgets.draw(
            Markup('<div class="actions"><span class="faint">Try one code:</span>{}</div>').format(
                Markup("").join(links)
            )
        )
    if others:
        widgets.draw(Markup('<p class="faint">Measured edits of models of the same data:</p>{}').format(others))


def question(kind: str, explorer: Explorer, model: str, *parts: Any) -> tuple[Any, ...]:
    """A key for what a live model is asked: the kind of question, the build and everything that is asked."""
    own = (tuple(map(str, part)) if isinstance(part, list) else part for part in parts)
    return (kind, str(resources.data_dir()), explorer.build(model), model, *own)


def generation(
    explorer: Explorer,
    model: str,
    prompt: str,
    edits: list[Edit],
    settings: Sampling,
    machine: Machine | None,
    aim: Aim | None = None,
) -> Pair | None:
    """Both texts: kept ones at once, new ones as they grow; None where a long run waits for a click."""
    key = question("texts", explorer, model, prompt, edits, settings)
    pair: Pair | None = Kept.shared().get(key)
    if pair is None:
        pace, work = Pace.of(f"{model} writes"), 2.0 * settings.samples * settings.max_new_tokens
        likely = pace.seconds(work)
        if likely > 4 * PATIENCE and not address.flag("run"):
            st.button(f"Generate (about {likely:.0f} s)", type="primary", on_click=address.write, kwargs={"run": "1"})
            return None
        place = st.empty()
        with st.spinner("Loading the model and writing ..."):
            live = explorer.live(model)
            drawn = 0.0
            with pace.timed(work):
                for pair in steering.stream_pair(live, prompt, edits, settings):
                    if time.perf_counter() - drawn > REDRAW:
                        place.html(html.wrap(steering.pair_html(pair, machine, aim)))
                        drawn = time.perf_counter()
        if pair is None:
            return None
        Kept.shared().put(key, pair)
        place.html(html.wrap(steering.pair_html(pair, machine, aim)))
    else:
        widgets.draw(steering.pair_html(pair, machine, aim))
    widgets.draw(steering.pair_figures(pair, machine, aim))
    made = len(pair.plain[0].ids) - pair.plain[0].prompt_length
    if made < settings.max_new_tokens:
        st.caption(f"{made} of {settings.max_new_tokens} new tokens: the model's context ends there.")
    return pair


# ---- what the edits change


def footprint_panel(
    explorer: Explorer, model: str, pair: Pair, edits: list[Edit], labels: Mapping[CodeRef, str]
) -> tuple[pd.DataFrame, float]:
    """Per-token divergence over the unsteered text, and which codebooks choose otherwise.

    Returns:
        The latter, and the mean divergence in nats where the edits are made.
    """
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
        place = min(address.integer("place", int(found.kl.argmax()), 0, 10**6), len(found.tokens) - 1)
        picked = token_strip(
            kl_strip(found, own),
            key=f"kl-{model}",
            selected=place,
            alt="the unsteered text, each token coloured by how far its prediction moves",
            hint="Coloured by KL divergence; point at a token, click to see which codes change there.",
        )
        if picked is not None and picked != place:
            address.write(place=picked)
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
    where = edited_positions(fixed, len(found.kl))
    return table, float(found.kl[where].mean()) if where.any() else 0.0


def edited_positions(fixed: Sequence[Edit], length: int) -> np.ndarray:
    """Return bool `[length]`: where edits at absolute positions are made."""
    edited = np.zeros(length, dtype=bool)
    for edit in fixed:
        if edit.where == "all":
            edited[:] = True
        elif not isinstance(edit.where, str):
            edited[[p for p in edit.where if p < length]] = True
    return edited


def kl_figures(found: Lens, fixed: Sequence[Edit]) -> Markup:
    """Mean divergence where the edits are made and elsewhere, and the largest."""
    edited = edited_positions(fixed, len(found.kl))
    first = int(edited.argmax()) if edited.any() else len(edited)
    away = (np.arange(len(edited)) > first) & ~edited
    if away.any():
        off_target = f"mean over {int(away.sum())} later positions without an edit"
    elif edited.any():
        off_target = "no position is left: from the first edited one on, all are edited"
    else:
        off_target = "no position of this text is edited"

    def mean(where: np.ndarray) -> str:
        return f"{found.kl[where].mean():.3f} nats" if where.any() else "none"

    top = int(found.kl.argmax())
    return html.stats(
        [
            ("KL at edited positions", mean(edited), f"mean over {int(edited.sum())} of {len(edited)} positions"),
            ("off target: KL after them", mean(away), off_target),
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
            Markup('<span class="tag whole">edited</span>') if r.edited else "",
            f"{r.changed:,}",
            html.coloured(css(r.site), html.bar(r.changed / max(1, r.positions))),
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
    hidden = parts[CHANGES:]
    rest = Markup("<details><summary>and {} more</summary>{}</details>").format(len(hidden), html.chips(hidden))
    return html.chips(parts[:CHANGES]) + (rest if hidden else Markup(""))
