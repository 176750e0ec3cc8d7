"""The States page's experiment: the walk is in state A, make the model believe that it is in B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.draw.tables import Row, records
from app.shell import address, resources, widgets
from app.shell.timing import Pace, remembered
from app.states import machine_charts
from app.states.states import scrolling
from backend.answers.live import Belief
from backend.data.machines import BOS_TEXT, Machine
from backend.edits.codes import STRONGEST
from backend.errors import BadInput
from backend.explorer import Explorer
from backend.types import CodeRef, Edit

MAX_WALK = 2_000  # characters
WALK_STATES = 8  # of a walk taken from the build
MAX_SAMPLES, MAX_STEPS = 200, 20
MEASURE = (
    "Jensen-Shannon divergence (nats) between what the model expects next with the edits and what it expects after "
    "walks that really end in B, divided by the same without edits: 0 means that it believes fully, 1 that nothing "
    "changed."
)


@dataclass(frozen=True)
class Asked:
    """What the address asks for; the arguments of `LiveModel.believe`."""

    walk: str
    target: str
    at: int
    places: tuple[str, ...]
    layers: tuple[int, ...]
    strength: float
    hold: bool
    samples: int
    new_states: int
    seed: int


def own_walk(explorer: Explorer, machine: Machine, model: str, item: int) -> str:
    """The first whole states of an item of the build."""
    return whole_states(machine, resources.aside(explorer).item(model, item).text, WALK_STATES)


def whole_states(machine: Machine, text: str, most: int) -> str:
    """A walk cut to whole states and to at most so many."""
    tokens = machine.parse(text.strip().removeprefix(BOS_TEXT))
    states = machine.decode(tokens[None])[0][:most]
    return " ".join(machine.name(int(s)) for s in states if s >= 0)


def far_target(machine: Machine, actual: str) -> str:
    """A state whose successors are as different from A's as can be: there the change is easiest to see."""
    row = int("".join(actual.split()), machine.base) if actual else 0
    shared = (machine.transitions & machine.transitions[row]).sum(1)
    shared[row] = machine.states + 1
    return machine.name(int(shared.argmin()))


def states_of(machine: Machine, walk: str) -> list[str]:
    """The whole states of a walk as names; none where it cannot be read (the model then says why)."""
    try:
        return whole_states(machine, walk, machine.length).split()
    except BadInput:
        return []


