"""What edits are to bring about, a seed that shows it, and what to say where they are too weak for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st
from markupsafe import Markup

from app.shell import address, widgets
from app.steer import judged
from app.steer.judged import Aim
from app.steer.measured import OFFERED, Measured, use
from app.steer.steer_panels import question
from app.steer.steering import Kept, Pair, new_part, written
from backend.edits.codes import MOVES
from backend.explorer import Explorer
from backend.types import CodeRef, Edit, Sampling

SEEDS = 6  # that are looked at for one whose two texts tell the difference
FLUENT_ENOUGH = 1.4  # times the perplexity of the unsteered text: a steered one up to that reads well
FEW = 3  # edits: up to that many are what a person put in by hand
FAINT = 0.05  # nats that the next-token distribution moves by where an edit does next to nothing


def aim_of(explorer: Explorer, model: str, dataset: str, edits: Sequence[Edit]) -> Aim | None:
    """Return what the edits are to bring about: the judge of the address, else of measured edits, else of a lone code."""
    asked = address.text("judge", limit=200)
    if asked:
        field, _, value = asked.partition("=")
        return judged.aim(dataset, field, value)
    now = tuple(map(str, edits))
    for name, known in explorer.measured_edits(model).items():
        if known == now:
            return judged.aim(dataset, *name.split("=", 1))
    if len(edits) == 1 and edits[0].code >= 0 and edits[0].action in ("force", *MOVES):
        told = explorer.describe(CodeRef(model, edits[0].site, edits[0].code))
        if told is not None and told.kind == "label":
            return judged.aim(dataset, told.field, told.value)
    return None


def telling_seed(
    write: Callable[[int, bool], Any], fluency: Callable[[Any], float], new_text: Callable[[Any], str], aim: Aim | None
) -> int:
    """Return the first seed whose unsteered text is about something else and whose steered text is about the aim, and reads well.

    Args:
        write: seed and whether with the edits -> one generated text.
        fluency: its perplexity; NaN where nothing can measure it.
        new_text: what it adds to the prompt.
        aim: what the steered text is to be about; None: the first seed will do.

    Returns:
        Among the `SEEDS` first the best, where none has all of this.
    """
    if aim is None:
        return 0
    best, best_worth = 0, -1.0
    for seed in range(SEEDS):
        plain = write(seed, False)
        if aim.holds(new_text(plain)):
            continue
        steered = write(seed, True)
        success = aim.holds(new_text(steered))
        ratio = fluency(steered) / fluency(plain) if success else float("nan")
        fluent = not ratio > FLUENT_ENOUGH  # also where nothing measures it
        worth = 1.0 + success + (1.0 / (1.0 + ratio) if success and ratio == ratio else 0.0)
        if success and fluent:
            return seed
        if worth > best_worth:
            best, best_worth = seed, worth
    return best


def with_telling_seed(
    explorer: Explorer, model: str, prompt: str, edits: Sequence[Edit], settings: Sampling, aim: Aim | None
) -> Sampling:
    """Return the settings with the seed that shows best what the edits do, where the address asks for that (`telling`).

    The seed then stands in the address. It is chosen to be shown; how often the edits succeed is for Measure to say.
    """
    if not address.flag("telling"):
        return settings

    def find() -> int:
        live = explorer.live(model)

        def write(seed: int, with_edits: bool) -> Any:
            sampling = replace(settings, samples=1, seed=seed)
            return live.generate(prompt, sampling, edits=list(edits) if with_edits else [])[0]

        def new_text(generated: Any) -> str:
            return new_part(written(live, generated))

        return telling_seed(write, lambda generated: live.perplexity([generated]), new_text, aim)

    with st.spinner("Looking for a seed that shows the difference ..."):
        seed = Kept.shared().answer(_telling(explorer, model, prompt, edits, settings, aim), find)
    address.write(seed=seed, telling=None)
    return replace(settings, seed=seed)


def _telling(
    explorer: Explorer, model: str, prompt: str, edits: Sequence[Edit], settings: Sampling, aim: Aim | None
) -> tuple[Any, ...]:
    """The key under which the telling seed is kept: the same for all seeds and numbers of samples."""
    return question("telling", explorer, model, prompt, list(edits), replace(settings, samples=1, seed=0), str(aim))


def seed_note(
    explorer: Explorer, model: str, prompt: str, edits: Sequence[Edit], settings: Sampling, aim: Aim | None
) -> str:
    """Return that this seed was chosen to show something, where it was; else nothing."""
    if Kept.shared().get(_telling(explorer, model, prompt, edits, settings, aim)) != settings.seed:
        return ""
    return f"Seed {settings.seed} was chosen among the first {SEEDS} to show the difference; how often it succeeds, Measure says."


# ---- where one code is weak


def weakness(edits: Sequence[Edit], pair: Pair, moved: float, aim: Aim | None) -> str:
    """Return in a sentence that a few edits do little; empty where they do something, or are many.

    Args:
        edits: in force.
        pair: what was written.
        moved: nats that the predictions at edited positions move by on average.
        aim: what they are to bring about.
    """
    if len(edits) > FEW:
        return ""
    which = "This one code is" if len(edits) == 1 else f"These {len(edits)} codes are"
    n = len(pair.steered)
    if aim is not None:
        if any(aim.holds(new_part(text)) for text in pair.steered):
            return ""
        where = "does not find it in the steered text" if n == 1 else f"finds it in none of the {n} steered texts"
        return f"{which} weak: the data's own judge {where} ({aim.field} = {aim.value})."
    changed = sum(plain.ids != steered.ids for plain, steered in zip(pair.plain, pair.steered, strict=True))
    if changed == 0:
        return f"{which} weak: not one token of the new text changes."
    if moved < FAINT:
        where = "it is" if len(edits) == 1 else "they are"
        return f"{which} weak: predictions move by {moved:.3f} nats on average where {where} put in."
    return ""


def offer(said: str, found: Sequence[Measured], dataset: str, aim: Aim | None, others: Markup) -> None:
    """Draw that a code is weak, and the measured edits that do more: those of the aim, else the strongest ones."""
    same = [one for one in found if aim is not None and one.name == str(aim)]
    best = same or sorted(found, key=lambda one: -one.gain)[:OFFERED]
    if best:
        more = "A search found edits of many codes together, and they were measured:"
    elif others:
        more = "Edits of many codes together were measured in other models of this data:"
    else:
        more = "Many codes together do more: look for them under Find codes, or raise the strength."
    widgets.draw(Markup('<div class="empty" role="status"><b>{}</b> {}</div>').format(said, more))
    if best:
        with st.container(horizontal=True, gap="small"):
            for one in best:
                label = f"{one.value} {one.effect}".strip()
                st.button(label, key=f"offered.{one.name}", help=one.about, **use(one, dataset))
    elif others:
        widgets.draw(others)
