"""What steering is known to do: the edits of a model's card with their figures, ready to be used as they were measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.draw.tables import records, row
from app.shell import address, widgets
from app.steer import judged
from app.steer.edit_list import first_edit
from app.steer.judged import Aim
from backend.explorer import Explorer
from backend.types import CodeRef, Edit

OFFERED = 3  # measured edits beside a code that is weak


@dataclass(frozen=True)
class Rate:
    """A share that was measured, with the range over its seeds."""

    value: float
    low: float
    high: float
    definition: str


@dataclass(frozen=True)
class Measured:
    """Edits that a search found and `evaluate` measured, with how often the new text is so without and with them.

    Attributes:
        field, value: what they bring about.
        edits: as addresses write them.
        before, after: without and with the edits; None where the card has no figures.
    """

    field: str
    value: str
    edits: tuple[str, ...]
    before: Rate | None = None
    after: Rate | None = None

    @property
    def name(self) -> str:
        """`topic=dragon`, as the address writes it."""
        return f"{self.field}={self.value}"

    @property
    def gain(self) -> float:
        """How much more often; 0 where that is not known."""
        return self.after.value - self.before.value if self.before and self.after else 0.0

    @property
    def effect(self) -> str:
        """`7 % → 98 %`; empty where that is not known."""
        return f"{_round(self.before.value)} → {_round(self.after.value)}" if self.before and self.after else ""

    @property
    def about(self) -> str:
        """How that was measured, for a hover."""
        said = f"{len(self.edits)} edits."
        if self.before and self.after:
            said += (
                f" Without them {html.share(self.before.value)}, with them {html.share(self.after.value)} "
                f"({html.share(self.after.low)} to {html.share(self.after.high)} over the seeds): {self.after.definition}."
            )
        return said


def _round(share: float) -> str:
    """Return a share without decimals, unless it would then be said to be all or nothing."""
    rounded = round(100 * share)
    return html.share(share) if rounded in (0, 100) and share not in (0, 1) else f"{rounded} %"


def measured(explorer: Explorer, model: str) -> list[Measured]:
    """Return the edits of a model's card, each field's greatest gain first; the field that gains most stands first."""
    known = explorer.measured_edits(model)
    rates = rates_of(explorer.metrics(model)) if known else {}
    found = []
    for name, edits in known.items():
        field, _, value = name.partition("=")
        before, after = (rates.get(f"{field}_{arm}.{value}") for arm in ("unsteered", "steered"))
        found.append(Measured(field, value, edits, before, after))
    best = {one.field: max(other.gain for other in found if other.field == one.field) for one in found}
    return sorted(found, key=lambda one: (-best[one.field], one.field, -one.gain))


def rates_of(metrics: pd.DataFrame) -> dict[str, Rate]:
    """Return the figures of `Explorer.metrics` by name."""
    return {r.name: Rate(float(r.value), float(r.low), float(r.high), str(r.definition)) for r in records(metrics)}


def random_code_note(explorer: Explorer, model: str, fields: Iterable[str]) -> str:
    """Return what random codes in the edits' place reach, as a clause; empty where that was not measured."""
    rates = rates_of(explorer.metrics(model))
    shares = [
        f"{field} {_round(rates[f'{field}_random_code'].value)}" for field in fields if f"{field}_random_code" in rates
    ]
    return f"; random codes in their place: {', '.join(shares)}" if shares else ""


# ---- what can be clicked


def parameters(one: Measured, dataset: str) -> dict[str, Any]:
    """Return the part of the address that shows what measured edits do, as it was measured; the page chooses the seed."""
    prompt = {"prompt": trial.testing[0]} if (trial := judged.trial(dataset)) else {}
    return {"edit": list(one.edits), "judge": one.name, **prompt, **as_tried(dataset)}


def as_tried(dataset: str) -> dict[str, Any]:
    """Return the part of the address that makes new text as steering is tried on a data set, with a seed that shows it."""
    trial = judged.trial(dataset)
    return {"new": trial.new_tokens, "temperature": trial.temperature, "telling": 1} if trial else {}


