"""Generating with edits beside generating without: the same seed, token by token, and what differs."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.shell.timing import Clock
from app.steer.edit_list import pinned
from app.steer.judged import Aim
from backend.answers.live import Lens
from backend.data.machines import Machine
from backend.types import Edit, Generated, Sampling

MAX_PROMPT = 20_000  # characters
MAX_LINK = 2_000  # a longer prompt is kept in the session and not in the address
MAX_SAMPLES, MAX_NEW = 20, 200
DRAWN = 5  # samples below each other; all are in the download
KEPT = 200  # answers that are kept for everybody
_PIECES = re.compile(r"(?<! ) (?! )| +|[^ ]+")  # a lone space, several, or anything else


@dataclass(frozen=True)
class Written:
    """One text as it is drawn.

    Attributes:
        ids: token ids, prompt included.
        texts: of each token, the text before it that belongs to none and its own.
        prompt_length: how many of them are the prompt.
        text: all of it.
    """

    ids: tuple[int, ...]
    texts: tuple[tuple[str, str], ...]
    prompt_length: int
    text: str


@dataclass(frozen=True)
class Pair:
    """Samples without and with the edits, in the same order."""

    plain: tuple[Written, ...]
    steered: tuple[Written, ...]


def written(live: Any, made: Generated) -> Written:
    """A generated text cut into its tokens."""
    text, spans = live.family.dataset.render(list(made.tokens))
    texts, end = [], 0
    for start, stop in spans.tolist():
        texts.append((text[end:start], text[start:stop]))
        end = stop
    return Written(made.tokens, tuple(texts), made.prompt_length, text)


def stream_pair(live: Any, prompt: str, edits: Sequence[Edit], settings: Sampling) -> Iterator[Pair]:
    """Both texts as far as they are, after each token; the model is shared, so others' turns come in between."""
    plain: list[Generated] = []
    steered: list[Generated] = []
    streams = zip_longest(live.stream(prompt, settings), live.stream(prompt, settings, edits=list(edits)))
    for left, right in streams:
        plain, steered = left or plain, right or steered
        yield Pair(
            tuple(written(live, g) for g in plain),
            tuple(written(live, g) for g in steered),
        )


