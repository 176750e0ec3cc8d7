"""The Steer page's measurement: how often it succeeds, against every control, and how that grows with strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.components.into_view import into_view
from app.draw import drawing, html
from app.draw.charts import BLUE
from app.draw.tables import records
from app.shell import address, widgets
from app.shell.earlier import Earlier
from app.shell.timing import Pace
from app.steer import judged, steering
from app.steer.meter import Meter, NeuronPace, expectation
from app.steer.steer_panels import question
from app.steer.steering import Kept
from backend.answers.live import Arm
from backend.data.machines import Machine
from backend.explorer import MAX_PATTERN, Explorer
from backend.types import CodeRef, Edit, Sampling

MAX_MEASURED = 400
STRENGTHS = tuple(step / 4 for step in range(7))  # 0 to 1.5
NAMES = {
    "unsteered": "unsteered",
    "steered": "steered",
    "control": "random codes (control)",
    "neuron": "best neurons (control)",
}


STRENGTH = alt.X(
    "strength:Q",
    title="share of the edits' strength",
    scale=alt.Scale(domain=[0, 1.5]),
    axis=alt.Axis(values=list(STRENGTHS)),
)


@dataclass(frozen=True)
class Asked:
    """What a person wants measured; the arguments of `LiveModel.compare` behind the prompt and the edits."""

    sampling: Sampling
    success: str
    topic: tuple[str, str] | None
    dose: tuple[float, ...]
    dose_samples: int

    @property
    def with_neurons(self) -> bool:
        """Whether the best neurons are a control: they are looked for by what a success is."""
        return bool(self.success or self.topic)

    @property
    def tokens(self) -> float:
        """New tokens of all arms together, at most."""
        arms = 3 + self.with_neurons
        samples = arms * self.sampling.samples + len(self.dose) * self.dose_samples
        return float(samples * self.sampling.max_new_tokens)

    def python(self) -> str:
        """The same as Python, behind the lines of `steering.python`."""
        more = f", dose={self.dose}, dose_samples={self.dose_samples}" if self.dose else ""
        return f"measured = live.compare(prompt, edits, {self.sampling}, success={self.success!r}, topic={self.topic!r}{more})"


def controls(dataset: str, settings: Sampling, machine: Machine | None, model: str) -> Asked:
    """What a success is, how many samples, and whether to draw a curve; all of it stands in the address."""
    widgets.section(
        "How often does it succeed?",
        "the same prompt and seeds; as controls, random codes in the edits' place and the best neurons held",
    )
    judges = ["", *(f"{field}={value}" for field, values in judged.values(dataset).items() for value in values)]
    judge = address.choice("judge", judges, "") if len(judges) > 1 else ""
    success = "" if judge else address.text("success", "", 10 * MAX_PATTERN)
    n, few = address.integer("n", 50, 1, MAX_MEASURED), address.integer("few", 20, 1, MAX_MEASURED)
    curve = address.flag("dose")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if len(judges) > 1:
            st.selectbox(
                "Success: the new text is",
                judges,
                format_func=lambda j: j.replace("=", " = ") or "what the pattern says",
                help="Judged by the rules that made the data, not by a model.",
                width=230,
                **address.bound("judge", judge, "", clears=["measure", "success"]),
            )
        example = rf"\b{machine.name(17 % machine.states)}" if machine is not None else r"\bthe\b"
        st.text_input(
            f"Success: a pattern (RE2, at most {MAX_PATTERN} characters)",
            placeholder="judged by the data's own truth" if judge else f"e.g. {example}",
            disabled=bool(judge),
            width=330,
            **address.bound("success", success, clears=["measure"]),
        )
        st.number_input("Samples of each", 1, MAX_MEASURED, width=140, **address.bound("n", n, 50))
        st.checkbox("Curve over strength", width="content", **address.bound("dose", curve, False))
        many = f"Of each of {len(STRENGTHS)}"
        st.number_input(many, 1, MAX_MEASURED, disabled=not curve, width=130, **address.bound("few", few, 20))
        st.button("Measure", type="primary", on_click=address.write, kwargs={"measure": "1"})
    field, _, value = judge.partition("=")
    topic = (field, value) if judge else None
    asked = Asked(replace(settings, samples=n), success, topic, STRENGTHS if curve else (), few)
    st.caption(expectation(asked, model))
    return asked


def measure_panel(
    explorer: Explorer, model: str, prompt: str, edits: list[Edit], asked: Asked, machine: Machine | None
) -> dict[str, pd.DataFrame]:
    """Every condition as soon as it is finished, then the table, the curve and what can be downloaded.

    What was measured before, of other edits or settings, stays below, greyed, until the new result is there.
    """
    earlier = Earlier(f"measure.{model}", lambda result: _draw(result[0], result[1], machine, model))
    key = question("measured", explorer, model, prompt, edits, asked)
    if not address.flag("measure"):
        earlier.show(key, "measured of other edits or settings; Measure asks again")
        return {}
    arms = _measured(explorer, model, key, prompt, edits, asked, machine, earlier)
    into_view("measured", f"done {hash(key)}")
    _draw(arms, asked, machine, model)
    earlier.keep(key, (arms, asked))
    doses = dose_table(arms)
    return {
        "success": arm_table(arms, machine),
        **({"dose": doses} if len(doses) else {}),
        "samples": sample_table(arms),
    }


def _draw(arms: Sequence[Arm], asked: Asked, machine: Machine | None, model: str) -> None:
    """The table with its notes, and the curve where one was asked for."""
    judged_by, doses = asked.success or "=".join(asked.topic or ()), dose_table(arms)
    widgets.draw(arm_html(arm_table(arms, machine), judged_by), notes_html(arms, model))
    if judged_by and "neuron" not in NAMES.keys() & {arm.name for arm in arms}:
        st.caption("No neurons to compare with: what counts as a success names no position of the data set.")
    if len(doses):
        widgets.section(
            "How much of it is needed?", f"all edits at a share of their strength, {asked.dose_samples} samples each"
        )
        _draw_doses(doses)


def _measured(
    explorer: Explorer,
    model: str,
    key: tuple[Any, ...],
    prompt: str,
    edits: list[Edit],
    asked: Asked,
    machine: Machine | None,
    earlier: Earlier,
) -> list[Arm]:
    """All arms; those that an interrupted run has finished are not made again."""
    arms, complete = Kept.shared().get(key) or ([], False)
    if complete:
        return list(arms)
    arms = list(arms)
    into_view("measuring", f"begun {hash(key)}")
    area, place, before = st.empty(), st.empty(), st.empty()
    bar, stop = area.container().columns([6, 1], vertical_alignment="center")
    with stop:
        st.button("Stop", key="stop.measure", on_click=address.write, kwargs={"measure": None}, width="stretch")
    with bar:
        meter = Meter(st.progress(0.0, "Loading the model ..."), asked, NeuronPace.of(model))
    with before.container():
        earlier.show(key, "of other edits or settings, until the new result is there")
    live = explorer.live(model)
    meter.start(arms)
    options = {"success": asked.success, "topic": asked.topic, "dose": asked.dose, "dose_samples": asked.dose_samples}
    with Pace.of(f"{model} writes").timed(asked.tokens):
        for arm in live.arms(prompt, edits, asked.sampling, done=list(arms), progress=meter.wrote, **options):
            if arm.name not in {one.name for one in arms}:
                arms.append(arm)
                Kept.shared().put(key, (tuple(arms), False))
            meter.finished(arm)
            place.html(html.wrap(arm_html(arm_table(arms, machine), asked.success or str(asked.topic or ""))))
    Kept.shared().put(key, (tuple(arms), True))
    for part in (area, place, before):
        part.empty()
    return arms


def arm_table(arms: Sequence[Arm], machine: Machine | None) -> pd.DataFrame:
    """One row a condition: `arm, n, hits, rate, low, high, perplexity, valid, steps, seconds`; doses left out."""

    def line(arm: Arm) -> tuple[Any, ...]:
        valid, steps = steering.valid_share(machine, arm.generated) if machine is not None else (0, 0)
        n = len(arm.generated)
        return (arm.name, n, arm.hits, arm.rate, arm.low, arm.high, arm.perplexity, valid, steps, arm.seconds)

    columns = ["arm", "n", "hits", "rate", "low", "high", "perplexity", "valid", "steps", "seconds"]
    return pd.DataFrame([line(arm) for arm in arms if arm.name in NAMES], columns=columns)


def dose_table(arms: Sequence[Arm]) -> pd.DataFrame:
    """One row a strength: `strength, n, hits, rate, low, high, perplexity`."""
    rows = [
        (a.strength, len(a.generated), a.hits, a.rate, a.low, a.high, a.perplexity) for a in arms if a.name not in NAMES
    ]
    return pd.DataFrame(rows, columns=["strength", "n", "hits", "rate", "low", "high", "perplexity"])


def sample_table(arms: Sequence[Arm]) -> pd.DataFrame:
    """Every text that was written: `arm, strength, sample, text`."""
    rows = [(a.name, a.strength, i, made.text) for a in arms for i, made in enumerate(a.generated)]
    return pd.DataFrame(rows, columns=["arm", "strength", "sample", "text"])


def arm_html(table: pd.DataFrame, success: str) -> Markup:
    """The conditions with intervals; columns that nothing is known for are left out."""
    with_steps, with_perplexity = bool(table["steps"].any()), bool(table["perplexity"].notna().any())
    heads = ["", *(["Success", "of"] if success else []), *(["Valid transitions", "of"] if with_steps else [])]
    heads += [*(["Perplexity under the base", "of unsteered"] if with_perplexity else []), "Seconds"]
    usual = float(table["perplexity"].iloc[0]) if len(table) else float("nan")
    rows = []
    for r in records(table):
        cells: list[Any] = [Markup("<b>{}</b>").format(NAMES[r.arm]) if r.arm == "steered" else NAMES[r.arm]]
        if success:
            cells += [html.bar(r.rate, r.low, r.high), f"{int(r.hits)} of {r.n}"]
        if with_steps:
            cells += [html.bar(r.valid / r.steps if r.steps else None), f"{r.valid:,} of {r.steps:,}"]
        if with_perplexity:
            cells += [f"{r.perplexity:.3f}", f"{r.perplexity / usual:,.2f} x"]
        rows.append([*cells, f"{r.seconds:.2f}"])
    return html.table(heads, rows, caption="how often it succeeds")


def notes_html(arms: Sequence[Arm], model: str, most: int = 24) -> Markup:
    """What the controls were."""
    named: Mapping[str, Arm] = {arm.name: arm for arm in arms}
    parts = (
        [Markup('<p class="faint">Whiskers: Wilson\'s 95 % interval.</p>')] if arms and arms[0].hits is not None else []
    )
    if "control" in named:
        codes = [edit for edit in named["control"].edits if edit.code >= 0]
        chips = html.chips(html.chip(CodeRef(model, edit.site, edit.code)) for edit in codes[:most])
        more = f" ({len(codes) - most} more in Copy as Python)" if len(codes) > most else ""
        parts.append(Markup('<p class="faint">The control\'s random codes{}:</p>{}').format(more, chips))
    if "neuron" in named:
        held = ", ".join(str(neuron) for neuron in named["neuron"].neurons[:most])
        parts.append(
            Markup(
                '<p class="faint">Best neurons: as many as the edits have codes, those whose mean is farthest from the usual '
                "where the success is true of the data, in standard deviations, held at that mean: "
                '<span class="mono">{}</span>{}</p>'
            ).format(held, " ..." if len(named["neuron"].neurons) > most else "")
        )
    if len(parts) < 2:
        return Markup("").join(parts)
    return Markup("{}<details><summary>what the controls were</summary>{}</details>").format(
        parts[0], Markup("").join(parts[1:])
    )


def _draw_doses(doses: pd.DataFrame) -> None:
    """The curve of success, and beside it that of fluency, as far as they are known."""
    left, right = st.columns(2, gap="medium")
    if doses["rate"].notna().any():
        with left:
            said = ", ".join(f"{html.share(r.rate)} at {r.strength:g}" for r in records(doses))
            drawing.draw(success_curve, doses, alt=f"success by strength: {said}", width="stretch")
    if doses["perplexity"].notna().any():
        with right:
            said = ", ".join(f"{r.perplexity:.1f} at {r.strength:g}" for r in records(doses))
            drawing.draw(perplexity_curve, doses, alt=f"perplexity by strength: {said}", width="stretch")


def success_curve(doses: pd.DataFrame) -> alt.LayerChart:
    """Share of successes over strength, with Wilson's interval as a band."""
    base = alt.Chart(doses).encode(STRENGTH)
    share = alt.Scale(domain=[0, 1])
    band = base.mark_area(color=BLUE, opacity=0.2).encode(
        alt.Y("low:Q", scale=share, title="share that succeed", axis=alt.Axis(format="%")), alt.Y2("high:Q")
    )
    line = base.mark_line(color=BLUE, strokeWidth=2, point=True).encode(
        alt.Y("rate:Q", scale=share),
        tooltip=[
            "strength:Q",
            alt.Tooltip("rate:Q", format=".1%"),
            alt.Tooltip("low:Q", format=".1%"),
            alt.Tooltip("high:Q", format=".1%"),
            "n:Q",
        ],
    )
    return (band + line).properties(height=220)


def perplexity_curve(doses: pd.DataFrame) -> alt.Chart:
    """Perplexity of the new text under the base over strength."""
    return (
        alt.Chart(doses)
        .mark_line(color=BLUE, strokeWidth=2, point=True)
        .encode(
            STRENGTH,
            alt.Y("perplexity:Q", title="perplexity under the base", scale=alt.Scale(zero=True)),
            tooltip=["strength:Q", alt.Tooltip("perplexity:Q", format=".2f"), "n:Q"],
        )
        .properties(height=220)
    )