def use(one: Measured, dataset: str) -> dict[str, Any]:
    """Return the arguments of the button that puts measured edits into the list; what they replace is taken out."""
    cleared = dict.fromkeys(("success", "measure", "run", "samples", "topk", "seed", "place"))
    return {"on_click": address.write, "kwargs": {**cleared, **parameters(one, dataset)}}


def gallery(found: Sequence[Measured], dataset: str, edits: Sequence[Edit], note: str) -> None:
    """Draw a button for all that the model can be steered to, with what it does; that in force is marked."""
    widgets.section(
        "Steer it to", "how often the new text is so, without → with the measured edits, on prompts of their own" + note
    )
    now = tuple(map(str, edits))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for field in dict.fromkeys(one.field for one in found):
            name = Markup('<b class="faint">{}</b>').format(field)
            st.html(html.wrap(name), width="content")
            for one in (o for o in found if o.field == field):
                st.button(
                    f"{one.value} {one.effect}".strip(),
                    key=f"measured.{one.name}",
                    type="primary" if one.edits == now else "secondary",
                    help=one.about,
                    **use(one, dataset),
                )


def elsewhere(explorer: Explorer, models: pd.DataFrame, model: str, dataset: str) -> Markup:
    """Return links to the measured edits of other models of the same data, best first; empty where there are none."""
    if judged.trial(dataset) is None:
        return Markup("")
    others = models[(models["built"] != "") & (models["dataset"] == dataset) & (models["model"] != model)]
    links = []
    for other in records(others):
        found = (
            sorted(measured(explorer, other.model), key=lambda one: -one.gain) if "steer" in other.capabilities else []
        )
        links += [_link(other.model, one, dataset, f"{other.model}: ") for one in found[:OFFERED]]
    return Markup('<div class="actions">{}</div>').format(Markup("").join(links)) if links else Markup("")


def _link(model: str, one: Measured, dataset: str, before: str = "") -> Markup:
    href = html.address("steer", model=model, **parameters(one, dataset))
    return html.link(href, f"{before}{one.value} {one.effect}", "act", title=one.about)


def examples(explorer: Explorer, model: str, dataset: str, most: int = 2) -> list[tuple[str, str]]:
    """Return what one could steer with where no edits were measured: words and address, of the best concept codes."""
    codebooks, best = explorer.codebooks(model), dict[CodeRef, tuple[str, Aim | None]]()
    for r in records(explorer.concepts(model).sort_values("f1", ascending=False, kind="stable")):
        words = f"{r.field} = {r.value}: {r.site} {r.code}, {html.share(r.precision)} precise"
        best.setdefault(r.ref, (words, judged.aim(dataset, r.field, str(r.value))))
    refs = sorted(best, key=lambda ref: best[ref][1] is None)[:most]  # what new text is judged for shows most
    return [(best[ref][0], address_of(ref, codebooks, dataset, best[ref][1])) for ref in refs]


def address_of(ref: CodeRef, codebooks: pd.DataFrame, dataset: str, aim: Aim | None) -> str:
    """Return the address that steers with one code; with an aim, as steering towards it is tried on the data set."""
    edit = str(first_edit(ref.site, ref.code, codebooks))
    how = {"judge": str(aim), **as_tried(dataset)} if aim else {}
    return html.address("steer", model=ref.model, edit=edit, **how)


def from_concepts(explorer: Explorer, models: pd.DataFrame, model: str) -> Callable[[CodeRef, str, str], str] | None:
    """Return what gives the address that steers with the code of a concept; None where the model cannot be steered."""
    about = row(models, "model", model)
    if not {"steer", "generate"} <= set(about.capabilities):
        return None
    codebooks = explorer.codebooks(model)
    return lambda ref, field, value: address_of(ref, codebooks, about.dataset, judged.aim(about.dataset, field, value))