class Kept:
    """The last answers of live models; the same question has the same answer for everybody, so all share them."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._found: OrderedDict[Any, Any] = OrderedDict()
        self._clocks: dict[Any, Clock] = {}
        self._lock = threading.Lock()

    @staticmethod
    @st.cache_resource(show_spinner=False)
    def shared() -> Kept:
        """Of this process."""
        return Kept()

    def get(self, key: Any) -> Any:
        """Return what is kept under a key, telling the foot of the page what it took; None where nothing is kept."""
        with self._lock:
            self._clocks.setdefault(key, Clock()).asked()
            return self._found.get(key)

    def put(self, key: Any, answer: Any) -> None:
        """Keep it, and let go of the oldest."""
        with self._lock:
            self._found[key] = answer
            self._clocks.setdefault(key, Clock()).answered()
            while len(self._found) > self._most:
                self._clocks.pop(self._found.popitem(last=False)[0], None)

    def answer(self, key: Any, make: Callable[[], Any]) -> Any:
        """What is kept under a key, made now where nothing is."""
        found = self.get(key)
        if found is None:
            found = make()
            self.put(key, found)
        return found


# ---- what differs


def differing(own: Written, other: Written) -> list[bool]:
    """Per token: is it a new one, and another than at the same place of the other text?"""
    return [
        place >= own.prompt_length and (place >= len(other.ids) or own.ids[place] != other.ids[place])
        for place in range(len(own.ids))
    ]


def wrong_steps(machine: Machine, text: Written) -> tuple[list[bool], int, int]:
    """Per token: is it in a step that the machine does not have? And how many new steps are valid, of how many."""
    states = machine.decode(np.array([text.ids], dtype=np.int64))[0]
    marks, valid, total = [False] * len(text.ids), 0, 0
    for number in range(1, len(states)):
        end = 1 + (number + 1) * machine.digits
        if end <= text.prompt_length:
            continue
        total += 1
        before, after = int(states[number - 1]), int(states[number])
        if before >= 0 and after >= 0 and machine.transitions[before, after]:
            valid += 1
        else:
            for place in range(end - machine.digits, end):
                marks[place] = True
    return marks, valid, total


def valid_share(machine: Machine, texts: Sequence[Written | Generated]) -> tuple[int, int]:
    """New steps of all texts that the machine has, of all new steps."""
    valid = total = 0
    for text in texts:
        own = text if isinstance(text, Written) else Written(text.tokens, (), text.prompt_length, text.text)
        _, good, all_of_them = wrong_steps(machine, own)
        valid, total = valid + good, total + all_of_them
    return valid, total


def first_difference(own: Written, other: Written) -> int | None:
    """Return the place of the first new token that is another than in the other text; None where all are the same."""
    flags = differing(own, other)
    return flags.index(True) if any(flags) else None


def new_part(text: Written) -> str:
    """Return what a text adds to its prompt."""
    return "".join(gap + token for gap, token in text.texts[text.prompt_length :])


def text_html(own: Written, other: Written | None, machine: Machine | None, aim: Aim | None = None) -> Markup:
    """Draw one text, calmly: where every word is another one, marking each would say nothing.

    The prompt is faint, a mark stands where the text parts from the other one, words that speak for the aim are set off,
    and steps that the machine does not have are wavy.

    Args:
        own: the text.
        other: what it is compared with; None: nothing.
        machine: whose steps are checked; None: no steps.
        aim: what the text is to be about; None: no words are set off.
    """
    parting = first_difference(own, other) if other is not None else None
    wrong = wrong_steps(machine, own)[0] if machine is not None else [False] * len(own.ids)
    places = aim.places(new_part(own)) if aim is not None else []
    parts, at = [], 0  # at: characters of the new part so far
    for place, (gap, token) in enumerate(own.texts):
        if place == parting:
            title = f"position {place}: from here on the text is another than unsteered"
            parts.append(Markup('<span class="parting" title="{}"></span>').format(title))
        parts.append(_readable(gap))
        css, title, start = "t", "", at + len(gap)
        if place < own.prompt_length:
            css += " faint"
        else:
            at = start + len(token)
        if wrong[place]:
            css, title = css + " wrong", f"position {place}: the machine has no such step"
        shown = _set_off(token, start, places) if place >= own.prompt_length else _readable(token)
        parts.append(Markup('<span class="{}" title="{}">{}</span>').format(css, title, shown or "∅"))
    return Markup('<div class="text story">{}</div>').format(Markup("").join(parts))


def _set_off(token: str, start: int, places: Sequence[tuple[int, int]]) -> Markup:
    """Draw a token; what of it lies in one of the places is set off. `start`: where it begins."""
    parts, done = [], 0
    for low, high in places:
        low, high = max(low - start, done), min(high - start, len(token))
        if low < high:
            parts += [_readable(token[done:low]), Markup("<mark>{}</mark>").format(_readable(token[low:high]))]
            done = high
    return Markup("").join([*parts, _readable(token[done:])])


def _readable(text: str) -> Markup:
    """Draw a text so that it can be read: a space is a space, a line break is shown and breaks; all else is visible."""
    lines = [
        Markup("").join(piece if piece == " " else html.visible(piece) for piece in _PIECES.findall(line))
        for line in text.split("\n")
    ]
    return (html.visible("\n") + Markup("<br>")).join(lines)


def pair_html(pair: Pair, machine: Machine | None, aim: Aim | None = None) -> Markup:
    """Draw both sides beside each other, sample by sample, with what the judge says of each."""
    rows = []
    for number, (plain, steered) in enumerate(zip(pair.plain[:DRAWN], pair.steered[:DRAWN], strict=True)):
        for side in ((plain, None), (steered, plain)):
            notes = [f"sample {number + 1}"] if len(pair.plain) > 1 else []
            if machine is not None:
                _, valid, total = wrong_steps(machine, side[0])
                notes += [f"{valid} of {total} new steps valid"] if total else []
            if aim is not None:
                new = new_part(side[0])
                notes += [aim.verdict(new), f"{len(aim.places(new))} marked"]
            rows.append(
                Markup('<div>{}<div class="faint" style="font-size:.82rem">{}</div></div>').format(
                    text_html(side[0], side[1], machine, aim), " · ".join(notes)
                )
            )
    more = len(pair.plain) - DRAWN
    tail = Markup('<p class="faint">{} more samples in the download.</p>').format(more) if more > 0 else Markup("")
    said = [Markup('<span class="parting"></span> from here on another text')]
    if aim is not None:
        said.append(Markup("<mark>marked</mark>: speaks for {}, by the data's own judge").format(aim.value))
    if machine is not None:
        said.append(Markup("wavy: a step that the machine does not have"))
    return (
        Markup(
            '<div class="pair"><div class="cs-head"><h2>Unsteered</h2></div><div class="cs-head"><h2>Steered</h2>'
            '<span class="faint">{}</span></div>{}</div>'
        ).format(Markup("; ").join(said), Markup("").join(rows))
        + tail
    )


def pair_figures(pair: Pair, machine: Machine | None, aim: Aim | None = None) -> Markup:
    """Draw what the judge says, how much of the new text differs, from where on, and whether it still follows the machine."""
    flags = [differing(s, p) for s, p in zip(pair.steered, pair.plain, strict=True)]
    new = sum(len(s.ids) - s.prompt_length for s in pair.steered)
    changed = sum(map(sum, flags))
    firsts = [f.index(True) - s.prompt_length + 1 for f, s in zip(flags, pair.steered, strict=True) if any(f)]
    figures: list[tuple[str, Any, Any]] = [
        ("tokens changed", f"{changed:,}", f"of {new:,} new ones ({html.share(changed / max(1, new))})"),
        (
            "first change",
            f"token {min(firsts)}" if firsts else "none",
            f"of the new text; {len(firsts)} of {len(flags)} samples differ",
        ),
    ]
    if aim is not None:
        hits = [sum(aim.holds(new_part(text)) for text in texts) for texts in (pair.plain, pair.steered)]
        note = f"texts, unsteered → steered, of {len(pair.steered)}; Measure says how often"
        figures.insert(0, (f"{aim.field} = {aim.value}", f"{hits[0]} → {hits[1]}", note))
    if machine is not None:
        for name, texts in (("valid steps, unsteered", pair.plain), ("valid steps, steered", pair.steered)):
            valid, total = valid_share(machine, texts)
            rate = html.share(valid / total) if total else "–"
            figures.append((name, rate, f"{valid:,} of {total:,} new transitions"))
    return html.stats(figures)


def pair_table(pair: Pair) -> pd.DataFrame:
    """All texts, for downloads."""
    rows = [
        (number, side, text.text, text.prompt_length, len(text.ids))
        for number, both in enumerate(zip(pair.plain, pair.steered, strict=True))
        for side, text in zip(("unsteered", "steered"), both, strict=True)
    ]
    return pd.DataFrame(rows, columns=["sample", "side", "text", "prompt_tokens", "tokens"])


# ---- what the live model is asked besides; kept by build and question


def footprint(live: Any, own: Written, edits: Sequence[Edit]) -> Lens:
    """One finished text read once more with the edits: what each token's prediction and each codebook's choice lose."""
    length = len(live.parse(own.text))
    found: Lens = live.lens(own.text, pinned(edits, own.prompt_length, length))
    return found


def python(model: str, prompt: str, edits: Sequence[Edit], settings: Sampling) -> list[str]:
    """The same as Python."""
    return [
        f"live = explorer.live({model!r})",
        f"prompt, edits = {prompt!r}, [Edit.parse(e) for e in {[str(e) for e in edits]!r}]",
        f"unsteered = live.generate(prompt, {settings})",
        f"steered = live.generate(prompt, {settings}, edits=edits)",
        'print("Unsteered:")',
        "show(unsteered)",
        'print("Steered:")',
        "show(steered)",
    ]
