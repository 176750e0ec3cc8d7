"""Generating with edits beside generating without: the same seed, token by token, and what differs."""

from __future__ import annotations

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
from app.steer.edit_list import pinned
from backend.answers.live import Lens
from backend.data.machines import Machine
from backend.types import Edit, Generated, Sampling

MAX_PROMPT = 20_000  # characters
MAX_LINK = 2_000  # a longer prompt is kept in the session and not in the address
MAX_SAMPLES, MAX_NEW = 20, 200
DRAWN = 5  # samples below each other; all are in the download
KEPT = 200  # answers that are kept for everybody


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
        self._lock = threading.Lock()

    @staticmethod
    @st.cache_resource(show_spinner=False)
    def shared() -> Kept:
        """Of this process."""
        return Kept()

    def get(self, key: Any) -> Any:
        """What is kept under a key; None where nothing is."""
        with self._lock:
            return self._found.get(key)

    def put(self, key: Any, answer: Any) -> None:
        """Keep it, and let go of the oldest."""
        with self._lock:
            self._found[key] = answer
            while len(self._found) > self._most:
                self._found.popitem(last=False)

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


def text_html(own: Written, other: Written | None, machine: Machine | None) -> Markup:
    """One text: the prompt faint, changed tokens underlined and bold, steps that the machine does not have wavy."""
    changed = differing(own, other) if other is not None else [False] * len(own.ids)
    wrong = wrong_steps(machine, own)[0] if machine is not None else [False] * len(own.ids)
    parts = []
    for place, (gap, token) in enumerate(own.texts):
        styles, title = [], ""
        if place < own.prompt_length:
            styles.append("color:var(--faint)")
        if changed[place]:
            styles.append("font-weight:700;box-shadow:inset 0 -2px 0 var(--link)")
            title = f"position {place}: another token than unsteered"
        if wrong[place]:
            styles.append("color:var(--bad);text-decoration:underline wavy;text-underline-offset:5px")
            title += ("; " if title else f"position {place}: ") + "the machine has no such step"
        between = " " if gap and not gap.strip(" ") else html.visible(gap)
        parts.append(
            Markup('{}<span class="t" style="{}" title="{}">{}</span>').format(
                between, ";".join(styles), title, html.visible(token) or "∅"
            )
        )
    return Markup('<div class="text">{}</div>').format(Markup("").join(parts))


def pair_html(pair: Pair, machine: Machine | None) -> Markup:
    """Both sides beside each other, sample by sample."""
    rows = []
    for number, (plain, steered) in enumerate(zip(pair.plain[:DRAWN], pair.steered[:DRAWN], strict=True)):
        for side in ((plain, None), (steered, plain)):
            note = ""
            if machine is not None:
                _, valid, total = wrong_steps(machine, side[0])
                note = f"{valid} of {total} new steps valid" if total else ""
            head = f"sample {number + 1}" if len(pair.plain) > 1 else ""
            rows.append(
                Markup('<div>{}<div class="faint" style="font-size:.82rem">{}</div></div>').format(
                    text_html(side[0], side[1], machine), " · ".join(p for p in (head, note) if p)
                )
            )
    more = len(pair.plain) - DRAWN
    tail = Markup('<p class="faint">{} more samples in the download.</p>').format(more) if more > 0 else Markup("")
    return (
        Markup(
            '<div style="display:grid;grid-template-columns:1fr 1fr;gap:.8rem 2rem">'
            '<div class="cs-head"><h2>Unsteered</h2></div><div class="cs-head"><h2>Steered</h2>'
            '<span class="faint">underlined and bold: another token than unsteered{}</span></div>{}</div>'
        ).format("; wavy: a step that the machine does not have" if machine is not None else "", Markup("").join(rows))
        + tail
    )


def pair_figures(pair: Pair, machine: Machine | None) -> Markup:
    """How much of the new text differs, from where on, and whether it still follows the machine."""
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