def controls(explorer: Explorer, machine: Machine, model: str, codebooks: pd.DataFrame) -> Asked:
    """Everything that can be chosen; all of it stands in the address."""
    places = list(dict.fromkeys(str(p) for p in codebooks["place"]))
    layers = sorted({int(layer) for layer in codebooks["layer"].dropna()})
    items = int(explorer.facts(model)["items"])
    item = address.integer("item", 0, 0, max(0, items - 1))
    walk = address.text("walk", "", MAX_WALK) or own_walk(explorer, machine, model, item)
    read = states_of(machine, walk)
    names = [machine.name(s) for s in range(machine.states)]
    first, second, third = st.columns([4, 1.2, 1.2], vertical_alignment="bottom")
    with first:
        st.text_input(
            f"Walk that is read (whole states of {machine.digits} digits, at most {machine.walk_length - 1})",
            max_chars=MAX_WALK,
            **address.bound("walk", walk, clears=["at", "run"]),
        )
    with second:
        st.button(
            "Another walk",
            on_click=address.write,
            kwargs={"item": (item + 1) % max(1, items), "walk": None, "at": None, "target": None, "run": None},
            width="stretch",
            help="The next item of the build.",
        )
    last = max(0, len(read) - 1)
    at = address.integer("at", last, 0, max(0, machine.walk_length))
    at = min(at, last)
    with third:
        options = list(range(len(read))) or [0]
        # another key for another walk: under the same one the browser goes on showing the state of the walk before
        key = f"at.{walk}"
        st.session_state[key] = at
        st.selectbox(
            "State A, as it is",
            options,
            format_func=lambda i: f"{read[i]} · no. {i + 1}" if i < len(read) else "–",
            key=key,
            on_change=lambda: address.write(at=_unless(st.session_state[key], last), run=None),
        )
    target = address.choice("target", names, far_target(machine, read[at]) if read else names[0])
    columns = st.columns([1.2, 2.2, 1.7, 1.7, 1.2], vertical_alignment="bottom", gap="medium")
    with columns[0]:
        st.selectbox("Make it believe B", names, **address.bound("target", target, clears=["run"]))
    with columns[1]:
        strength = min(STRONGEST, max(0.0, _number("strength", 1.0)))
        st.slider(
            "Strength (1: the code replaces what was chosen)",
            0.0,
            STRONGEST,
            step=0.05,
            **address.bound("strength", strength, default=1.0, clears=["run"]),
        )
    with columns[2]:
        usual = ["mlp"] if "mlp" in places else places[:1]
        chosen = address.many("place", places) or usual
        st.multiselect("Codebooks at", places, **address.bound("place", chosen, default=usual, clears=["run"]))
    with columns[3]:
        picked = [int(v) for v in address.many("layer", [str(v) for v in layers])]
        st.multiselect("Layers", layers, placeholder="all", **address.bound("layer", picked, clears=["run"]))
    with columns[4]:
        hold = address.flag("hold", True)
        st.toggle(
            "Hold",
            help="Edit attention at the next state's digits too. Without it the model reads the true digits again "
            "as soon as it has written the first digit of the next state.",
            **address.bound("hold", hold, default=True, clears=["run"]),
        )
    columns = st.columns([1, 1, 1, 3], vertical_alignment="bottom", gap="medium")
    with columns[0]:
        samples = address.integer("samples", 20, 1, MAX_SAMPLES)
        st.number_input("Samples", 1, MAX_SAMPLES, **address.bound("samples", samples, 20, clears=["run"]))
    with columns[1]:
        steps = address.integer("steps", 5, 1, MAX_STEPS)
        st.number_input("States in each", 1, MAX_STEPS, **address.bound("steps", steps, 5, clears=["run"]))
    with columns[2]:
        seed = address.integer("seed", 0, 0, 10**6)
        st.number_input("Seed", 0, 10**6, **address.bound("seed", seed, 0, clears=["run"]))
    return Asked(walk, target, at, tuple(chosen), tuple(picked), strength, hold, samples, steps, seed)


def _unless(value: int, default: int) -> int | None:
    """The value for the address; the default is left out of it."""
    return None if value == default else value


def examples(explorer: Explorer, machine: Machine, model: str, codebooks: pd.DataFrame) -> Markup:
    """Links to two beliefs that show something: another walk, and the same where attention reads the true digits again."""
    items = int(explorer.facts(model)["items"])
    walk = own_walk(explorer, machine, model, min(1, items - 1))
    read = states_of(machine, walk)
    if not read:
        return Markup("")
    target = far_target(machine, read[-1])
    view = {"model": model, "view": "believe", "walk": walk, "target": target, "run": 1}
    links = [html.link(html.address("states", **view), f"It is in {read[-1]}: make it believe {target}", "act")]
    if codebooks["place"].str.startswith("attn").any():
        title = "attention then reads the true digits again behind the first one that is written"
        href = html.address("states", **view, hold=0)
        links.append(html.link(href, "The same without Hold: the second digit is missed", "act", title))
    return Markup('<div class="actions"><span class="faint">Examples:</span>{}</div>').format(Markup("").join(links))


def missed(found: Belief) -> int:
    """In how many samples the first digit fits B and the state does not; 0 where the walk goes on behind the edits."""
    places = [place for edit in found.edits if not isinstance(edit.where, str) for place in edit.where]
    if min(places, default=0) != len(found.walk) * len(found.actual):
        return 0
    firsts = {name[0] for name in found.next.loc[found.next["from_target"], "state"]}
    fits = found.continued["first"].str[:1].isin(firsts)
    return int((fits & ~found.continued["valid_from_target"]).sum())


def why_missed(found: Belief, hold: bool) -> str:
    """Say why B is believed at the first digit and not behind it, where that happens; else nothing."""
    count, n = missed(found), len(found.continued)
    if not count:
        return ""
    held = hold and len({e.where for e in found.edits}) > 1
    said = (
        f"In {count} of {n} samples the first digit fits {found.target} and the next one does not. It is written one "
        "position later, "
    )
    if held:
        return said + (
            f"where the codes held in attention are those that walks in {found.target} choose most often after any first "
            "digit: the edits are made before one is written. After the digit that was written another code can be right."
        )
    if hold:
        return said + f"where this model has no codebook of attention to hold: it reads the digits of {found.actual}."
    return said + (
        f"where nothing is edited: attention reads the true digits of {found.actual} again. Hold edits it there too."
    )


def _number(name: str, default: float) -> float:
    raw = address.text(name, "", 20)
    try:
        return float(raw) if raw else default
    except ValueError:
        widgets.empty(f"{name} = {raw[:20]!r} is not a number.", f"Shown instead: {default:g}.")
        return default


@remembered(300)
def believed(data_dir: str, build: str, model: str, asked: Asked, _explorer: Any) -> Belief:
    """What the model expects, kept by build and question."""
    given = asdict(asked)
    pace = Pace.of(model)
    live = _explorer.live(model)
    with pace.timed(asked.samples * asked.new_states):
        found: Belief = live.believe(given.pop("walk"), given.pop("target"), **given)
    return found


def python(model: str, asked: Asked) -> str:
    """The same as a line of Python, which prints it."""
    given = asdict(asked)
    walk, target = given.pop("walk"), given.pop("target")
    return (
        f"show(explorer.live({model!r}).believe({walk!r}, {target!r}, "
        + ", ".join(f"{k}={v!r}" for k, v in given.items())
        + "))"
    )


def result_panel(found: Belief, model: str, asked: Asked) -> dict[str, pd.DataFrame]:
    """Distributions, divergences with their controls, continuations, edits; returns what is on the screen."""
    first, second = st.columns([2.6, 1], gap="medium")
    with first:
        widgets.section("The state that comes next", "bars marked B: successors of B; A: of A; AB: of both")
        widgets.draw(role_legend())
        panels = machine_charts.expected(found.next, found.actual, found.target)
        names = ("before", "with the edits", "where the walk really is in B")
        for place, panel, name in zip(st.columns(3, gap="small"), panels, names, strict=True):
            with place:
                st.altair_chart(panel, alt=f"distribution of the next state {name}")
    with second:
        widgets.section("How far it believes", "0: fully; 1: not at all")
        widgets.draw(divergence_table(found), Markup('<p class="faint">{}</p>').format(MEASURE))
        widgets.section("The edits", f"{len(found.edits)}, at position {positions(found.edits)} counted from <bos>")
        opened = html.address(
            "steer", model=model, prompt=asked.walk, edit=[str(e) for e in found.edits], seed=asked.seed
        )
        widgets.draw(
            html.chips(html.chip(CodeRef(model, e.site, e.code)) for e in found.edits if e.code >= 0),
            Markup('<div class="actions" style="margin-top:.5rem">{}</div>').format(
                html.link(opened, Markup("Open in Steer<kbd>s</kbd>"), "act", key="s")
            ),
        )
    columns = st.columns(2, gap="medium")
    for column, title, frame in zip(
        columns,
        ("Continued without the edits", f"Continued believing {found.target}"),
        (found.continued_before, found.continued),
        strict=True,
    ):
        with column:
            widgets.section(
                title, f"{len(frame)} samples at temperature 1, seed {asked.seed}; checked against the machine"
            )
            widgets.draw(continuation_figures(frame, found.actual, found.target))
            if frame is found.continued and (why := why_missed(found, asked.hold)):
                widgets.draw(Markup('<p role="note">{}</p>').format(why))
            widgets.draw(scrolling(continuation_table(frame)))
    return {
        "next": found.next,
        "controls": pd.DataFrame(
            [("edits", found.normalized, found.token_normalized)], columns=["control", "normalized", "token_normalized"]
        ).pipe(lambda own: pd.concat([own, found.controls], ignore_index=True)),
        "continued": found.continued,
        "continued_before": found.continued_before,
    }


def positions(edits: Sequence[Edit]) -> str:
    """The positions that edits are made at."""
    found = sorted({p for e in edits if not isinstance(e.where, str) for p in e.where})
    return ", ".join(map(str, found)) or "all"


def role_legend() -> Markup:
    """What the colours of the bars mean; the letters beside the states say the same."""
    colours = dict(zip(machine_charts.ROLES, ("#3D8FC6", "#1FA37E", "#DB6D1F", machine_charts.GREY), strict=True))
    parts = [
        Markup('<span><span style="color:{}">■</span> successor {}</span>').format(colour, role)
        for role, colour in colours.items()
    ]
    return Markup('<div class="faint" style="display:flex;flex-wrap:wrap;gap:.1rem 1.2rem">{}</div>').format(
        Markup("").join(parts)
    )


def divergence_table(found: Belief) -> Markup:
    """The normalised divergence over whole next states and over the next token, beside its controls."""
    rows: list[list[Any]] = [
        [
            Markup("<b>{}</b>").format(f"codes of {found.target}"),
            Markup("<b>{}</b>").format(f"{found.normalized:.3f}"),
            Markup("<b>{}</b>").format(f"{found.token_normalized:.3f}"),
        ],
        *(
            [
                Markup('<span class="faint">{}</span>').format(row.control),
                f"{row.normalized:.3f}",
                f"{row.token_normalized:.3f}",
            ]
            for row in records(found.controls)
        ),
        [Markup('<span class="faint">no edit</span>'), "1.000", "1.000"],
    ]
    return html.table(
        ["Put in", "Next state", "Next token alone"],
        rows,
        right=(1, 2),
        caption="normalised divergence with its controls",
    )


def continuation_figures(frame: pd.DataFrame, actual: str, target: str) -> Markup:
    """How many samples go on as from A, as from B, and stay on the machine afterwards."""
    n = len(frame)
    a, b = int(frame["valid_from_actual"].sum()), int(frame["valid_from_target"].sum())
    rest, whole = int(frame["rest_valid"].sum()), int(frame["rest"].sum())
    return html.stats(
        [
            (f"first step fits {target} (B)", f"{b} of {n}", html.share(b / max(1, n))),
            (f"first step fits {actual} (A)", f"{a} of {n}", html.share(a / max(1, n))),
            ("later steps valid", f"{rest:,} of {whole:,}", html.share(rest / max(1, whole))),
        ]
    )


def continuation_table(frame: pd.DataFrame, most: int = 20) -> Markup:
    """Sampled continuations with the machine's verdict as text and colour."""

    def line(row: Row) -> list[Any]:
        fits = [name for name, yes in (("B", row.valid_from_target), ("A", row.valid_from_actual)) if yes]
        verdict = (
            Markup('<span class="ok">✓ {}</span>').format(" and ".join(fits))
            if fits
            else Markup('<span class="bad">✗ neither</span>')
        )
        head, rest = row.text[: len(row.first)], row.text[len(row.first) :]
        css = "ok" if row.rest_valid == row.rest else "bad"
        return [
            Markup('<span class="mono"><b>{}</b>{}</span>').format(head, rest),
            verdict,
            Markup('<span class="{}">{} {} of {}</span>').format(
                css, "✓" if css == "ok" else "✗", int(row.rest_valid), int(row.rest)
            ),
        ]

    rows = [line(row) for row in records(frame.head(most))]
    tail = (
        Markup('<p class="faint">{} of {} shown; all in the download.</p>').format(most, len(frame))
        if len(frame) > most
        else Markup("")
    )
    return (
        html.table(["Continuation", "First step fits", "Later steps valid"], rows, caption="sampled continuations")
        + tail
    )
